//! Messages that wait: for their time, or for the end of their transaction.

use std::time::{Duration, SystemTime};

use proto::v2::telemetry_command::Command;
use proto::v2::{
    Code, EndTransactionRequest, Message, MessageType, RecallMessageRequest,
    RecoverOrphanedTransactionCommand, SendResultEntry, TransactionResolution,
};

use crate::sessions::{Telemetry, open, producer};
use crate::support::*;

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970")
}

fn delayed(topic: &str, body: &str, due: Duration) -> Message {
    message_with(topic, body, |system| {
        let nanos = due.subsec_millis() as i32 * 1_000_000;
        system.delivery_timestamp = Some(prost_types::Timestamp { seconds: due.as_secs() as i64, nanos });
    })
}

fn half(body: &str) -> Message {
    message_with("demo", body, |system| system.message_type = MessageType::Transaction as i32)
}

async fn sent(client: &Client, message: Message) -> SendResultEntry {
    let mut answer = client.send_all(vec![message]).await;
    assert_eq!(answer.status, Some(ok()));
    answer.entries.remove(0)
}

async fn recall(client: &Client, topic: &str, handle: &str) -> (Code, String) {
    let request = RecallMessageRequest { topic: Some(resource(topic)), recall_handle: handle.to_owned() };
    let answer = client.stub.clone().recall_message(client.request(request)).await.unwrap().into_inner();
    (answer.status.unwrap().code(), answer.message_id)
}

async fn end(client: &Client, entry: &SendResultEntry, resolution: TransactionResolution) -> Code {
    let request = EndTransactionRequest {
        topic: Some(resource("demo")),
        message_id: entry.message_id.clone(),
        transaction_id: entry.transaction_id.clone(),
        resolution: resolution as i32,
        ..EndTransactionRequest::default()
    };
    ended(client, request).await
}

async fn ended(client: &Client, request: EndTransactionRequest) -> Code {
    let answer = client.stub.clone().end_transaction(client.request(request)).await.unwrap().into_inner();
    answer.status.unwrap().code()
}

async fn question(telemetry: &mut Telemetry) -> RecoverOrphanedTransactionCommand {
    let command = tokio::time::timeout(Duration::from_secs(20), telemetry.back.message());
    let command =
        command.await.expect("a question in time").expect("the stream is open").expect("not the end");
    match command.command {
        Some(Command::RecoverOrphanedTransactionCommand(question)) => question,
        other => panic!("not a question: {other:?}"),
    }
}

#[tokio::test]
async fn a_delayed_message_is_never_early_and_says_when_it_was_due() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let due = now() + Duration::from_millis(1_500);
    let entry = sent(&client, delayed("demo", "later", due)).await;
    assert!(!entry.recall_handle.is_empty());
    client.send(message("demo", "now")).await;
    assert_eq!(client.bodies(receive("demo", "g", 5_000)).await, ["now"]);
    let (_, received) = client.receive(receive("demo", "g", 20_000)).await;
    // The log's time follows the wall clock, a few milliseconds off at most.
    assert!(now() + Duration::from_millis(10) >= due, "it came {:?} early", due - now());
    assert_eq!(received.iter().map(body).collect::<Vec<_>>(), ["later"]);
    let system = system(&received[0]);
    assert_eq!(system.message_type(), MessageType::Delay);
    assert_eq!(system.delivery_timestamp.as_ref().unwrap().seconds, due.as_secs() as i64);
}

#[tokio::test]
async fn a_delivery_time_in_the_past_means_at_once() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let entry = sent(&client, delayed("demo", "late", Duration::from_secs(1_000))).await;
    assert_eq!((entry.offset, entry.recall_handle.as_str()), (0, ""));
    assert_eq!(client.bodies(receive("demo", "g", 5_000)).await, ["late"]);
}

#[tokio::test]
async fn a_delayed_message_can_be_recalled_until_it_is_due() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let far = sent(&client, delayed("demo", "far", now() + Duration::from_secs(3_600))).await;
    let near = sent(&client, delayed("demo", "near", now() + Duration::from_millis(300))).await;
    client.send(message("other", "x")).await;
    assert_eq!(recall(&client, "other", &far.recall_handle).await.0, Code::BadRequest);
    assert_eq!(recall(&client, "nowhere", &far.recall_handle).await.0, Code::TopicNotFound);
    assert_eq!(recall(&client, "demo", &far.recall_handle[2..]).await.0, Code::BadRequest);
    assert_eq!(recall(&client, "demo", "").await.0, Code::BadRequest);
    let recalled = (Code::Ok, far.message_id.clone());
    assert_eq!(recall(&client, "demo", &far.recall_handle).await, recalled);
    assert_eq!(recall(&client, "demo", &far.recall_handle).await, recalled, "a repetition");
    assert_eq!(client.bodies(receive("demo", "g", 10_000)).await, ["near"]);
    assert_eq!(recall(&client, "demo", &near.recall_handle).await.0, Code::MessageNotFound);
}

