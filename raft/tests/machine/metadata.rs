//! The machine of `meta`.

use bytes::Bytes;
use raft::catalog::{ConsumerGroup, NodeInfo, StartFrom, Topic, TopicType};
use raft::command::FrameBuilder;
use raft::features::FeatureLevel;
use raft::machine::{
    AppliedFrame, FrameContext, MachineFailure, MetaAction, MetaCommand, MetaMachine, SpreadAction,
    StateMachine,
};
use raft::names::{GroupId, NodeId, TopicId};
use raft::outcome::Outcome;
use raft::request::{NewConsumer, NewTopic, Rejection};
use raft::settings::{GroupChange, RetryPolicy, TopicSettings};
use store::position::LogPosition;
use store::tables::MemoryTables;

pub struct Meta {
    pub machine: MetaMachine<MemoryTables>,
    tables: MemoryTables,
    index: u64,
}

impl Meta {
    pub fn with_groups(groups: &[u32]) -> Meta {
        let tables = MemoryTables::new();
        let mut meta = Meta { machine: MetaMachine::open(tables.clone()).unwrap(), tables, index: 0 };
        let groups = groups.iter().map(|group| GroupId(*group)).collect();
        assert_eq!(meta.act(MetaAction::SetGroups(groups)), Outcome::Done);
        meta
    }

    pub fn act(&mut self, action: MetaAction) -> Outcome {
        self.command(MetaCommand { request: 0, action })
    }

    fn command(&mut self, command: MetaCommand) -> Outcome {
        self.bytes(&command.encode()).0
    }

    fn bytes(&mut self, command: &Bytes) -> (Outcome, bool) {
        let applied = self.applied(command).unwrap();
        (applied.outcomes[0].clone(), applied.effects.catalog_changed)
    }

    fn applied(&mut self, command: &Bytes) -> Result<AppliedFrame, MachineFailure> {
        let mut builder = FrameBuilder::default();
        builder.push(command).unwrap();
        self.index += 1;
        let position = LogPosition(self.index * 100);
        let frame = FrameContext { index: self.index, term: 1, leader: 1, position, stamp_ms: 7 };
        self.machine.apply(frame, &builder.finish().0)
    }

    /// The same after it was opened again.
    pub fn reopened(&mut self) {
        let (catalog, digest) = (self.machine.catalog(), self.machine.digest().unwrap());
        self.machine = MetaMachine::open(self.tables.clone()).unwrap();
        assert_eq!(self.machine.catalog(), catalog);
        assert_eq!(self.machine.digest().unwrap(), digest);
    }
}

fn topic(name: &str, queues: u32, if_not_exists: bool) -> MetaAction {
    MetaAction::CreateTopic(NewTopic {
        name: name.into(),
        kind: TopicType::Normal,
        queues,
        if_not_exists,
        settings: Default::default(),
    })
}

fn consumer(name: &str, if_not_exists: bool) -> MetaAction {
    MetaAction::CreateConsumer(NewConsumer {
        name: name.into(),
        fifo: false,
        max_attempts: 16,
        start: StartFrom::First,
        if_not_exists,
        settings: Default::default(),
    })
}

fn made(outcome: Outcome) -> Topic {
    let Outcome::Topic(topic) = outcome else { panic!("not a topic: {outcome:?}") };
    topic
}

fn groups_of(topic: &Topic) -> Vec<u32> {
    topic.queues.iter().map(|group| group.0).collect()
}

#[test]
fn queues_are_spread_over_the_groups_from_another_one_on_for_each_topic() {
    let mut meta = Meta::with_groups(&[3, 1, 2]);
    assert_eq!(groups_of(&made(meta.act(topic("a", 4, false)))), [2, 3, 1, 2]);
    assert_eq!(groups_of(&made(meta.act(topic("b", 4, false)))), [3, 1, 2, 3]);
    meta.reopened();
    assert_eq!(groups_of(&made(meta.act(topic("c", 2, false)))), [1, 2]);
}

