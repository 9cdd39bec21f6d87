//! The way of a message: sent, received, acknowledged, or given back.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::v2::{ChangeInvisibleDurationRequest, Code, Encoding, Message, QueryRouteRequest};
use raft::catalog::TopicType;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test]
async fn a_message_is_sent_received_and_acknowledged() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let sent = message_with("demo", "hello", |system| {
        system.tag = Some("red".into());
        system.keys = vec!["k1".into(), "k2".into()];
        system.body_encoding = Encoding::Identity as i32;
        system.trace_context = Some("00-ab-cd-01".into());
        system.born_host = "laptop".into();
    });
    let mut sent = sent;
    sent.user_properties = [("colour".to_owned(), "red".to_owned())].into();
    client.send(sent.clone()).await;

    let (status, received) = client.receive(receive("demo", "g", 5_000)).await;
    assert_eq!((status, received.len()), (ok(), 1));
    let (was, is) = (system(&sent), system(&received[0]));
    assert_eq!((&received[0].topic, &received[0].user_properties), (&sent.topic, &sent.user_properties));
    assert_eq!((&is.tag, &is.keys, &is.message_id), (&was.tag, &was.keys, &was.message_id));
    assert_eq!((&is.trace_context, &is.born_host), (&was.trace_context, &was.born_host));
    assert_eq!((body(&received[0]).as_str(), is.delivery_attempt), ("hello", Some(1)));
    assert_eq!(is.body_digest.as_ref().unwrap().checksum, "5D41402ABC4B2A76B9719D911017C592");
    assert_eq!((is.body_encoding(), is.queue_offset), (Encoding::Identity, Some(0)));
    assert!(is.store_host.starts_with("127.0.0.1:") && is.store_timestamp.is_some());

    let acked = client.ack("demo", "g", &received).await;
    assert_eq!((acked.status, acked.entries[0].status.clone()), (Some(ok()), Some(ok())));
    let (status, none) = client.receive(receive("demo", "g", 200)).await;
    assert_eq!((status.code(), none.len()), (Code::MessageNotFound, 0));

    let again = client.ack("demo", "g", &received).await;
    assert_eq!(again.status, Some(ok()), "a repetition is answered as the first was: its answer may be lost");
    let mut unknown = received;
    let properties = unknown[0].system_properties.as_mut().expect("system properties");
    properties.receipt_handle = Some("no receipt".to_owned());
    let refused = client.ack("demo", "g", &unknown).await;
    assert_eq!(refused.status.unwrap().code(), Code::InvalidReceiptHandle);
}

#[tokio::test]
async fn each_consumer_group_gets_every_message() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    client.send(message("demo", "hello")).await;
    for group in ["g1", "g2"] {
        assert_eq!(client.bodies(receive("demo", group, 5_000)).await, ["hello"]);
    }
}

#[tokio::test]
async fn a_send_that_is_repeated_is_stored_once() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    for id in [message_id(), "an id of another shape".to_owned()] {
        let twice = message_with("demo", "once", |system| system.message_id = id);
        let first = client.send(twice.clone()).await;
        assert_eq!(client.send(twice).await, first);
    }
    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    let ids: BTreeSet<_> = received.iter().map(|message| system(message).message_id.clone()).collect();
    assert_eq!(ids.len(), received.len());
}

#[tokio::test]
async fn a_message_id_that_another_topic_has_is_a_message_of_its_own() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    for topic in ["one", "two"] {
        server.topic(topic, TopicType::Normal, 1).await;
    }
    let first = message("one", "x");
    client.send(first.clone()).await;
    client.send(Message { topic: Some(resource("two")), ..first }).await;
    for topic in ["one", "two"] {
        assert_eq!(client.bodies(receive(topic, "g", 5_000)).await, ["x"], "in {topic}");
    }
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry_and_received_whole() {
    let server = Server::start_with(2, |_| {}).await;
    let client = server.client("c1").await;
    let batch: Vec<_> = (0..100).map(|number| message("demo", &number.to_string())).collect();
    let answer = client.send_all(batch.clone()).await;
    assert_eq!((answer.status, answer.entries.len()), (Some(ok()), 100));
    for (entry, message) in answer.entries.iter().zip(&batch) {
        assert_eq!((&entry.status, &entry.message_id), (&Some(ok()), &system(message).message_id));
    }
    let mut bodies = BTreeSet::new();
    while bodies.len() < 100 {
        let (status, received) = client.receive(receive("demo", "g", 5_000)).await;
        assert_eq!(status, ok(), "after {} messages", bodies.len());
        assert!(received.len() <= 32);
        assert!(received.iter().all(|message| bodies.insert(body(message))), "none twice");
        let acked = client.ack("demo", "g", &received).await;
        assert_eq!(acked.status, Some(ok()));
    }
}

