//! Messages looked up, their stories, and why one is not delivered.

use std::time::Duration;

use proto::admin::admin_client::AdminClient;
use proto::admin::query_messages_request::{By, Offset, Time};
use proto::admin::{
    CreateGroupRequest, ExplainDeliveryRequest, ExplainDeliveryResponse, QueryMessagesRequest,
    QueryMessagesResponse, StartFrom, TraceMessageRequest, UpdateGroupRequest,
};
use proto::v2::{ChangeInvisibleDurationRequest, FilterExpression, FilterType, Message, MessageType};
use raft::catalog::TopicType;
use raft::settings::TopicSettings;
use tonic::transport::Channel;

use crate::sessions::subscribe;
use crate::support::*;

async fn admin(server: &Server) -> AdminClient<Channel> {
    AdminClient::connect(format!("http://{}", server.address)).await.expect("a connection")
}

async fn query(server: &Server, by: By, limit: u32, continuation: &str) -> QueryMessagesResponse {
    let request = QueryMessagesRequest {
        topic: "demo".into(),
        by: Some(by),
        limit,
        continuation: continuation.into(),
        from_replica: false,
    };
    admin(server).await.query_messages(request).await.expect("an answer").into_inner()
}

fn bodies(page: &QueryMessagesResponse) -> Vec<String> {
    page.messages.iter().map(|message| String::from_utf8(message.body.to_vec()).unwrap()).collect()
}

async fn why(server: &Server, message: &Message, group: &str) -> ExplainDeliveryResponse {
    let id = system(message).message_id.clone();
    let request = ExplainDeliveryRequest { id, group: group.into(), topic: String::new() };
    admin(server).await.explain_delivery(request).await.expect("an answer").into_inner()
}

async fn group(server: &Server, name: &str, change: impl FnOnce(&mut CreateGroupRequest)) {
    let mut request = CreateGroupRequest { name: name.into(), ..CreateGroupRequest::default() };
    change(&mut request);
    admin(server).await.create_group(request).await.expect("the group is made");
}

fn all() -> By {
    By::Time(Time { from_unix_ms: 0, to_unix_ms: i64::MAX / 2 })
}

#[tokio::test]
async fn messages_are_found_by_id_key_time_and_offset() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("demo", TopicType::Normal, 4).await;
    let client = server.client("c1").await;
    let mut sent = Vec::new();
    for number in 0..20 {
        let keys = vec![format!("key {}", number % 3), format!("only {number}")];
        sent.push(message_with("demo", &number.to_string(), |system| {
            system.keys = keys;
            // Half of the ids tell when they were made: an hour ago, so not when they came.
            if number % 2 == 0 {
                system.message_id = format!("an id of another shape, {number}");
            }
        }));
        client.send(sent[number].clone()).await;
    }
    for (number, message) in sent.iter().enumerate() {
        let page = query(&server, By::Id(system(message).message_id.clone()), 0, "").await;
        assert_eq!(bodies(&page), [number.to_string()]);
        assert_eq!(page.messages[0].keys, system(message).keys);
        let page = query(&server, By::Key(format!("only {number}")), 0, "").await;
        assert_eq!(bodies(&page), [number.to_string()]);
    }
    let page = query(&server, By::Key("key 1".into()), 0, "").await;
    assert!(page.messages.is_sorted_by_key(|found| found.stored_unix_ms), "{page:?}");
    // Messages of one millisecond are in no order.
    let mut found: Vec<u32> = bodies(&page).iter().map(|body| body.parse().expect("a number")).collect();
    found.sort_unstable();
    assert_eq!(found, [1, 4, 7, 10, 13, 16, 19]);
    for by in [By::Key("key 9".into()), By::Id("no such id".into())] {
        let page = query(&server, by, 0, "").await;
        assert_eq!((bodies(&page).len(), page.cut), (0, false));
    }

    // Pages hold everything once, in order, whatever their size.
    for (by, count) in [(all(), 20), (By::Key("key 1".into()), 7)] {
        let (mut found, mut continuation) = (Vec::new(), String::new());
        loop {
            let page = query(&server, by.clone(), 3, &continuation).await;
            assert!(page.messages.len() <= 3);
            found.extend(page.messages.iter().map(|found| (found.stored_unix_ms, found.message_id.clone())));
            continuation = page.continuation;
            if continuation.is_empty() {
                break;
            }
        }
        assert!(found.is_sorted_by_key(|(stored, _)| *stored), "{found:?}");
        found.sort();
        found.dedup();
        assert_eq!(found.len(), count);
    }
    let at = query(&server, By::Id(system(&sent[7]).message_id.clone()), 0, "").await.messages.remove(0);
    let span = |from, to| By::Time(Time { from_unix_ms: from, to_unix_ms: to });
    let page = query(&server, span(at.stored_unix_ms, at.stored_unix_ms), 0, "").await;
    assert!(bodies(&page).contains(&"7".to_owned()));
    let page = query(&server, span(at.stored_unix_ms + 1_000_000, i64::MAX / 2), 0, "").await;
    assert_eq!(bodies(&page), [""; 0]);
    let place = Offset { queue: at.queue, offset: at.offset.expect("it is in a queue") };
    let page = query(&server, By::Offset(place), 1, "").await;
    assert_eq!(bodies(&page), ["7"]);
}