#[test]
fn r10_a_topic_is_made_once_and_its_number_never_again() {
    let mut meta = Meta::with_groups(&[1]);
    let first = made(meta.act(topic("a", 2, false)));
    assert_eq!(made(meta.act(topic("a", 5, true))), first);
    let exists = Rejection::AlreadyExists { what: "topic".into(), name: "a".into() };
    assert_eq!(meta.act(topic("a", 2, false)), Outcome::Rejected(exists));
    assert_eq!(made(meta.act(MetaAction::DeleteTopic { name: "a".into() })), first);
    let missing = Outcome::Rejected(Rejection::TopicNotFound { name: "a".into() });
    assert_eq!(meta.act(MetaAction::DeleteTopic { name: "a".into() }), missing);
    meta.reopened();
    assert!(made(meta.act(topic("a", 2, false))).id > first.id);
}

#[test]
fn a_topic_gets_wider_and_keeps_the_queues_that_it_has() {
    let mut meta = Meta::with_groups(&[1, 2]);
    let before = made(meta.act(topic("a", 3, false)));
    let update = |kind, queues| MetaAction::UpdateTopic {
        name: "a".into(),
        kind,
        queues,
        settings: Default::default(),
    };
    let wider = made(meta.act(update(Some(TopicType::Fifo), Some(5))));
    assert_eq!(wider.queues[..3], before.queues[..]);
    assert_eq!((wider.queues.len(), wider.kind), (5, TopicType::Fifo));
    assert!(matches!(meta.act(update(None, Some(4))), Outcome::Rejected(Rejection::Invalid(_))));
    assert!(matches!(meta.act(update(None, Some(9_999))), Outcome::Rejected(Rejection::Invalid(_))));
    assert_eq!(made(meta.act(update(None, None))), wider);
    meta.reopened();
}

#[test]
fn a_consumer_group_gets_a_queue_for_dead_letters_in_every_group() {
    let mut meta = Meta::with_groups(&[1, 2]);
    let Outcome::Consumer(made) = meta.act(consumer("c", false)) else { panic!("no consumer group") };
    let dead_letters = |meta: &Meta| {
        let catalog = meta.machine.catalog();
        let topic = catalog.topic_by_id(made.dead_letters).unwrap();
        (topic.name.clone(), groups_of(topic))
    };
    assert_eq!(dead_letters(&meta), ("%DLQ%c".to_string(), vec![1, 2]));
    assert_eq!(meta.act(consumer("c", true)), Outcome::Consumer(made.clone()));
    assert!(matches!(meta.act(consumer("c", false)), Outcome::Rejected(_)));
    // A new broker group gets one too; the others keep theirs.
    assert_eq!(meta.act(MetaAction::SetGroups(vec![GroupId(1), GroupId(2), GroupId(3)])), Outcome::Done);
    assert_eq!(dead_letters(&meta).1, [1, 2, 3]);
    // The dead letters outlive the consumer group, and go to the next one of that name.
    assert_eq!(meta.act(MetaAction::DeleteConsumer { name: "c".into() }), Outcome::Consumer(made.clone()));
    meta.reopened();
    let Outcome::Consumer(again) = meta.act(consumer("c", false)) else { panic!("no consumer group") };
    assert_eq!(again.dead_letters, made.dead_letters);
    assert!(again.id > made.id);
}

#[test]
fn a_repeated_request_gets_the_first_ones_outcome() {
    let mut meta = Meta::with_groups(&[1]);
    let create = MetaCommand { request: 1 << 100, action: topic("a", 2, false) };
    let first = meta.command(create.clone());
    assert_eq!(meta.command(create.clone()), first);
    meta.reopened();
    assert_eq!(meta.command(create.clone()), first);
    for request in 1..=1_024 {
        meta.command(MetaCommand { request, action: topic("a", 2, true) });
    }
    assert!(matches!(meta.command(create), Outcome::Rejected(Rejection::AlreadyExists { .. })));
    meta.reopened();
}

