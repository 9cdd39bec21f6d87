//! Flow control: paused groups, the bound of messages in flight, quotas. And what says that messages are the same.

use proto::v2::{Code, Message, SendMessageResponse};
use raft::catalog::{StartFrom, TopicType};
use raft::request::{NewConsumer, NewTopic};
use raft::settings::{GroupChange, GroupSettings, TopicSettings};

use crate::support::*;

async fn group(server: &Server, name: &str, settings: GroupSettings) {
    let consumer = NewConsumer {
        name: name.into(),
        fifo: false,
        max_attempts: 16,
        start: StartFrom::First,
        if_not_exists: false,
        settings,
    };
    server.node.create_consumer(consumer, soon()).await.expect("the group is made");
}

async fn topic(server: &Server, name: &str, settings: TopicSettings) {
    let topic =
        NewTopic { name: name.into(), kind: TopicType::Mixed, queues: 4, if_not_exists: false, settings };
    server.node.create_topic(topic, soon()).await.expect("the topic is made");
}

async fn pause(server: &Server, name: &str, paused: bool) {
    let change = GroupChange { paused: Some(paused), ..GroupChange::default() };
    server.node.update_consumer(name, change, soon()).await.expect("the group is changed");
}

#[tokio::test]
async fn a_paused_group_gets_nothing_until_it_is_resumed() {
    let server = Server::start().await;
    topic(&server, "t", TopicSettings::default()).await;
    group(&server, "g", GroupSettings { paused: true, ..GroupSettings::default() }).await;
    let client = server.client("c1").await;
    client.send(message("t", "x")).await;
    let (status, _) = client.receive(receive("t", "g", 300)).await;
    assert_eq!(status.code(), Code::MessageNotFound, "as if nothing were there");
    assert_eq!(client.bodies(receive("t", "other", 5_000)).await, ["x"], "others are not paused");

    // A poll that waits is answered when the group goes on.
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.receive(receive("t", "g", 20_000)).await })
    };
    pause(&server, "g", false).await;
    let (_, received) = waiting.await.expect("no panic");
    assert_eq!(received.len(), 1);

    // What the group holds it may settle while it is paused; a poll that waits when it is paused gets nothing.
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.receive(receive("t", "g", 1_500)).await })
    };
    pause(&server, "g", true).await;
    client.send(message("t", "y")).await;
    assert_eq!(client.ack("t", "g", &received).await.status, Some(ok()));
    assert_eq!(waiting.await.expect("no panic").0.code(), Code::MessageNotFound);
    pause(&server, "g", false).await;
    assert_eq!(client.bodies(receive("t", "g", 5_000)).await, ["y"]);
}

#[tokio::test]
async fn a_group_has_no_more_in_flight_than_its_bound() {
    let server = Server::start().await;
    topic(&server, "t", TopicSettings::default()).await;
    group(&server, "g", GroupSettings { in_flight_max: Some(3), ..GroupSettings::default() }).await;
    let client = server.client("c1").await;
    for number in 0..5 {
        client.send(message("t", &number.to_string())).await;
    }
    let (_, held) = client.receive(receive("t", "g", 5_000)).await;
    assert_eq!(held.len(), 3);
    assert_eq!(client.receive(receive("t", "g", 300)).await.0.code(), Code::MessageNotFound);

    // What is settled wakes the poll that waits for room.
    let waiting = {
        let client = client.clone();
        tokio::spawn(async move { client.receive(receive("t", "g", 20_000)).await })
    };
    assert_eq!(client.ack("t", "g", &held[..1]).await.status, Some(ok()));
    let (_, next) = waiting.await.expect("no panic");
    assert_eq!(next.len(), 1);
    client.ack("t", "g", &held[1..]).await;
    assert_eq!(client.receive(receive("t", "g", 5_000)).await.1.len(), 1);
}

fn status_of(answer: SendMessageResponse) -> (i32, String) {
    let status = answer.status.expect("a status");
    (status.code, status.message)
}

