//! What a user may do: the decision is the one that the sentences of docs/access.md give, read naively. And a resource or a
//! network is written as it is read.
//!
//! The bytes choose a user, its rules, and what it asks for, all from few names, so that rules meet. They are also read as
//! the text of a resource and of a network.
#![no_main]

#[path = "../choices.rs"]
mod choices;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use choices::Choices;
use libfuzzer_sys::fuzz_target;
use raft::access::{Action, Asked, Decision, Effect, Network, Resource, Role, Rule, Target, User};

const ADDRESSES: [&str; 10] = [
    "10.0.0.1",
    "10.128.0.0",
    "0.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "2001:db8::1",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:10.128.0.0",
];

/// A rule in words.
#[derive(Debug)]
struct Said {
    allows: bool,
    kind: &'static str,
    name: String,
    /// It is about all whose name begins so.
    star: bool,
    actions: Vec<Action>,
    sources: Vec<Net>,
}

/// A network: how it is written, and how all its addresses begin.
#[derive(Debug)]
struct Net {
    text: String,
    bits: String,
}

/// A question in words.
#[derive(Debug)]
struct Question {
    kind: &'static str,
    name: String,
    action: Action,
    source: IpAddr,
}

/// The bits of an address, with its family before them. An address of IPv4 in the clothes of IPv6 is one of IPv4.
fn bits(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("4{:032b}", address.to_bits()),
        IpAddr::V6(address) => match address.to_bits() >> 32 {
            0xffff => format!("4{:032b}", address.to_bits() as u32),
            _ => format!("6{:0128b}", address.to_bits()),
        },
    }
}

fn address(bits: &str) -> IpAddr {
    let number = u128::from_str_radix(&bits[1..], 2).expect("bits");
    match bits.starts_with('4') {
        true => IpAddr::V4(Ipv4Addr::from_bits(number as u32)),
        false => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

fn some_address(choices: &mut Choices<'_>) -> IpAddr {
    let address: IpAddr = choices.one(&ADDRESSES).parse().expect("an address");
    match (choices.below(3), address) {
        (0, IpAddr::V4(it)) => IpAddr::V4(Ipv4Addr::from_bits(it.to_bits() ^ 1 << choices.below(32))),
        (0, IpAddr::V6(it)) => IpAddr::V6(Ipv6Addr::from_bits(it.to_bits() ^ 1 << choices.below(128))),
        _ => address,
    }
}

fn some_network(choices: &mut Choices<'_>) -> Net {
    let whole = some_address(choices);
    let all = bits(whole);
    if choices.flip() {
        return Net { text: whole.to_string(), bits: all };
    }
    let kept = &all[..1 + choices.below(all.len())];
    let first = address(&format!("{kept:0<width$}", width = all.len()));
    Net { text: format!("{first}/{}", kept.len() - 1), bits: kept.to_owned() }
}

fn some_name(choices: &mut Choices<'_>, pieces_min: usize) -> String {
    let pieces = pieces_min + choices.below(4);
    (0..pieces).map(|_| choices.one(&["a", "b", "%", "é"])).collect()
}

fn some_rule(choices: &mut Choices<'_>) -> Said {
    let kind = choices.one(&["topic", "group", "cluster", "namespace", "*"]);
    let star = choices.flip();
    let actions = 1 + choices.below(127);
    Said {
        allows: choices.flip(),
        kind,
        star,
        name: some_name(choices, if star { 0 } else { 1 }),
        actions: (0..7).filter(|at| actions >> at & 1 == 1).map(|at| Action::ALL[at]).collect(),
        sources: (0..choices.below(4).saturating_sub(1)).map(|_| some_network(choices)).collect(),
    }
}

fn some_question(choices: &mut Choices<'_>) -> Question {
    let before = choices.one(&["", "", "", "", "%DLQ%", "%RETRY%"]);
    Question {
        kind: choices.one(&["topic", "group", "cluster"]),
        name: before.to_owned() + &some_name(choices, 1),
        action: choices.one(&Action::ALL),
        source: some_address(choices),
    }
}

impl Said {
    fn rule(&self) -> Rule {
        let text = match self.kind {
            "*" => "*".to_owned(),
            kind => format!("{kind}:{}{}", self.name, if self.star { "*" } else { "" }),
        };
        let network = |net: &Net| net.text.parse().unwrap_or_else(|error| panic!("{net:?}: {error}"));
        Rule {
            resource: text.parse().unwrap_or_else(|error| panic!("{self:?}: {error}")),
            actions: self.actions.iter().copied().collect(),
            sources: self.sources.iter().map(network).collect(),
            effect: if self.allows { Effect::Allow } else { Effect::Deny },
        }
    }

    fn names(&self, name: &str) -> bool {
        if self.star { name.starts_with(&self.name) } else { name == self.name }
    }

    /// How near to the thing it is, if it speaks of it: 2 for the thing itself, 1 for its namespace, 0 for everything.
    fn nearness(&self, question: &Question) -> Option<u8> {
        let (mut kind, mut name) = (question.kind, question.name.as_str());
        for begin in ["%DLQ%", "%RETRY%"] {
            if question.kind == "topic" && question.name.starts_with(begin) {
                (kind, name) = ("group", &question.name[begin.len()..]);
            }
        }
        let source = bits(question.source);
        if !self.actions.contains(&question.action)
            || !self.sources.is_empty() && !self.sources.iter().any(|net| source.starts_with(&net.bits))
        {
            return None;
        }
        // The cluster is in no namespace. That of a topic or a consumer group may be empty.
        let namespace = name.split_once('%').map(|(namespace, _)| namespace).filter(|_| kind != "cluster");
        match self.kind {
            "*" => Some(0),
            "namespace" => namespace.filter(|it| self.names(it)).map(|_| 1),
            of => (of == kind && self.names(name)).then_some(2),
        }
    }

    /// Whether it is more particular than one that is as near.
    fn is_finer(&self, other: &Said) -> bool {
        match (self.kind, self.star, other.star) {
            ("*", _, _) | (_, false, false) => false,
            (_, false, true) => true,
            (_, true, false) => false,
            (_, true, true) => self.name.len() > other.name.len(),
        }
    }
}

/// The most particular ones of those that speak of it: more than one if they are equally particular.
fn deciding(rules: &[Said], question: &Question) -> Vec<usize> {
    let near: Vec<Option<u8>> = rules.iter().map(|rule| rule.nearness(question)).collect();
    let beats = |one: usize, other: usize| match (near[one], near[other]) {
        (Some(near), Some(other_near)) if near == other_near => rules[one].is_finer(&rules[other]),
        (near, other_near) => near > other_near,
    };
    let speaking = (0..rules.len()).filter(|at| near[*at].is_some());
    speaking.filter(|at| !(0..rules.len()).any(|other| beats(other, *at))).collect()
}

fn texts(text: &str) {
    if let Ok(resource) = text.parse::<Resource>() {
        let written = resource.to_string();
        assert!(written.eq_ignore_ascii_case(text), "{text:?} is written {written:?}");
        assert_eq!(written.parse().as_ref(), Ok(&resource));
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network), "{text:?}");
        let first = text.split('/').next().and_then(|first| first.parse().ok()).expect("an address");
        assert!(network.contains(first), "{text:?} has not its own first address");
    }
}