#[tokio::test]
async fn a_trace_tells_the_story_of_a_message() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("consumer-1").await;
    let sent = message_with("demo", "x", |system| system.born_host = "laptop".into());
    client.send(sent.clone()).await;
    let trace = async |topic: &str| {
        let request = TraceMessageRequest { id: system(&sent).message_id.clone(), topic: topic.into() };
        admin(&server).await.trace_message(request).await.expect("an answer").into_inner().messages
    };
    let traced = trace("").await.remove(0);
    let message = traced.message.unwrap();
    assert_eq!((message.born_host.as_str(), message.offset, message.queue), ("laptop", Some(0), 0));
    assert!(message.store_host.starts_with("127.0.0.1:") && message.broker_group == "g1");
    assert!(traced.term >= Some(1) && traced.index >= Some(1) && traced.leader_node == Some(1));
    assert_eq!((traced.committed_unix_ms, traced.events.len()), (Some(message.stored_unix_ms), 0));

    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    client.ack("demo", "g", &received).await;
    let traced = trace("demo").await.remove(0);
    let events: Vec<_> =
        traced.events.iter().map(|event| (event.what.as_str(), event.group.as_str())).collect();
    assert_eq!(events, [("leased", "g"), ("settled", "g")]);
    let lease = &traced.events[0];
    assert_eq!((lease.attempt, lease.client.as_str()), (1, "consumer-1"));
    assert_eq!(lease.until_unix_ms, Some(lease.unix_ms + 30_000));
}

#[tokio::test]
async fn why_says_how_a_message_stands_for_a_group() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    let sent = message("demo", "x");
    assert_eq!(
        admin(&server)
            .await
            .explain_delivery(ExplainDeliveryRequest { group: "g".into(), ..Default::default() })
            .await
            .expect_err("no such group")
            .code(),
        tonic::Code::NotFound
    );
    group(&server, "g", |_| {}).await;
    assert_eq!(why(&server, &sent, "g").await.reason, "not_found");
    client.send(sent.clone()).await;
    assert_eq!(why(&server, &sent, "g").await.reason, "consumer_offline");
    subscribe(&client, "g", "demo", "*").await;
    assert_eq!(why(&server, &sent, "g").await.reason, "ready");

    let mut admin = admin(&server).await;
    let pause = |paused| UpdateGroupRequest { name: "g".into(), paused: Some(paused), ..Default::default() };
    admin.update_group(pause(true)).await.unwrap();
    let answer = why(&server, &sent, "g").await;
    assert_eq!(answer.reason, "group_paused");
    assert!(answer.sentence.contains("ledgermq group resume g"), "{}", answer.sentence);
    admin.update_group(pause(false)).await.unwrap();

    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    let answer = why(&server, &sent, "g").await;
    assert_eq!((answer.reason.as_str(), answer.attempt, answer.client()), ("leased", Some(1), "c1"));
    assert!(answer.unix_ms.is_some() && answer.message.is_some());
    let change = ChangeInvisibleDurationRequest {
        group: Some(resource("g")),
        topic: Some(resource("demo")),
        receipt_handle: receipt(&received[0]),
        invisible_duration: Some(seconds(0)),
        message_id: system(&sent).message_id.clone(),
        ..ChangeInvisibleDurationRequest::default()
    };
    let request = client.request(change);
    client.stub.clone().change_invisible_duration(request).await.unwrap();
    let answer = why(&server, &sent, "g").await;
    assert!(["ready", "leased"].contains(&answer.reason.as_str()), "{answer:?}");
    tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let (_, again) = client.receive(receive("demo", "g", 5_000)).await;
            if !again.is_empty() {
                break client.ack("demo", "g", &again).await;
            }
        }
    })
    .await
    .expect("it comes again");
    let answer = why(&server, &sent, "g").await;
    assert_eq!(answer.reason, "acknowledged", "{}", answer.sentence);
    assert!(answer.unix_ms.is_some());
}