#[tokio::test]
async fn what_cannot_wait_together_is_refused() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let mut ordered = delayed("demo", "x", now() + Duration::from_secs(9));
    ordered.system_properties.as_mut().unwrap().message_group = Some("g".into());
    let mut transaction = delayed("demo", "x", now() + Duration::from_secs(9));
    transaction.system_properties.as_mut().unwrap().message_type = MessageType::Transaction as i32;
    for bad in [ordered, transaction] {
        let status = client.send_all(vec![bad]).await.status.unwrap();
        assert_eq!(status.code(), Code::MessagePropertyConflictWithType, "{}", status.message);
    }
    assert_eq!(client.receive(receive("demo", "g", 200)).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_half_message_is_visible_once_it_is_committed() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let kept = sent(&client, half("kept")).await;
    let dropped = sent(&client, half("dropped")).await;
    assert!(!kept.transaction_id.is_empty() && kept.transaction_id != dropped.transaction_id);
    assert_eq!(client.receive(receive("demo", "g", 200)).await.0.code(), Code::MessageNotFound);

    use TransactionResolution::{Commit, Rollback, Unspecified};
    assert_eq!(end(&client, &kept, Unspecified).await, Code::Ok, "it stays pending");
    assert_eq!(end(&client, &dropped, Rollback).await, Code::Ok);
    assert_eq!(end(&client, &kept, Commit).await, Code::Ok);
    assert_eq!(end(&client, &kept, Commit).await, Code::Ok, "a repetition");
    assert_eq!(end(&client, &kept, Rollback).await, Code::InvalidTransactionId);
    assert_eq!(end(&client, &dropped, Commit).await, Code::InvalidTransactionId);
    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    assert_eq!(received.iter().map(body).collect::<Vec<_>>(), ["kept"]);
    assert_eq!(system(&received[0]).message_type(), MessageType::Transaction);
}

#[tokio::test]
async fn a_transaction_is_ended_only_by_its_own_id() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let (one, other) = (sent(&client, half("one")).await, sent(&client, half("other")).await);
    let request = |message_id: &str, transaction_id: &str| EndTransactionRequest {
        topic: Some(resource("demo")),
        message_id: message_id.to_owned(),
        transaction_id: transaction_id.to_owned(),
        resolution: TransactionResolution::Commit as i32,
        ..EndTransactionRequest::default()
    };
    for bad in [
        request(&one.message_id, ""),
        request(&one.message_id, "no id"),
        request(&one.message_id, &other.transaction_id),
        request("", &one.transaction_id),
    ] {
        assert_eq!(ended(&client, bad.clone()).await, Code::InvalidTransactionId, "{bad:?}");
    }
    client.send(message("other", "x")).await;
    let elsewhere = request(&one.message_id, &one.transaction_id);
    let elsewhere = EndTransactionRequest { topic: Some(resource("other")), ..elsewhere };
    assert_eq!(ended(&client, elsewhere).await, Code::InvalidTransactionId);
    assert_eq!(client.receive(receive("demo", "g", 200)).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_producer_of_the_topic_is_asked_and_its_answer_counts() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let mut telemetry = open(&mut client).await;
    telemetry.filled(producer()).await;
    let mut orphan = half("orphan");
    orphan.system_properties.as_mut().unwrap().orphaned_transaction_recovery_duration = Some(seconds(1));
    let entry = sent(&client, orphan).await;
    let question = question(&mut telemetry).await;
    assert_eq!(question.transaction_id, entry.transaction_id);
    let message = question.message.expect("the half message");
    assert_eq!((body(&message).as_str(), &message.topic), ("orphan", &Some(resource("demo"))));
    assert_eq!(system(&message).message_id, entry.message_id);
    assert_eq!(end(&client, &entry, TransactionResolution::Commit).await, Code::Ok);
    assert_eq!(client.bodies(receive("demo", "g", 5_000)).await, ["orphan"]);
}

#[tokio::test]
async fn a_transaction_that_nobody_ends_is_given_up_after_the_last_question() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let mut orphan = half("orphan");
    orphan.system_properties.as_mut().unwrap().orphaned_transaction_recovery_duration =
        Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 });
    let entry = sent(&client, orphan).await;
    // Questions that reach nobody do not count: the server of this test allows two that do.
    let mut telemetry = open(&mut client).await;
    telemetry.filled(producer()).await;
    for _ in 0..2 {
        assert_eq!(question(&mut telemetry).await.transaction_id, entry.transaction_id);
    }
    let given_up = async {
        let given_up = |half: &raft::node::HalfMessage| half.place.given_up_ms.is_some();
        while !server.node.transactions(9, soon()).await.unwrap().iter().any(given_up) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given_up).await.expect("it is given up");
    assert_eq!(end(&client, &entry, TransactionResolution::Commit).await, Code::InvalidTransactionId);
    assert_eq!(client.receive(receive("demo", "g", 200)).await.0.code(), Code::MessageNotFound);
}
