//! SQL92 filters, as a consumer meets them.

use std::time::{Duration, Instant};

use proto::v2::settings::PubSub;
use proto::v2::telemetry_command::Command;
use proto::v2::{
    ChangeInvisibleDurationRequest, ClientType, Code, FilterExpression, FilterType, Message,
    ReceiveMessageRequest, Settings, Subscription, SubscriptionEntry, TelemetryCommand,
};
use raft::catalog::{StartFrom, TopicType};
use raft::names::GroupId;
use raft::request::NewConsumer;

use crate::support::*;

fn sql(text: &str) -> FilterExpression {
    FilterExpression { r#type: FilterType::Sql as i32, expression: text.into() }
}

fn wanting(text: &str, topic: &str, group: &str, wait_ms: i64) -> ReceiveMessageRequest {
    ReceiveMessageRequest { filter_expression: Some(sql(text)), ..receive(topic, group, wait_ms) }
}

fn with(mut message: Message, properties: &[(&str, &str)]) -> Message {
    message.user_properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    message
}

/// How far the log of the first broker group has grown, in entries.
async fn entries(server: &Server) -> u64 {
    server.node.replica_digest(GroupId(1)).await.expect("a digest").0
}

#[tokio::test]
async fn one_of_a_thousand_comes_and_the_others_cost_nothing() {
    for (broker_groups, queues) in [(1, 1), (2, 8)] {
        let server = Server::start_with(broker_groups, |_| {}).await;
        server.topic("demo", TopicType::Normal, queues).await;
        let client = server.client("c1").await;
        let numbered =
            |number: usize| with(message("demo", &number.to_string()), &[("number", &number.to_string())]);
        for batch in 0..3 {
            client.send_all((0..1000).map(|number| numbered(batch * 1000 + number)).collect()).await;
        }
        let filter = "number BETWEEN 777 AND 777 OR number IN ('1777', '2777')";
        let mut bodies = Vec::new();
        while bodies.len() < 3 {
            let (status, received) = client.receive(wanting(filter, "demo", "g", 20_000)).await;
            assert_eq!(status, ok(), "after {bodies:?}");
            bodies.extend(received.iter().map(body));
            client.ack("demo", "g", &received).await;
        }
        bodies.sort();
        assert_eq!(bodies, ["1777", "2777", "777"], "{broker_groups} broker groups");

        // Nothing else matches: it waits, and what does not match wakes it without a trace in the log.
        assert_eq!(client.receive(wanting(filter, "demo", "g", 200)).await.0.code(), Code::MessageNotFound);
        let before = entries(&server).await;
        let polling = tokio::spawn({
            let client = client.clone();
            async move { client.bodies(wanting("number = 5000", "demo", "g", 20_000)).await }
        });
        for number in 4000..4050 {
            client.send(numbered(number)).await;
        }
        let grown = entries(&server).await - before;
        assert!(grown <= 51, "50 sends made {grown} entries");
        client.send(numbered(5000)).await;
        assert_eq!(polling.await.unwrap(), ["5000"]);
    }
}

#[tokio::test]
async fn a_filter_that_nothing_matches_moves_on() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    for _ in 0..3 {
        let batch = (0..1000).map(|_| with(message("demo", "x"), &[("a", "1")])).collect();
        client.send_all(batch).await;
    }
    let start = Instant::now();
    assert_eq!(client.receive(wanting("a = 2", "demo", "g", 1_000)).await.0.code(), Code::MessageNotFound);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // The place of the group in the queue moved along, so nothing of this is judged again for ever.
    let topic = server.node.catalog().topics["demo"].clone();
    let group = server.node.catalog().consumers["g"].id;
    let state = server.node.places(&topic, Some(group), soon()).await.unwrap()[0].state;
    assert!(state.next >= 1_024, "{state:?}");
    assert!(state.in_flight == 0 && state.settled == state.next, "{state:?}");
    // Without a filter the rest comes: what is passed over is settled only as far as that was noted.
    let (status, rest) = client.receive(receive("demo", "g", 5_000)).await;
    assert_eq!(status, ok());
    assert_eq!(system(&rest[0]).queue_offset, Some(state.next as i64));
}

