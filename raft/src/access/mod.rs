//! Who may do what: users and their rules, as `meta` keeps them, and the decision that follows from them.
//!
//! The model is that of RocketMQ's ACL 2.0: a rule allows or denies a user some actions on a resource, from some addresses.
//! What no rule speaks of is denied. If several rules speak of it the most particular one decides, and where two are
//! equally particular, the one that denies.

mod address;
mod decide;
mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use address::{Network, NetworkError};
pub use decide::{Asked, Decision};
pub use resource::{Kind, Pattern, Resource, ResourceError, Target};

/// What can be done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Send messages to a topic.
    Publish,
    /// Receive and settle messages of a topic, as a consumer group.
    Subscribe,
    /// Make it.
    Create,
    /// Change it.
    Update,
    /// Delete it.
    Delete,
    /// Look at one.
    Get,
    /// Look which ones there are.
    List,
}

impl Action {
    /// All of them.
    pub const ALL: [Action; 7] = [
        Action::Publish,
        Action::Subscribe,
        Action::Create,
        Action::Update,
        Action::Delete,
        Action::Get,
        Action::List,
    ];

    /// Its name in commands and rows.
    pub fn name(self) -> &'static str {
        match self {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
            Action::Create => "create",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Get => "get",
            Action::List => "list",
        }
    }

    /// The action of a name; those of RocketMQ (`Pub`, `Sub`) are known as well.
    pub fn of_name(name: &str) -> Option<Action> {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "pub" => Some(Action::Publish),
            "sub" => Some(Action::Subscribe),
            name => Action::ALL.into_iter().find(|action| action.name() == name),
        }
    }
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may be done.
    Allow,
    /// It may not.
    Deny,
}

/// One rule of a user. A user has one rule for a resource and an effect: what is set anew replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// To what.
    pub resource: Resource,
    /// What; never empty.
    pub actions: BTreeSet<Action>,
    /// From where; empty: from everywhere.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sources: BTreeSet<Network>,
    /// Whether that may be done.
    pub effect: Effect,
}

/// What a user is without any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything; rules are not looked at.
    Admin,
    /// May do what rules allow.
    Normal,
}

/// A user as `meta` keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name: the access key of clients.
    pub name: String,
    /// Its secret, sealed with the key of the cluster; only edges can open it.
    #[serde(with = "hex")]
    pub secret: Vec<u8>,
    /// What it is.
    pub role: Role,
    /// Whether it may do anything at all.
    pub enabled: bool,
    /// When it was made, by the log's time, in milliseconds since 1970.
    pub created_ms: u64,
    /// How often it has been changed.
    #[serde(default)]
    pub revision: u64,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

impl User {
    /// Whether it may do everything, now.
    pub fn is_acting_admin(&self) -> bool {
        self.enabled && self.role == Role::Admin
    }
}

/// All users by name, shared: a change of the catalog that is none of users keeps them.
pub type Users = Arc<BTreeMap<String, User>>;

/// Bytes as hex text: rows of `meta` are JSON.
pub(crate) mod hex {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}", Hex(bytes)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text.as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        bytes.filter(|_| digits.len() % 2 == 0).ok_or_else(|| D::Error::custom("not hex"))
    }

    struct Hex<'a>(&'a [u8]);

    impl std::fmt::Display for Hex<'_> {
        fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_survives_its_row() {
        let user = User {
            name: "shop".into(),
            secret: vec![0, 0xff, 7],
            role: Role::Normal,
            enabled: true,
            created_ms: 9,
            revision: 0,
            rules: vec![Rule {
                resource: "topic:orders*".parse().unwrap(),
                actions: [Action::Publish].into(),
                sources: ["10.0.0.0/8".parse().unwrap()].into(),
                effect: Effect::Allow,
            }],
        };
        let row = serde_json::to_string(&user).unwrap();
        assert_eq!(
            row,
            r#"{"name":"shop","secret":"00ff07","role":"normal","enabled":true,"created_ms":9,"revision":0,"rules":[{"resource":"topic:orders*","actions":["publish"],"sources":["10.0.0.0/8"],"effect":"allow"}]}"#
        );
        assert_eq!(serde_json::from_str::<User>(&row).unwrap(), user);
        assert!(serde_json::from_str::<User>(&row.replace("00ff07", "00ff0")).is_err());
    }

    #[test]
    fn actions_are_named_as_in_rocketmq_too() {
        for action in Action::ALL {
            assert_eq!(Action::of_name(action.name()), Some(action));
        }
        assert_eq!(Action::of_name("Pub"), Some(Action::Publish));
        assert_eq!(Action::of_name("SUB"), Some(Action::Subscribe));
        assert_eq!(Action::of_name("all"), None);
    }
}