/// Sends until one is refused: how many were taken, and the refusal.
async fn send_until_refused(client: &Client, topic: &str) -> (usize, i32, String) {
    for taken in 0..100 {
        let (code, text) = status_of(client.send_all(vec![message(topic, "0123456789")]).await);
        if code != 20_000 {
            return (taken, code, text);
        }
    }
    panic!("100 messages were taken")
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_answered_with_42900() {
    let server = Server::start_with(1, |options| options.limits.client_messages_per_s = 6).await;
    let messages = TopicSettings { max_messages_per_s: Some(3), ..TopicSettings::default() };
    let bytes = TopicSettings { max_bytes_per_s: Some(15), ..TopicSettings::default() };
    topic(&server, "messages", messages).await;
    topic(&server, "bytes", bytes).await;
    topic(&server, "free", TopicSettings::default()).await;

    let (taken, code, text) = send_until_refused(&server.client("c1").await, "messages").await;
    assert!((3..6).contains(&taken), "{taken} were taken");
    assert_eq!(code, 42_900);
    assert_eq!(text, "topic messages takes 3 messages in a second: try again later");
    let (taken, code, text) = send_until_refused(&server.client("c2").await, "bytes").await;
    assert!((2..5).contains(&taken), "{taken} were taken");
    assert_eq!((code, text.as_str()), (42_900, "topic bytes takes 15 bytes in a second: try again later"));
    let (taken, code, text) = send_until_refused(&server.client("c3").await, "free").await;
    assert!((6..12).contains(&taken), "{taken} were taken");
    assert_eq!((code, text.as_str()), (42_900, "a client may send 6 messages in a second: try again later"));
    // A batch is one request: it is taken whole or not at all.
    let batch = (0..3).map(|_| message("free", "x")).collect();
    let answer = server.client("c4").await.send_all(batch).await;
    assert_eq!((answer.status, answer.entries.len()), (Some(ok()), 3));
}

fn order(topic: &str, number: &str, body: &str) -> Message {
    let mut message = message(topic, body);
    message.user_properties.insert("order".into(), number.into());
    message
}

#[tokio::test]
async fn a_topic_may_say_by_which_property_its_messages_are_the_same() {
    let server = Server::start_with(2, |_| {}).await;
    let by_property = TopicSettings { dedup_property: Some("order".into()), ..TopicSettings::default() };
    topic(&server, "orders", by_property).await;
    let by_key = TopicSettings {
        dedup_property: Some("KEYS".into()),
        dedup_window_ms: Some(60_000),
        ..TopicSettings::default()
    };
    topic(&server, "keyed", by_key).await;
    let client = server.client("c1").await;

    let first = client.send(order("orders", "7", "first")).await;
    assert_eq!(client.send(order("orders", "7", "again")).await, first, "the first one's offset");
    client.send(order("orders", "8", "other")).await;
    // Without the property a message is what its id says.
    client.send(message("orders", "a")).await;
    client.send(message("orders", "b")).await;
    let mut bodies = Vec::new();
    while bodies.len() < 4 {
        bodies.extend(client.bodies(receive("orders", "g", 5_000)).await);
    }
    bodies.sort();
    assert_eq!(bodies, ["a", "b", "first", "other"]);
    assert_eq!(client.receive(receive("orders", "g", 200)).await.0.code(), Code::MessageNotFound);

    let keyed = |key: &str, body: &str| message_with("keyed", body, |system| system.keys = vec![key.into()]);
    for (key, text) in [("k1", "1"), ("k1", "2"), ("k2", "3")] {
        client.send(keyed(key, text)).await;
    }
    let mut bodies = Vec::new();
    while bodies.len() < 2 {
        bodies.extend(client.bodies(receive("keyed", "g", 5_000)).await);
    }
    bodies.sort();
    assert_eq!(bodies, ["1", "3"]);
}