#[tokio::test]
async fn why_names_the_filter_the_start_and_the_predecessor() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Fifo, 1).await;
    let client = server.client("c1").await;
    let with = |body: &str, order: &str| {
        message_with("demo", body, |system| {
            system.tag = Some("blue".into());
            system.message_group = Some(order.into());
        })
    };
    let (first, second) = (with("first", "order"), with("second", "order"));
    client.send(first.clone()).await;
    client.send(second.clone()).await;

    group(&server, "late", |group| group.start_from = StartFrom::Last as i32).await;
    let answer = why(&server, &first, "late").await;
    assert_eq!(answer.reason, "before_start", "{}", answer.sentence);

    group(&server, "picky", |_| {}).await;
    subscribe(&client, "picky", "demo", "red").await;
    let mut request = receive("demo", "picky", 200);
    let expression = FilterExpression { r#type: FilterType::Tag as i32, expression: "red".into() };
    request.filter_expression = Some(expression);
    let before = why(&server, &first, "picky").await;
    client.receive(request).await;
    for answer in [before, why(&server, &first, "picky").await] {
        assert_eq!(answer.reason, "filtered", "{}", answer.sentence);
        assert!(answer.sentence.contains("\"red\"") && answer.sentence.contains("\"blue\""));
    }

    group(&server, "ordered", |group| group.fifo = true).await;
    let mut one = receive("demo", "ordered", 5_000);
    one.batch_size = 1;
    assert_eq!(client.bodies(one).await, ["first"]);
    let answer = why(&server, &second, "ordered").await;
    assert_eq!((answer.reason.as_str(), answer.behind_offset), ("behind_predecessor", Some(0)));
    assert_eq!(answer.behind_id(), system(&first).message_id);
}

#[tokio::test]
async fn why_knows_what_waits_and_what_is_among_the_dead_letters() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Mixed, 1).await;
    let client = server.client("c1").await;
    group(&server, "g", |group| group.max_attempts = 1).await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let due = prost_types::Timestamp { seconds: now as i64 + 3_600, nanos: 0 };
    let delayed = message_with("demo", "later", |system| system.delivery_timestamp = Some(due));
    client.send(delayed.clone()).await;
    let answer = why(&server, &delayed, "g").await;
    assert_eq!(answer.reason, "not_due", "{}", answer.sentence);

    let sent = message("demo", "x");
    client.send(sent.clone()).await;
    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    let forward = proto::v2::ForwardMessageToDeadLetterQueueRequest {
        group: Some(resource("g")),
        topic: Some(resource("demo")),
        receipt_handle: receipt(&received[0]),
        message_id: system(&sent).message_id.clone(),
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        ..Default::default()
    };
    let request = client.request(forward);
    client.stub.clone().forward_message_to_dead_letter_queue(request).await.unwrap();
    let answer = why(&server, &sent, "g").await;
    assert_eq!(answer.reason, "dead_lettered", "{}", answer.sentence);
}

#[tokio::test]
async fn why_knows_open_transactions_and_the_bound_of_what_is_in_flight() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Transaction, 1).await;
    let client = server.client("c1").await;
    let half = message_with("demo", "half", |system| system.message_type = MessageType::Transaction as i32);
    client.send(half.clone()).await;
    group(&server, "g", |group| group.in_flight_max = 1).await;
    let answer = why(&server, &half, "g").await;
    assert_eq!(answer.reason, "in_transaction", "{}", answer.sentence);
    assert!(answer.message.is_some_and(|message| message.in_transaction && message.offset.is_none()));

    server.topic("plain", TopicType::Normal, 1).await;
    let (first, second) = (message("plain", "first"), message("plain", "second"));
    client.send(first.clone()).await;
    client.send(second.clone()).await;
    assert_eq!(client.bodies(receive("plain", "g", 5_000)).await, ["first"]);
    let answer = why(&server, &second, "g").await;
    assert_eq!(answer.reason, "in_flight_limit", "{}", answer.sentence);
    assert_eq!(why(&server, &first, "g").await.reason, "leased");
    let settings = TopicSettings { ttl_ms: Some(1), ..TopicSettings::default() };
    server.node.update_topic("plain", None, None, settings, soon()).await.expect("changed");
    tokio::time::sleep(Duration::from_millis(2)).await; // it outlives its time
    group(&server, "other", |_| {}).await;
    assert_eq!(why(&server, &second, "other").await.reason, "expired");
}
