//! Consumer groups: order, assignments, dead letters, clients that leave.

use proto::v2::{
    Code, ForwardMessageToDeadLetterQueueRequest, Message, NotifyClientTerminationRequest,
    QueryAssignmentRequest, ReceiveMessageRequest,
};
use raft::catalog::{StartFrom, TopicType};
use raft::names::GroupId;
use raft::request::NewConsumer;

use crate::support::*;

async fn fifo_group(server: &Server, name: &str, max_attempts: u16) {
    let consumer = NewConsumer {
        name: name.into(),
        fifo: true,
        max_attempts,
        start: StartFrom::First,
        if_not_exists: false,
        settings: Default::default(),
    };
    server.node.create_consumer(consumer, soon()).await.expect("the group is made");
}

fn ordered(topic: &str, group: &str, body: &str) -> Message {
    message_with(topic, body, |system| system.message_group = Some(group.into()))
}

#[tokio::test]
async fn a_message_group_comes_in_order_and_one_batch_at_a_time() {
    let server = Server::start().await;
    server.topic("orders", TopicType::Fifo, 4).await;
    fifo_group(&server, "g", 16).await;
    let client = server.client("c1").await;
    for number in 0..5 {
        client.send(ordered("orders", "customer-1", &number.to_string())).await;
    }
    let one = ReceiveMessageRequest { batch_size: 1, ..receive("orders", "g", 5_000) };
    let (_, first) = client.receive(one.clone()).await;
    assert_eq!(
        (body(&first[0]).as_str(), system(&first[0]).message_group.as_deref()),
        ("0", Some("customer-1"))
    );
    // The message group waits for its first message; another message group does not.
    let blocked = ReceiveMessageRequest { long_polling_timeout: Some(seconds(0)), ..one.clone() };
    assert_eq!(client.receive(blocked).await.0.code(), Code::MessageNotFound);
    client.send(ordered("orders", "customer-2", "other")).await;
    assert_eq!(client.bodies(one.clone()).await, ["other"]);

    client.ack("orders", "g", &first).await;
    for expected in ["1", "2", "3", "4"] {
        let (_, next) = client.receive(one.clone()).await;
        assert_eq!(body(&next[0]), expected);
        assert_eq!(client.ack("orders", "g", &next).await.status, Some(ok()));
    }
}

