//! Priorities and times to live, as producers and consumers meet them.

use std::time::Duration;

use proto::v2::{Code, Message, MessageType, QueryAssignmentRequest, ReceiveMessageRequest};
use raft::catalog::{StartFrom, TopicType};
use raft::request::NewConsumer;
use raft::settings::TopicSettings;

use crate::support::*;

fn urgent(topic: &str, body: &str, priority: i32) -> Message {
    message_with(topic, body, |system| system.priority = Some(priority))
}

#[tokio::test]
async fn the_highest_priority_comes_first_and_says_so() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("alarms", TopicType::Priority, 4).await;
    assert_eq!(server.node.catalog().topics["alarms"].groups().len(), 1, "one receive sees all levels");
    let client = server.client("c1").await;
    for (body, priority) in [("a0", 0), ("b2", 2), ("c1", 1), ("d9", 9), ("e2", 2), ("f3", 3)] {
        client.send(urgent("alarms", body, priority)).await;
    }
    let (status, received) = client.receive(receive("alarms", "g", 5_000)).await;
    assert_eq!(status, ok());
    let seen: Vec<_> =
        received.iter().map(|message| (body(message), system(message).priority.unwrap())).collect();
    // Higher than the topic has levels: the highest level, and the number is kept.
    let expected =
        [("d9", 9), ("f3", 3), ("b2", 2), ("e2", 2), ("c1", 1), ("a0", 0)].map(|(b, p)| (b.to_owned(), p));
    assert_eq!(seen, expected);
    assert!(received.iter().all(|message| system(message).message_type() == MessageType::Priority));
}

#[tokio::test]
async fn an_ordered_push_group_reads_the_levels_together() {
    let server = Server::start().await;
    server.topic("alarms", TopicType::Priority, 4).await;
    let consumer = NewConsumer {
        name: "g".into(),
        fifo: true,
        max_attempts: 16,
        start: StartFrom::First,
        settings: Default::default(),
        if_not_exists: false,
    };
    server.node.create_consumer(consumer, soon()).await.expect("the group is made");
    let mut client = server.client("c1").await;
    let request = client.request(QueryAssignmentRequest {
        topic: Some(resource("alarms")),
        group: Some(resource("g")),
        endpoints: None,
    });
    let answer = client.stub.query_assignment(request).await.unwrap().into_inner();
    let ids: Vec<_> = answer.assignments.iter().map(|one| one.message_queue.as_ref().unwrap().id).collect();
    assert_eq!(ids, [-1]);
    for priority in [0, 1, 2] {
        client.send(urgent("alarms", &priority.to_string(), priority)).await;
    }
    let one = |wait_ms| ReceiveMessageRequest { batch_size: 1, ..push("alarms", "g", wait_ms) };
    // Nothing is old yet, but the first lease of all is one for the old: it goes by priority too.
    for expected in ["2", "1", "0"] {
        let (_, received) = client.receive(one(5_000)).await;
        assert_eq!(received.iter().map(body).collect::<Vec<_>>(), [expected]);
        client.ack("alarms", "g", &received).await;
    }
}

#[tokio::test]
async fn what_does_not_go_together_with_a_priority_is_refused() {
    let server = Server::start().await;
    server.topic("alarms", TopicType::Priority, 4).await;
    server.topic("plain", TopicType::Normal, 4).await;
    let client = server.client("c1").await;
    let refused = |message: Message| {
        let client = client.clone();
        async move { client.send_all(vec![message]).await.status.unwrap() }
    };
    for (message, code) in [
        (urgent("plain", "x", 1), Code::MessagePropertyConflictWithType),
        (message("alarms", "x"), Code::MessagePropertyConflictWithType),
        (urgent("alarms", "x", -1), Code::BadRequest),
    ] {
        let status = refused(message).await;
        assert_eq!(status.code(), code, "{}", status.message);
    }
    let mut ordered = urgent("alarms", "x", 1);
    ordered.system_properties.as_mut().unwrap().message_group = Some("m".into());
    assert_eq!(refused(ordered).await.code(), Code::MessagePropertyConflictWithType);
    assert_eq!(client.receive(receive("alarms", "g", 200)).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_topic_whose_queues_lie_apart_becomes_no_priority_topic() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("plain", TopicType::Normal, 4).await;
    let kind = Some(TopicType::Priority);
    let changed = server.node.update_topic("plain", kind, None, TopicSettings::default(), soon()).await;
    let refused = changed.expect_err("its queues lie in two broker groups").to_string();
    assert!(refused.contains("make a new topic"), "{refused}");
    // One that is widened keeps its queues together.
    server.topic("alarms", TopicType::Priority, 2).await;
    let wider = server.node.update_topic("alarms", None, Some(8), TopicSettings::default(), soon()).await;
    let wider = wider.expect("it is widened");
    assert_eq!((wider.queues.len(), wider.groups().len()), (8, 1));
}

#[tokio::test]
async fn a_message_beyond_its_time_to_live_is_not_delivered_any_more() {
    let server = Server::start().await;
    server.topic("news", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    let live = |ttl_ms| {
        let settings = TopicSettings { ttl_ms: Some(ttl_ms), ..TopicSettings::default() };
        server.node.update_topic("news", None, None, settings, soon())
    };
    client.send(message("news", "leased")).await;
    let (_, leased) = client.receive(receive("news", "g", 5_000)).await;
    assert_eq!(leased.len(), 1);
    client.send(message("news", "fresh")).await;
    live(1).await.expect("the topic is changed");
    // There is no event to wait for: the clock moves on.
    tokio::time::sleep(Duration::from_millis(5)).await;
    for group in ["g", "h"] {
        assert_eq!(client.receive(receive("news", group, 200)).await.0.code(), Code::MessageNotFound);
    }
    assert_eq!(server.node.messages_expired(), 3, "one for g, two for h");
    // Who holds a lease may still settle it.
    assert_eq!(client.ack("news", "g", &leased).await.status, Some(ok()));
    live(0).await.expect("the topic is changed");
    client.send(message("news", "new")).await;
    for group in ["g", "h"] {
        assert_eq!(client.bodies(receive("news", group, 5_000)).await, ["new"], "{group}");
    }
    live(3_600_000).await.expect("the topic is changed");
    client.send(message("news", "newer")).await;
    assert_eq!(client.bodies(receive("news", "g", 5_000)).await, ["newer"]);
}
