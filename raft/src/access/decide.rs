//! The decision: may this user do that, to that, from there?

use std::net::IpAddr;

use super::{Action, Effect, Role, Rule, Target, User};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked<'a> {
    /// What.
    pub action: Action,
    /// To what.
    pub target: Target<'a>,
    /// From where.
    pub source: IpAddr,
}

/// The answer, and what it follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// The user may do everything.
    Admin,
    /// The user may do nothing: it was disabled.
    Disabled,
    /// This rule decides.
    ByRule(&'a Rule),
    /// No rule speaks of it.
    NoRule,
}

impl Decision<'_> {
    /// Whether it may be done.
    pub fn is_allowed(&self) -> bool {
        match self {
            Decision::Admin => true,
            Decision::Disabled | Decision::NoRule => false,
            Decision::ByRule(rule) => rule.effect == Effect::Allow,
        }
    }
}

impl User {
    /// Whether this user may do what is asked.
    pub fn may(&self, asked: Asked<'_>) -> Decision<'_> {
        match (self.enabled, self.role) {
            (false, _) => Decision::Disabled,
            (true, Role::Admin) => Decision::Admin,
            (true, Role::Normal) => decide(&self.rules, asked).map_or(Decision::NoRule, Decision::ByRule),
        }
    }
}

/// The most particular of the rules that speak of it; of two that are equally particular the one that denies.
fn decide<'a>(rules: &'a [Rule], asked: Asked<'_>) -> Option<&'a Rule> {
    let speaks = |rule: &&Rule| {
        rule.actions.contains(&asked.action)
            && (rule.sources.is_empty() || rule.sources.iter().any(|source| source.contains(asked.source)))
    };
    let ranked = |rule: &'a Rule| Some((rule.resource.covers(asked.target)?, rule.effect, rule));
    rules
        .iter()
        .filter(speaks)
        .filter_map(ranked)
        .max_by(|one, other| (one.0, one.1).cmp(&(other.0, other.1)))
        .map(|(_, _, rule)| rule)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::access::{Network, Resource};

    fn user(rules: Vec<Rule>) -> User {
        User {
            name: "u".into(),
            secret: Vec::new(),
            role: Role::Normal,
            enabled: true,
            created_ms: 0,
            revision: 0,
            rules,
        }
    }

    fn rule(effect: Effect, resource: &str, actions: &[Action], sources: &[&str]) -> Rule {
        Rule {
            resource: resource.parse().unwrap(),
            actions: actions.iter().copied().collect(),
            sources: sources.iter().map(|source| source.parse().unwrap()).collect(),
            effect,
        }
    }

    fn asked<'a>(action: Action, target: Target<'a>, source: &str) -> Asked<'a> {
        Asked { action, target, source: source.parse().unwrap() }
    }

    #[test]
    fn what_nobody_allowed_is_denied() {
        let send = asked(Action::Publish, Target::topic("orders"), "10.0.0.1");
        assert_eq!(user(vec![]).may(send), Decision::NoRule);
        let other = rule(Effect::Allow, "topic:orders", &[Action::Subscribe], &[]);
        assert_eq!(user(vec![other]).may(send), Decision::NoRule);
        let elsewhere = rule(Effect::Allow, "topic:orders", &[Action::Publish], &["192.168.0.0/16"]);
        assert_eq!(user(vec![elsewhere]).may(send), Decision::NoRule);
        assert!(User { role: Role::Admin, ..user(vec![]) }.may(send).is_allowed());
        let disabled = User { role: Role::Admin, enabled: false, ..user(vec![]) };
        assert_eq!(disabled.may(send), Decision::Disabled);
    }

    #[test]
    fn the_more_particular_rule_decides_and_a_tie_denies() {
        let publish = &[Action::Publish];
        let wide = rule(Effect::Deny, "topic:*", publish, &[]);
        let narrow = rule(Effect::Allow, "topic:or*", publish, &[]);
        let literal = rule(Effect::Deny, "topic:orders", publish, &["10.0.0.0/8"]);
        let user = user(vec![literal.clone(), wide.clone(), narrow.clone()]);
        let of = |topic, source| user.may(asked(Action::Publish, Target::topic(topic), source));
        assert_eq!(of("orders", "10.0.0.1"), Decision::ByRule(&literal));
        assert_eq!(of("orders", "11.0.0.1"), Decision::ByRule(&narrow));
        assert_eq!(of("other", "11.0.0.1"), Decision::ByRule(&wide));
        let tie = [rule(Effect::Deny, "topic:or*", publish, &[]), narrow];
        for rules in [vec![tie[0].clone(), tie[1].clone()], vec![tie[1].clone(), tie[0].clone()]] {
            let user = super::tests::user(rules);
            assert!(!user.may(asked(Action::Publish, Target::topic("orders"), "::1")).is_allowed());
        }
    }

    /// The same by brute force: from the most particular way to name the target to the least, is there a rule?
    fn naive(rules: &[Rule], asked: Asked<'_>) -> bool {
        let name = asked.target.name;
        let kind = match asked.target.kind {
            crate::access::Kind::Topic => "topic",
            crate::access::Kind::Group => "group",
            _ => "cluster",
        };
        let mut ways = Vec::new();
        let mut spell = |kind: &str, name: &str| {
            ways.push(format!("{kind}:{name}"));
            let ends = (1..=name.len()).rev().filter(|end| name.is_char_boundary(*end));
            ends.for_each(|end| ways.push(format!("{kind}:{}*", &name[..end])));
            ways.push(format!("{kind}:*"));
        };
        spell(kind, name);
        if let (Some((space, _)), true) = (name.split_once('%'), kind != "cluster") {
            spell("namespace", space);
        }
        ways.push("*".to_owned());
        for way in ways {
            let here: Vec<&Rule> = rules
                .iter()
                .filter(|rule| rule.resource.to_string() == way && rule.actions.contains(&asked.action))
                .filter(|rule| {
                    rule.sources.is_empty() || rule.sources.iter().any(|it| it.contains(asked.source))
                })
                .collect();
            if !here.is_empty() {
                return here.iter().all(|rule| rule.effect == Effect::Allow);
            }
        }
        false
    }

    fn some_rule() -> impl Strategy<Value = Rule> {
        let resource = "(\\*|(topic|group|cluster|namespace):(\\*|[ab]{1,3}(%[ab]{1,2})?\\*?))";
        let source = prop_oneof![Just("10.0.0.0/8"), Just("10.0.0.1"), Just("::1"), Just("0.0.0.0/0")];
        let source = source.prop_map(|source| source.parse::<Network>().unwrap());
        (
            resource,
            proptest::sample::subsequence(&Action::ALL[..3], 1..=3),
            proptest::collection::btree_set(source, 0..2),
            any::<bool>(),
        )
            .prop_map(|(resource, actions, sources, allows)| Rule {
                resource: resource.parse::<Resource>().unwrap(),
                actions: actions.into_iter().collect(),
                sources,
                effect: if allows { Effect::Allow } else { Effect::Deny },
            })
    }

    proptest! {
        #[test]
        fn decisions_are_those_of_the_naive_model(
            rules in proptest::collection::vec(some_rule(), 0..12),
            name in "[ab]{1,3}(%[ab]{1,3})?",
            kind in 0usize..3,
            action in 0usize..3,
            source in prop_oneof![Just("10.0.0.1"), Just("10.2.3.4"), Just("::1"), Just("9.9.9.9")],
        ) {
            let target = [Target::topic, Target::group, Target::cluster][kind](&name);
            let asked = asked(Action::ALL[action], target, source);
            prop_assert_eq!(user(rules.clone()).may(asked).is_allowed(), naive(&rules, asked), "{:?}", rules);
        }
    }
}
