//! `--insecure`: the network is trusted, and somebody says so at every start.

use clap::Args;

use super::exit::Failure;
use crate::options::Options;
use crate::options::exposure::Missing;

/// `--insecure`
#[derive(Clone, Debug, Default, Args)]
pub struct InsecureArgs {
    /// Start although the network reaches what nothing protects: everything, or what is named (docs/access.md)
    #[arg(
        long,
        env = "LEDGERMQ_INSECURE",
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        value_delimiter = ','
    )]
    insecure: Vec<Missing>,
}

impl InsecureArgs {
    /// Lets a node start if all that the network reaches is protected, or if somebody said that it need not be: that is told,
    /// loudly, every time.
    ///
    /// # Errors
    /// A sentence for every port that wants protection, and what to do.
    pub fn check(&self, options: &Options) -> Result<(), Failure> {
        let allowed =
            |missing: Missing| self.insecure.iter().any(|said| [Missing::All, missing].contains(said));
        let (told, refused): (Vec<_>, Vec<_>) =
            options.exposures().into_iter().partition(|exposure| allowed(exposure.missing));
        if refused.is_empty() {
            for exposure in told {
                tracing::warn!("INSECURE: {}", exposure.why);
            }
            return Ok(());
        }
        let whys: String = refused.iter().map(|exposure| format!("  {}\n", exposure.why)).collect();
        let mut wanted: Vec<_> = refused.iter().map(|exposure| exposure.missing).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        Err(Failure::Usage(format!(
            "the network would reach what nothing protects:\n{whys}Set up what is missing (docs/access.md), listen on 127.0.0.1 \
             instead, or, if everybody on that network is trusted, start with --insecure={}",
            wanted.join(",")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(insecure: &[Missing], text: &str) -> Result<(), String> {
        let options = Options::parse(text, "test", []).unwrap();
        InsecureArgs { insecure: insecure.to_vec() }.check(&options).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_missing_must_be_said() {
        let open = "[grpc]\nbind = \"0.0.0.0:8081\"\n[peer]\nbind = \"0.0.0.0:8083\"\n";
        let refused = check(&[], open).unwrap_err();
        assert!(refused.contains("grpc.bind is 0.0.0.0:8081, and access.enabled is off"), "{refused}");
        assert!(refused.ends_with("--insecure=plaintext,access,peers"), "{refused}");
        let refused = check(&[Missing::Access, Missing::Plaintext], open).unwrap_err();
        assert!(refused.contains("peer.bind") && !refused.contains("grpc.bind"), "{refused}");
        assert!(refused.ends_with("--insecure=peers"), "{refused}");
        assert_eq!(check(&[Missing::Access, Missing::Plaintext, Missing::Peers], open), Ok(()));
        assert_eq!(check(&[Missing::All], open), Ok(()));
        assert_eq!(check(&[], ""), Ok(()), "nobody reaches loopback");
    }
}