fuzz_target!(|data: &[u8]| {
    texts(&String::from_utf8_lossy(data));
    let mut choices = Choices(data);
    let (enabled, is_admin) = (choices.below(16) != 15, choices.below(16) == 15);
    let said: Vec<Said> = (0..choices.below(13)).map(|_| some_rule(&mut choices)).collect();
    let user = User {
        name: "u".to_owned(),
        secret: Vec::new(),
        role: if is_admin { Role::Admin } else { Role::Normal },
        enabled,
        created_ms: 0,
        revision: 0,
        rules: said.iter().map(Said::rule).collect(),
    };
    for _ in 0..8 {
        let question = some_question(&mut choices);
        let name = question.name.as_str();
        let target = match question.kind {
            "topic" => Target::topic(name),
            "group" => Target::group(name),
            _ => Target::cluster(name),
        };
        let deciding = deciding(&said, &question);
        let by_rules = !deciding.is_empty() && deciding.iter().all(|at| said[*at].allows);
        let decision = user.may(Asked { action: question.action, target, source: question.source });
        let is_right = match decision {
            Decision::Disabled => !enabled,
            Decision::Admin => enabled && is_admin,
            Decision::NoRule => enabled && !is_admin && deciding.is_empty(),
            Decision::ByRule(rule) => {
                let named = deciding.iter().any(|at| std::ptr::eq(&user.rules[*at], rule));
                enabled && !is_admin && named
            }
        };
        let allowed = enabled && (is_admin || by_rules);
        assert!(
            is_right && decision.is_allowed() == allowed,
            "{question:?}: decided {decision:?}, but it is allowed: {allowed}, by {deciding:?} of {said:#?}"
        );
    }
});