#[tokio::test]
async fn a_wanted_message_comes_again_until_it_is_settled() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let mut client = server.client("c1").await;
    client.send(with(message("demo", "no"), &[("a", "4")])).await;
    client.send(with(message("demo", "yes"), &[("a", "6")])).await;
    let (_, first) = client.receive(wanting("a > 5", "demo", "g", 5_000)).await;
    assert_eq!(first.iter().map(body).collect::<Vec<_>>(), ["yes"]);
    let back = client.request(ChangeInvisibleDurationRequest {
        group: Some(resource("g")),
        topic: Some(resource("demo")),
        receipt_handle: receipt(&first[0]),
        invisible_duration: Some(seconds(0)),
        message_id: system(&first[0]).message_id.clone(),
        ..ChangeInvisibleDurationRequest::default()
    });
    client.stub.change_invisible_duration(back).await.expect("it is given back");
    let (_, again) = client.receive(wanting("a > 5", "demo", "g", 5_000)).await;
    assert_eq!((body(&again[0]).as_str(), system(&again[0]).delivery_attempt), ("yes", Some(2)));
    client.ack("demo", "g", &again).await;
    let nothing = wanting("a > 5", "demo", "g", 200);
    assert_eq!(client.receive(nothing).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn order_holds_among_the_wanted_ones_of_a_message_group() {
    let server = Server::start().await;
    server.topic("orders", TopicType::Fifo, 4).await;
    let ordered = NewConsumer {
        name: "g".into(),
        fifo: true,
        max_attempts: 16,
        start: StartFrom::First,
        settings: Default::default(),
        if_not_exists: false,
    };
    server.node.create_consumer(ordered, soon()).await.expect("the group is made");
    let client = server.client("c1").await;
    for number in 0..40 {
        let message = message_with("orders", &number.to_string(), |system| {
            system.message_group = Some(format!("customer-{}", number % 2));
            system.tag = Some(if number % 4 < 2 { "paid" } else { "open" }.into());
        });
        client.send(message).await;
    }
    let mut seen = [Vec::new(), Vec::new()];
    while seen[0].len() + seen[1].len() < 20 {
        let one = ReceiveMessageRequest { batch_size: 3, ..wanting("TAGS = 'paid'", "orders", "g", 5_000) };
        let (status, received) = client.receive(one).await;
        assert_eq!(status, ok(), "after {seen:?}");
        for message in &received {
            let number: usize = body(message).parse().unwrap();
            seen[number % 2].push(number);
        }
        client.ack("orders", "g", &received).await;
    }
    for (customer, numbers) in seen.iter().enumerate() {
        let expected: Vec<_> = (0..10).map(|at| at * 4 + customer).collect();
        assert_eq!(numbers, &expected, "customer {customer}");
    }
}

#[tokio::test]
async fn two_filters_of_one_group_do_not_get_in_each_others_way() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    for group in ["even", "odd"] {
        client.receive(receive("demo", group, 100)).await;
    }
    for number in 0..10 {
        client.send(with(message("demo", &number.to_string()), &[("odd", &(number % 2).to_string())])).await;
    }
    assert_eq!(client.bodies(wanting("odd = 0", "demo", "even", 5_000)).await, ["0", "2", "4", "6", "8"]);
    assert_eq!(client.bodies(wanting("odd = 1", "demo", "odd", 5_000)).await, ["1", "3", "5", "7", "9"]);
}

#[tokio::test]
async fn a_wrong_filter_is_refused_before_anything_happens() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let deep = "(".repeat(1000);
    let endless = "a = 1 OR ".repeat(100_000);
    for (text, sentence) in [
        ("a > 'x'", "at character 5: a text cannot be compared with <"),
        ("a LIKE 'x'", "at character 3: AND, OR or the end of the filter must stand here, not LIKE"),
        ("", "at character 1: "),
        (deep.as_str(), "conditions stand in each other more than"),
        (endless.as_str(), "the filter has 900000 bytes; at most"),
    ] {
        let start = Instant::now();
        let (status, received) = client.receive(wanting(text, "demo", "g", 20_000)).await;
        assert_eq!((status.code(), received.len()), (Code::IllegalFilterExpression, 0), "{text}");
        assert!(status.message.contains(sentence), "{text}: {}", status.message);
        assert!(start.elapsed() < Duration::from_secs(5), "{text}: {:?}", start.elapsed());
    }
    assert!(!server.node.catalog().topics.contains_key("demo"), "no topic was made for it");

    let settings = |text: &str| {
        let entry = SubscriptionEntry { topic: Some(resource("demo")), expression: Some(sql(text)) };
        let subscription = Subscription {
            group: Some(resource("g")),
            subscriptions: vec![entry],
            ..Subscription::default()
        };
        let settings = Settings {
            client_type: Some(ClientType::PushConsumer as i32),
            pub_sub: Some(PubSub::Subscription(subscription)),
            ..Settings::default()
        };
        TelemetryCommand { status: None, command: Some(Command::Settings(settings)) }
    };
    for (text, code) in [("a > 5", Code::Ok), ("a >", Code::IllegalFilterExpression)] {
        let request = client.request(futures::stream::iter([settings(text)]));
        let mut answers = client.stub.telemetry(request).await.expect("a stream").into_inner();
        let answer = answers.message().await.expect("no gRPC error").expect("an answer");
        assert_eq!(answer.status.unwrap().code(), code, "{text}");
    }
}