#[test]
fn only_a_change_is_a_change() {
    let mut meta = Meta::with_groups(&[1]);
    let info = |port: u16| NodeInfo {
        id: NodeId(1),
        name: "n1".into(),
        grpc: format!("127.0.0.1:{port}"),
        http: "h".into(),
        peer: "p".into(),
        incarnation: 0,
    };
    let register = |port| MetaCommand { request: 0, action: MetaAction::RegisterNode(info(port)) }.encode();
    assert_eq!(meta.bytes(&register(1)), (Outcome::Done, true));
    let version = meta.machine.catalog().version;
    assert_eq!(meta.bytes(&register(1)), (Outcome::Done, false));
    assert_eq!(meta.machine.catalog().version, version);
    assert_eq!(meta.bytes(&register(2)), (Outcome::Done, true));
    assert_eq!(meta.machine.catalog().nodes[&NodeId(1)], info(2));
    assert_eq!(meta.machine.catalog().version, version + 1);
    meta.reopened();
}

#[test]
fn nonsense_is_refused() {
    let mut meta = Meta::with_groups(&[]);
    assert!(matches!(meta.act(topic("a", 1, false)), Outcome::Rejected(Rejection::Invalid(_))));
    assert!(matches!(meta.act(consumer("a", false)), Outcome::Rejected(Rejection::Invalid(_))));
    meta.act(MetaAction::SetGroups(vec![GroupId(1), GroupId(2)]));
    let fewer = MetaAction::SetGroups(vec![GroupId(2)]);
    assert!(matches!(meta.act(fewer), Outcome::Rejected(Rejection::Invalid(_))));
    let with_meta = MetaAction::SetGroups(vec![GroupId(0), GroupId(1), GroupId(2)]);
    assert!(matches!(meta.act(with_meta), Outcome::Rejected(Rejection::Invalid(_))));
    assert!(matches!(meta.act(topic("a", 0, false)), Outcome::Rejected(Rejection::Invalid(_))));
    let garbage = raft::command::encode_meta(0, b"{}");
    assert!(matches!(meta.bytes(&garbage).0, Outcome::Rejected(Rejection::Invalid(_))));
    let of_a_broker_group = raft::command::encode_delete_topic(TopicId(1));
    assert!(matches!(meta.bytes(&of_a_broker_group).0, Outcome::Rejected(Rejection::Invalid(_))));
}

#[test]
fn settings_change_one_by_one_and_survive_a_restart() {
    let mut meta = Meta::with_groups(&[1]);
    let before = made(meta.act(topic("a", 1, false)));
    let set = |settings| MetaAction::UpdateTopic { name: "a".into(), kind: None, queues: None, settings };
    let ttl = made(meta.act(set(TopicSettings { ttl_ms: Some(5), ..TopicSettings::default() })));
    assert_eq!((ttl.settings.ttl_ms, ttl.revision), (Some(5), before.revision + 1));
    let both = made(meta.act(set(TopicSettings { max_messages_per_s: Some(9), ..TopicSettings::default() })));
    assert_eq!((both.settings.ttl_ms, both.settings.max_messages_per_s), (Some(5), Some(9)));
    let less = made(meta.act(set(TopicSettings { ttl_ms: Some(0), ..TopicSettings::default() })));
    assert_eq!((less.settings.ttl_ms, less.settings.max_messages_per_s), (None, Some(9)));
    meta.reopened();

    meta.act(consumer("c", false));
    let change = |change| MetaAction::UpdateConsumer { name: "c".into(), change };
    let paused = GroupChange { paused: Some(true), max_attempts: Some(3), ..GroupChange::default() };
    let Outcome::Consumer(paused) = meta.act(change(paused)) else { panic!("no consumer group") };
    assert_eq!((paused.settings.paused, paused.max_attempts, paused.revision), (true, 3, 1));
    meta.reopened();
    for nonsense in [
        GroupChange { max_attempts: Some(0), ..GroupChange::default() },
        GroupChange { retry: Some(RetryPolicy::Levels(vec![])), ..GroupChange::default() },
    ] {
        assert!(matches!(meta.act(change(nonsense)), Outcome::Rejected(Rejection::Invalid(_))));
    }
    assert_eq!(meta.machine.catalog().consumers["c"], paused);
    let missing = MetaAction::UpdateConsumer { name: "d".into(), change: GroupChange::default() };
    assert_eq!(meta.act(missing), Outcome::Rejected(Rejection::ConsumerNotFound { name: "d".into() }));
}