#[tokio::test]
async fn the_same_attempt_gets_the_same_batch_again() {
    let server = Server::start().await;
    server.topic("orders", TopicType::Fifo, 4).await;
    fifo_group(&server, "g", 16).await;
    let client = server.client("c1").await;
    for number in 0..3 {
        client.send(ordered("orders", "customer-1", &number.to_string())).await;
    }
    let attempt =
        |id: &str| ReceiveMessageRequest { attempt_id: Some(id.into()), ..push("orders", "g", 200) };
    assert_eq!(client.bodies(attempt("a")).await, ["0", "1", "2"]);
    assert_eq!(client.bodies(attempt("a")).await, ["0", "1", "2"]);
    assert_eq!(client.receive(attempt("b")).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_group_polls_its_nodes_and_a_fifo_group_its_queues() {
    let server = Server::start().await;
    server.topic("orders", TopicType::Mixed, 4).await;
    fifo_group(&server, "ordered", 16).await;
    let mut client = server.client("c1").await;
    for (group, expected) in [("free", vec![-1]), ("ordered", vec![0, 1, 2, 3])] {
        let request = QueryAssignmentRequest {
            topic: Some(resource("orders")),
            group: Some(resource(group)),
            endpoints: None,
        };
        let request = client.request(request);
        let answer = client.stub.query_assignment(request).await.unwrap().into_inner();
        assert_eq!(answer.status, Some(ok()));
        let ids: Vec<_> =
            answer.assignments.iter().map(|one| one.message_queue.as_ref().unwrap().id).collect();
        assert_eq!(ids, expected, "{group}");
    }
}

#[tokio::test]
async fn a_message_that_is_given_up_is_read_from_the_dead_letters() {
    let server = Server::start().await;
    server.topic("orders", TopicType::Fifo, 4).await;
    fifo_group(&server, "g", 16).await;
    let mut client = server.client("c1").await;
    client.send(ordered("orders", "customer-1", "bad")).await;
    let (_, received) = client.receive(push("orders", "g", 5_000)).await;
    let request = ForwardMessageToDeadLetterQueueRequest {
        group: Some(resource("g")),
        topic: Some(resource("orders")),
        receipt_handle: receipt(&received[0]),
        message_id: system(&received[0]).message_id.clone(),
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        lite_topic: None,
    };
    let forward = client.request(request.clone());
    let answer = client.stub.forward_message_to_dead_letter_queue(forward).await.unwrap().into_inner();
    assert_eq!(answer.status, Some(ok()));
    let again = client.request(request);
    let answer = client.stub.forward_message_to_dead_letter_queue(again).await.unwrap().into_inner();
    assert_eq!(
        answer.status,
        Some(ok()),
        "a repetition is answered as the first was, and buries nothing more"
    );

    let (status, dead) = client.receive(receive("%DLQ%g", "undertaker", 5_000)).await;
    assert_eq!((status, dead.len()), (ok(), 1));
    assert_eq!((body(&dead[0]).as_str(), dead[0].topic.as_ref().unwrap().name.as_str()), ("bad", "%DLQ%g"));
    let origin = system(&dead[0]).dead_letter_queue.clone().unwrap();
    assert_eq!((origin.topic.as_str(), &origin.message_id), ("orders", &system(&received[0]).message_id));
}

#[tokio::test]
async fn what_a_client_held_is_visible_when_its_goodbye_is_answered() {
    let server = Server::start().await;
    let mut leaving = server.client("leaving").await;
    let staying = server.client("staying").await;
    staying.send(message("demo", "held")).await;
    assert_eq!(leaving.bodies(push("demo", "g", 5_000)).await, ["held"]);
    assert_eq!(staying.receive(push("demo", "g", 200)).await.0.code(), Code::MessageNotFound);

    let goodbye = leaving.request(NotifyClientTerminationRequest { group: Some(resource("g")) });
    let answer = leaving.stub.notify_client_termination(goodbye).await.unwrap().into_inner();
    assert_eq!(answer.status, Some(ok()));
    let (status, again) = staying.receive(push("demo", "g", 0)).await;
    assert_eq!((status, again.len()), (ok(), 1));
    assert_eq!(system(&again[0]).delivery_attempt, Some(2));
}

/// Else the release would take the leases of whoever comes back with the same id.
#[tokio::test]
async fn a_goodbye_is_answered_when_its_release_is_applied() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    client.send(message("demo", "something to hold")).await;
    let applied = async || server.node.replica_digest(GroupId(1)).await.expect("a digest").0;
    for round in 0..20 {
        let before = applied().await;
        let goodbye = client.request(NotifyClientTerminationRequest { group: Some(resource("g")) });
        client.stub.notify_client_termination(goodbye).await.unwrap();
        assert!(applied().await > before, "round {round}: nothing was applied after index {before}");
    }
}

#[tokio::test]
async fn a_handle_of_another_group_or_of_nobody_is_refused() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    client.send(message("demo", "x")).await;
    let (_, mut received) = client.receive(receive("demo", "g1", 5_000)).await;
    client.receive(receive("demo", "g2", 5_000)).await;
    let answer = client.ack("demo", "g2", &received).await;
    assert_eq!(answer.status.unwrap().code(), Code::InvalidReceiptHandle);

    let mut forged = received[0].clone();
    forged.system_properties.as_mut().unwrap().receipt_handle = Some("forged".into());
    received.push(forged);
    let answer = client.ack("demo", "g1", &received).await;
    assert_eq!(answer.status.unwrap().code(), Code::MultipleResults);
    let codes: Vec<_> = answer.entries.iter().map(|entry| entry.status.as_ref().unwrap().code()).collect();
    assert_eq!(codes, [Code::Ok, Code::InvalidReceiptHandle]);
}

#[tokio::test]
async fn groups_are_not_made_where_that_is_not_allowed() {
    let server = Server::start_with(1, |options| options.auto_create_groups = false).await;
    let client = server.client("c1").await;
    client.send(message("demo", "x")).await;
    let (status, _) = client.receive(receive("demo", "g", 200)).await;
    assert_eq!(status.code(), Code::ConsumerGroupNotFound);
    assert!(status.message.contains("consumer group g"), "{}", status.message);
}