#[tokio::test]
async fn a_message_that_is_given_back_comes_again_with_a_higher_attempt() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    client.send(message("demo", "again")).await;
    let (_, first) = client.receive(receive("demo", "g", 5_000)).await;
    let change = |handle: String, invisible: prost_types::Duration| ChangeInvisibleDurationRequest {
        group: Some(resource("g")),
        topic: Some(resource("demo")),
        receipt_handle: handle,
        invisible_duration: Some(invisible),
        message_id: system(&first[0]).message_id.clone(),
        ..ChangeInvisibleDurationRequest::default()
    };
    let longer = client.request(change(receipt(&first[0]), seconds(60)));
    let longer = client.stub.change_invisible_duration(longer).await.unwrap().into_inner();
    assert_eq!(longer.status, Some(ok()));
    assert_ne!(longer.receipt_handle, receipt(&first[0]));

    let repeated = client.request(change(receipt(&first[0]), seconds(60)));
    let repeated = client.stub.change_invisible_duration(repeated).await.unwrap().into_inner();
    assert_eq!(repeated, longer, "a repetition is answered as the first was");

    let longer = client.request(change(longer.receipt_handle, seconds(60)));
    let longer = client.stub.change_invisible_duration(longer).await.unwrap().into_inner();
    assert_eq!(longer.status, Some(ok()));
    let stale = client.request(change(receipt(&first[0]), seconds(0)));
    let stale = client.stub.change_invisible_duration(stale).await.unwrap().into_inner();
    assert_eq!(stale.status.unwrap().code(), Code::InvalidReceiptHandle);
    assert_eq!(stale.receipt_handle, receipt(&first[0]), "the old handle is echoed");

    let back = client.request(change(longer.receipt_handle, seconds(0)));
    let back = client.stub.change_invisible_duration(back).await.unwrap().into_inner();
    assert_eq!(back.status, Some(ok()));
    let (_, second) = client.receive(receive("demo", "g", 5_000)).await;
    assert_eq!((body(&second[0]).as_str(), system(&second[0]).delivery_attempt), ("again", Some(2)));

    let too_long = client.request(change(receipt(&second[0]), seconds(12 * 3_600 + 1)));
    let too_long = client.stub.change_invisible_duration(too_long).await.unwrap().into_inner();
    assert_eq!(too_long.status.unwrap().code(), Code::IllegalInvisibleTime);
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_message_is_committed() {
    for broker_groups in [1, 2] {
        let server = Server::start_with(broker_groups, |_| {}).await;
        server.topic("demo", TopicType::Mixed, 4).await;
        let client = server.client("c1").await;
        // The group exists and has read to the end before the poll begins.
        client.receive(receive("demo", "g", 100)).await;
        let start = Instant::now();
        let poll = tokio::spawn({
            let client = client.clone();
            async move { client.bodies(receive("demo", "g", 20_000)).await }
        });
        tokio::task::yield_now().await;
        client.send(message("demo", "wake up")).await;
        assert_eq!(poll.await.unwrap(), ["wake up"]);
        assert!(start.elapsed() < Duration::from_secs(5), "{broker_groups}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn only_messages_with_a_wanted_tag_come() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    for tag in ["red", "green", "blue"] {
        client.send(message_with("demo", tag, |system| system.tag = Some(tag.into()))).await;
    }
    client.send(message("demo", "no tag")).await;
    let mut request = receive("demo", "g", 5_000);
    request.filter_expression.as_mut().unwrap().expression = "red || blue".into();
    assert_eq!(client.bodies(request.clone()).await, ["red", "blue"]);
    request.long_polling_timeout = Some(prost_types::Duration { seconds: 0, nanos: 200_000_000 });
    assert_eq!(client.receive(request).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_route_lists_this_node_and_makes_the_topic() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let ask = |name: &str| QueryRouteRequest { topic: Some(resource(name)), endpoints: None };
    let request = client.request(ask("demo"));
    let route = client.stub.query_route(request).await.unwrap().into_inner();
    assert_eq!(route.status, Some(ok()));
    assert_eq!(
        route.message_queues.iter().map(|queue| queue.id).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
    for queue in &route.message_queues {
        let broker = queue.broker.as_ref().unwrap();
        assert_eq!((broker.id, broker.name.as_str()), (0, "node1"));
        assert_eq!(broker.endpoints.as_ref().unwrap().addresses.len(), 1);
    }
    let request = client.request(ask("TBW102"));
    let refused = client.stub.query_route(request).await.unwrap().into_inner();
    assert_eq!(refused.status.unwrap().code(), Code::IllegalTopic);

    let server = Server::start_with(1, |options| options.auto_create_topics = false).await;
    let mut client = server.client("c1").await;
    let request = client.request(ask("demo"));
    let unknown = client.stub.query_route(request).await.unwrap().into_inner();
    assert_eq!(unknown.status.unwrap().code(), Code::TopicNotFound);
}