#[test]
fn rows_and_commands_from_before_the_settings_are_read() {
    let topic: Topic =
        serde_json::from_str(r#"{"id":1,"name":"a","kind":"normal","queues":[1],"created_ms":5}"#).unwrap();
    assert!(topic.settings.is_empty());
    let group: ConsumerGroup = serde_json::from_str(
        r#"{"id":1,"name":"c","fifo":false,"max_attempts":16,"start":"first","dead_letters":2,"created_ms":5}"#,
    )
    .unwrap();
    assert_eq!(group.settings.retry, RetryPolicy::default());
    let update = r#"{"update_topic":{"name":"a","kind":null,"queues":3}}"#;
    assert!(serde_json::from_str::<MetaAction>(update).is_ok());
    let create = r#"{"create_topic":{"name":"a","kind":"normal","queues":3,"if_not_exists":true}}"#;
    let action: MetaAction = serde_json::from_str(create).unwrap();
    assert_eq!(serde_json::to_string(&action).unwrap(), create);
}

#[test]
fn a_topic_that_is_widened_remembers_over_what_message_groups_are_spread() {
    let mut meta = Meta::with_groups(&[1]);
    assert_eq!(made(meta.act(topic("a", 4, false))).ordered().len(), 4);
    let widen = |queues| MetaAction::UpdateTopic {
        name: "a".into(),
        kind: None,
        queues: Some(queues),
        settings: TopicSettings::default(),
    };
    for queues in [8, 16] {
        let wide = made(meta.act(widen(queues)));
        assert_eq!((wide.queues.len() as u32, wide.ordered().len()), (queues, 4));
    }
    meta.reopened();
    assert_eq!(meta.machine.catalog().topics["a"].ordered().len(), 4);
}

fn widen(queues: u32) -> MetaAction {
    let (name, settings) = ("a".into(), TopicSettings::default());
    MetaAction::UpdateTopic { name, kind: None, queues: Some(queues), settings }
}

fn begin() -> MetaAction {
    MetaAction::Spread(SpreadAction::Begin { name: "a".into(), within_ms: 100 })
}

#[test]
fn message_groups_are_spread_by_a_step_that_is_begun_and_finished_once() {
    let mut meta = Meta::with_groups(&[1, 2]);
    let id = made(meta.act(topic("a", 4, false))).id;
    assert_eq!(made(meta.act(begin())).mapping.spreading, None, "there is nothing to spread");
    meta.act(widen(6));
    let begun = made(meta.act(begin()));
    let step = begun.mapping.spreading.expect("it has begun");
    assert_eq!((step.generation, step.from, step.to, step.until_ms), (1, 4, 6, 107));
    assert_eq!((begun.ordered().len(), begun.mapping.generation), (4, 0), "the old mapping holds");
    meta.act(widen(8));
    assert_eq!(made(meta.act(begin())).mapping.spreading, Some(step), "it goes on");
    let finish = |generation| MetaAction::Spread(SpreadAction::Finish { topic: id, generation });
    assert_eq!(made(meta.act(finish(2))).mapping.spreading, Some(step), "another one");
    for _ in 0..2 {
        let done = made(meta.act(finish(1)));
        assert_eq!((done.ordered().len(), done.mapping.generation, done.mapping.spreading), (6, 1, None));
        assert_eq!(done.mapping.steps.len(), 1);
        assert_eq!(done.lite_groups(), [GroupId(1), GroupId(2)]);
        meta.reopened();
    }
    let given_up = MetaAction::Spread(SpreadAction::GiveUp { topic: id, generation: 1, why: "late".into() });
    assert_eq!(made(meta.act(given_up)).mapping.given_up, None, "it was finished");
    let again = made(meta.act(begin())).mapping.spreading.expect("two queues are new since then");
    assert_eq!((again.generation, again.from, again.to), (2, 6, 8));
    meta.reopened();
}

#[test]
fn a_step_that_is_given_up_leaves_the_mapping_under_a_new_generation() {
    let mut meta = Meta::with_groups(&[1]);
    let id = made(meta.act(topic("a", 4, false))).id;
    meta.act(widen(8));
    meta.act(begin());
    let give_up = MetaAction::Spread(SpreadAction::GiveUp { topic: id, generation: 1, why: "late".into() });
    for _ in 0..2 {
        let topic = made(meta.act(give_up.clone()));
        assert_eq!((topic.ordered().len(), topic.mapping.generation, topic.mapping.spreading), (4, 1, None));
        assert_eq!(topic.mapping.given_up.as_ref().map(|it| it.why.as_str()), Some("late"));
    }
    let finish = MetaAction::Spread(SpreadAction::Finish { topic: id, generation: 1 });
    assert_eq!(made(meta.act(finish)).ordered().len(), 4, "it was given up");
    meta.reopened();
    let again = made(meta.act(begin()));
    assert_eq!((again.mapping.spreading.unwrap().generation, again.mapping.given_up), (2, None));
    for kind in [TopicType::Lite, TopicType::Priority] {
        let new = NewTopic {
            name: "b".into(),
            kind,
            queues: 1,
            if_not_exists: false,
            settings: Default::default(),
        };
        meta.act(MetaAction::CreateTopic(new));
        let begin = MetaAction::Spread(SpreadAction::Begin { name: "b".into(), within_ms: 1 });
        assert!(matches!(meta.act(begin), Outcome::Rejected(Rejection::Invalid(_))), "{kind:?}");
        meta.act(MetaAction::DeleteTopic { name: "b".into() });
    }
}

#[test]
fn ids_of_nodes_are_given_out_once() {
    let mut meta = Meta::with_groups(&[1]);
    let node = |incarnation: u64| NodeInfo {
        id: NodeId(0),
        name: format!("n{incarnation}"),
        grpc: "g".into(),
        http: "h".into(),
        peer: "p".into(),
        incarnation,
    };
    let admit = |incarnation, above| MetaAction::AdmitNode { node: node(incarnation), above: NodeId(above) };
    let ids = |meta: &Meta| meta.machine.catalog().nodes.keys().map(|id| id.0).collect::<Vec<_>>();
    // Three founders, of which `meta` knows one so far.
    assert_eq!(meta.act(MetaAction::RegisterNode(NodeInfo { id: NodeId(1), ..node(1) })), Outcome::Done);
    assert_eq!(meta.act(admit(9, 3)), Outcome::Done);
    assert_eq!(ids(&meta), [1, 4]);
    assert_eq!(meta.act(admit(9, 3)), Outcome::Done, "the same one asks again");
    assert_eq!(ids(&meta), [1, 4]);
    assert_eq!(meta.act(MetaAction::RemoveNode { node: NodeId(4) }), Outcome::Done);
    assert_eq!(meta.act(MetaAction::RemoveNode { node: NodeId(4) }), Outcome::Done);
    meta.reopened();
    assert_eq!(meta.act(admit(10, 1)), Outcome::Done);
    assert_eq!(ids(&meta), [1, 5], "the id of a node that was removed came back");
    let back = MetaAction::RegisterNode(NodeInfo { id: NodeId(4), ..node(9) });
    assert!(matches!(meta.act(back), Outcome::Rejected(Rejection::Invalid(_))), "a removed node is back");
    let nobody = MetaAction::RemoveNode { node: NodeId(7) };
    assert!(matches!(meta.act(nobody), Outcome::Rejected(Rejection::Invalid(_))));
    meta.act(MetaAction::RemoveNode { node: NodeId(5) });
    let last = MetaAction::RemoveNode { node: NodeId(1) };
    assert!(matches!(meta.act(last), Outcome::Rejected(Rejection::Invalid(_))), "nobody is left");
    meta.reopened();
}

#[test]
fn broker_groups_come_with_those_who_begin_them() {
    let mut meta = Meta::with_groups(&[1]);
    let info = NodeInfo {
        id: NodeId(1),
        name: "n1".into(),
        grpc: "g".into(),
        http: "h".into(),
        peer: "p".into(),
        incarnation: 1,
    };
    meta.act(MetaAction::RegisterNode(info));
    meta.act(consumer("c", false));
    let add = |count, founders: &[u64]| MetaAction::AddGroups {
        count,
        founders: founders.iter().map(|id| NodeId(*id)).collect(),
        placed: false,
    };
    assert_eq!(meta.act(add(2, &[1])), Outcome::Done);
    let catalog = meta.machine.catalog();
    assert_eq!(catalog.groups, [GroupId(1), GroupId(2), GroupId(3)]);
    assert_eq!(catalog.founders[&GroupId(3)], [NodeId(1)]);
    assert_eq!(catalog.topics["%DLQ%c"].queues.len(), 3, "dead letters of the new groups have a place");
    for nonsense in [add(0, &[1]), add(1, &[]), add(1, &[2]), add(64, &[1]), add(u32::MAX, &[1])] {
        assert!(matches!(meta.act(nonsense), Outcome::Rejected(Rejection::Invalid(_))));
    }
    meta.reopened();
}

#[test]
fn the_feature_level_only_rises() {
    let mut meta = Meta::with_groups(&[1]);
    let level = |meta: &Meta| meta.machine.catalog().feature_level.0;
    assert_eq!(level(&meta), 1, "data that does not say is of the first level");
    for (to, then) in [(3, 3), (2, 3), (3, 3)] {
        assert_eq!(meta.act(MetaAction::RaiseFeatureLevel(FeatureLevel(to))), Outcome::Done);
        assert_eq!(level(&meta), then);
        meta.reopened();
    }
}

#[test]
fn an_action_of_a_newer_version_stops_the_machine() {
    for newer in [&b"{\"fly\":{\"to\":\"the moon\"}}"[..], b"\"fly\""] {
        let mut meta = Meta::with_groups(&[1]);
        let failure = meta.applied(&raft::command::encode_meta(0, newer)).unwrap_err();
        assert!(failure.to_string().contains("action fly of `meta` is unknown to this build"), "{failure}");
    }
}

#[test]
fn broker_groups_are_placed_on_nodes_and_on_others_later() {
    let mut meta = Meta::with_groups(&[1]);
    for id in 1..=4 {
        let text = |what: &str| format!("{what}{id}");
        let (name, grpc, http, peer) = (text("n"), text("g"), text("h"), text("p"));
        meta.act(MetaAction::RegisterNode(NodeInfo {
            id: NodeId(id),
            name,
            grpc,
            http,
            peer,
            incarnation: id,
        }));
    }
    let founders = vec![NodeId(1), NodeId(2), NodeId(3)];
    assert_eq!(meta.act(MetaAction::AddGroups { count: 1, founders, placed: true }), Outcome::Done);
    let place = |group, node, holds| MetaAction::Place { group: GroupId(group), node: NodeId(node), holds };
    let catalog = meta.machine.catalog();
    assert!(catalog.holds(NodeId(3), GroupId(2)) && !catalog.holds(NodeId(4), GroupId(2)));
    assert!(catalog.holds(NodeId(4), GroupId(1)), "what is not placed is everywhere");
    assert_eq!(meta.act(place(2, 4, true)), Outcome::Done);
    assert_eq!(meta.act(place(2, 1, false)), Outcome::Done);
    assert_eq!(meta.act(place(2, 1, false)), Outcome::Done, "it may be repeated");
    assert_eq!(meta.act(MetaAction::RemoveNode { node: NodeId(2) }), Outcome::Done);
    let expected = [NodeId(3), NodeId(4)];
    assert!(meta.machine.catalog().holders[&GroupId(2)].iter().eq(expected.iter()));
    assert_eq!(meta.act(place(2, 3, false)), Outcome::Done);
    for nonsense in [
        place(2, 4, false),
        place(2, 9, true),
        place(1, 4, true),
        place(7, 4, true),
        MetaAction::RemoveNode { node: NodeId(4) },
    ] {
        assert!(matches!(meta.act(nonsense), Outcome::Rejected(Rejection::Invalid(_))));
    }
    meta.reopened();
}
