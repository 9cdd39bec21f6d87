//! `[access]`: whether it is controlled who may do what.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a node that is alone keeps the key that it made, within the data directory.
const OWN_KEY: &str = "access/seal-key";

/// `[access]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccessSection {
    /// Every request must be signed by a user, who may do what its rules allow. The same on every node.
    pub enabled: bool,
    /// The file with the key that secrets of users are sealed with, the same on every node (`ledgermq acl new-key` makes
    /// one). With a key users and rules can be made before access is controlled. Empty: a cluster of one node makes its own
    /// in its data directory when access is controlled.
    pub seal_key: PathBuf,
    /// The file with the secret of the first administrator, `admin`. Empty: one is made, and printed once by the node that
    /// made it.
    pub admin_secret: PathBuf,
    /// The certificates (PEM) of the authority that signs those of users, and nothing else. Who has a certificate for the name of
    /// a user is that user, without a secret: for operators. Empty: there are none.
    pub client_authority: PathBuf,
}

impl AccessSection {
    /// The file of the key.
    pub fn key_file(&self, data: &Path) -> PathBuf {
        if self.makes_key() { data.join(OWN_KEY) } else { self.seal_key.clone() }
    }

    /// Whether the node makes a key if there is none.
    pub fn makes_key(&self) -> bool {
        self.seal_key.as_os_str().is_empty()
    }

    /// Adds a sentence for everything that is wrong, for a node that is alone in its cluster or is not.
    pub fn check(&self, is_alone: bool, wrong: &mut Vec<String>) {
        if !self.enabled && !self.client_authority.as_os_str().is_empty() {
            wrong.push("access.client_authority says who users are, but access.enabled is off".to_owned());
        }
        if self.enabled && self.makes_key() && !is_alone {
            wrong.push(
                "access.enabled needs access.seal_key where there are several nodes, the same key on each: make one with \
                 `ledgermq acl new-key`"
                    .to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;

    #[test]
    fn several_nodes_need_one_key() {
        let parse = |text: &str| Options::parse(text, "test", []).map_err(|error| error.to_string());
        let alone = parse("[access]\nenabled = true").unwrap();
        assert!(alone.access.makes_key());
        assert_eq!(alone.access.key_file("d".as_ref()).to_str(), Some("d/access/seal-key"));
        let seeds = "[cluster]\nseeds = [\"a:1\", \"b:1\"]\n[node]\nname = \"a\"\n[access]\nenabled = true\n";
        assert!(parse(seeds).unwrap_err().contains("access.seal_key"));
        let with = format!("{seeds}seal_key = \"/etc/ledgermq/seal-key\"\n");
        assert_eq!(
            parse(&with).unwrap().access.key_file("d".as_ref()).to_str(),
            Some("/etc/ledgermq/seal-key")
        );
    }
}
