//! Users and rules in the machine of `meta`.

use raft::access::{Action, Effect, Role, Rule};
use raft::machine::{AccessAction, MetaAction};
use raft::outcome::Outcome;
use raft::request::Rejection;

use crate::metadata::Meta;

fn create(name: &str, role: Role, first: bool) -> MetaAction {
    MetaAction::Access(AccessAction::CreateUser { name: name.into(), secret: vec![1, 2, 3], role, first })
}

fn update(name: &str, secret: &[u8], role: Option<Role>, enabled: Option<bool>) -> MetaAction {
    let secret = secret.to_vec();
    MetaAction::Access(AccessAction::UpdateUser { name: name.into(), secret, role, enabled })
}

fn delete(name: &str) -> MetaAction {
    MetaAction::Access(AccessAction::DeleteUser { name: name.into() })
}

fn rule(resource: &str, action: Action, effect: Effect) -> Rule {
    Rule {
        resource: resource.parse().expect("a resource"),
        actions: [action].into(),
        sources: Default::default(),
        effect,
    }
}

fn set(user: &str, rule: Rule) -> MetaAction {
    MetaAction::Access(AccessAction::SetRule { user: user.into(), rule })
}

fn take(user: &str, resource: &str, effect: Option<Effect>) -> MetaAction {
    let resource = resource.parse().expect("a resource");
    MetaAction::Access(AccessAction::DeleteRules { user: user.into(), resource, effect })
}

fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Rejected(Rejection::Invalid(_)))
}

#[test]
fn users_and_rules_survive_a_restart_and_repetitions_change_nothing() {
    let mut meta = Meta::with_groups(&[1]);
    assert_eq!(meta.act(create("admin", Role::Admin, true)), Outcome::Done);
    assert_eq!(meta.act(create("shop", Role::Normal, false)), Outcome::Done);
    let publish = rule("topic:orders", Action::Publish, Effect::Allow);
    for _ in 0..2 {
        assert_eq!(meta.act(set("shop", publish.clone())), Outcome::Done);
    }
    let users = meta.machine.catalog().users.clone();
    assert_eq!((users["shop"].rules.as_slice(), users["shop"].revision), (&[publish.clone()][..], 1));
    assert_eq!(users["shop"].created_ms, 7, "the log's time");
    // The same resource and effect: in its place. Another effect: beside it.
    let subscribe = rule("topic:orders", Action::Subscribe, Effect::Allow);
    let denied = rule("topic:orders", Action::Delete, Effect::Deny);
    meta.act(set("shop", subscribe.clone()));
    meta.act(set("shop", denied.clone()));
    assert_eq!(meta.machine.catalog().users["shop"].rules, [subscribe.clone(), denied.clone()]);
    meta.reopened();
    meta.act(take("shop", "topic:orders", Some(Effect::Deny)));
    meta.act(take("shop", "topic:orders", Some(Effect::Deny)));
    assert_eq!(meta.machine.catalog().users["shop"].rules, [subscribe]);
    meta.act(take("shop", "topic:orders", None));
    assert_eq!(meta.machine.catalog().users["shop"].rules, []);
    meta.act(delete("shop"));
    meta.reopened();
    assert!(!meta.machine.catalog().users.contains_key("shop"));
}

#[test]
fn the_first_user_is_the_first_one_only() {
    let mut meta = Meta::with_groups(&[1]);
    meta.act(create("admin", Role::Admin, true));
    for late in [create("admin", Role::Admin, true), create("other", Role::Admin, true)] {
        let refused = meta.act(late);
        assert!(matches!(refused, Outcome::Rejected(Rejection::AlreadyExists { .. })), "{refused:?}");
    }
    assert_eq!(meta.machine.catalog().users.len(), 1);
}

#[test]
fn somebody_may_always_give_rights() {
    let mut meta = Meta::with_groups(&[1]);
    meta.act(create("admin", Role::Admin, true));
    meta.act(create("shop", Role::Normal, false));
    for last in [
        delete("admin"),
        update("admin", &[], Some(Role::Normal), None),
        update("admin", &[], None, Some(false)),
    ] {
        let refused = meta.act(last);
        assert!(is_refused(&refused), "{refused:?}");
    }
    // A disabled administrator is none.
    meta.act(create("second", Role::Admin, false));
    meta.act(update("second", &[], None, Some(false)));
    assert!(is_refused(&meta.act(delete("admin"))));
    meta.act(update("second", &[], None, Some(true)));
    assert_eq!(meta.act(delete("admin")), Outcome::Done);
    assert!(is_refused(&meta.act(delete("second"))));
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut meta = Meta::with_groups(&[1]);
    meta.act(create("shop", Role::Normal, false));
    let no_action = Rule { actions: Default::default(), ..rule("topic:a", Action::Get, Effect::Allow) };
    for odd in [
        update("nobody", &[], None, Some(true)),
        delete("nobody"),
        set("nobody", rule("*", Action::Get, Effect::Allow)),
        take("nobody", "*", None),
        set("shop", no_action),
        update("shop", &[0; 513], None, None),
        MetaAction::Access(AccessAction::CreateUser {
            name: "empty".into(),
            secret: Vec::new(),
            role: Role::Normal,
            first: false,
        }),
    ] {
        let refused = meta.act(odd);
        assert!(is_refused(&refused), "{refused:?}");
    }
    // What was refused is remembered by nobody, and leaves no row.
    let users = meta.machine.catalog().users.clone();
    meta.reopened();
    assert_eq!(meta.machine.catalog().users, users);
    assert_eq!(users.len(), 1);
}
