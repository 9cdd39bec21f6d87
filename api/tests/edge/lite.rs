//! Lite topics: queues that come into being with their first message.

use proto::v2::{
    Code, LiteSubscriptionAction, Message, OffsetOption, SyncLiteSubscriptionRequest, offset_option,
};
use raft::catalog::TopicType;

use crate::support::*;

fn lite(name: &str, body: &str) -> Message {
    message_with("devices", body, |system| system.lite_topic = Some(name.into()))
}

async fn sync(client: &Client, action: LiteSubscriptionAction, names: &[&str]) -> Code {
    let request = SyncLiteSubscriptionRequest {
        action: action as i32,
        topic: Some(resource("devices")),
        group: Some(resource("g")),
        lite_topic_set: names.iter().map(|name| (*name).to_owned()).collect(),
        ..SyncLiteSubscriptionRequest::default()
    };
    subscribe(client, request).await
}

async fn subscribe(client: &Client, request: SyncLiteSubscriptionRequest) -> Code {
    let request = client.request(request);
    let answer = client.stub.clone().sync_lite_subscription(request).await.unwrap().into_inner();
    answer.status.unwrap().code()
}

async fn sorted(client: &Client, wait_ms: i64) -> Vec<String> {
    let mut bodies = client.bodies(receive("devices", "g", wait_ms)).await;
    bodies.sort();
    bodies
}

#[tokio::test]
async fn a_client_gets_the_lite_topics_that_it_subscribes_to() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("devices", TopicType::Lite, 4).await;
    let client = server.client("c1").await;
    for number in 0..6 {
        client.send(lite(&format!("device-{number}"), &format!("from {number}"))).await;
    }
    use LiteSubscriptionAction::{CompleteAdd, PartialAdd, PartialRemove};
    assert_eq!(client.receive(receive("devices", "g", 200)).await.0.code(), Code::MessageNotFound);
    assert_eq!(sync(&client, CompleteAdd, &["device-1", "device-2", "device-99"]).await, Code::Ok);
    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(sorted(&client, 5_000).await);
    }
    got.sort();
    assert_eq!(got, ["from 1", "from 2"]);
    assert_eq!(sync(&client, PartialAdd, &["device-3"]).await, Code::Ok);
    assert_eq!(sync(&client, PartialRemove, &["device-1"]).await, Code::Ok);
    client.send(lite("device-1", "again 1")).await;
    assert_eq!(sorted(&client, 5_000).await, ["from 3"]);
    assert_eq!(client.receive(receive("devices", "g", 200)).await.0.code(), Code::MessageNotFound);

    // A poll that waits is woken by a lite topic that is made meanwhile.
    let poll = sorted(&client, 5_000);
    let send = client.send(lite("device-99", "new"));
    let (got, _) = tokio::join!(poll, send);
    assert_eq!(got, ["new"]);
}

#[tokio::test]
async fn a_message_of_a_lite_topic_is_settled_or_comes_again() {
    let server = Server::start().await;
    server.topic("devices", TopicType::Lite, 4).await;
    let client = server.client("c1").await;
    let sent = lite("device-1", "x");
    client.send(sent.clone()).await;
    client.send(sent).await;
    assert_eq!(sync(&client, LiteSubscriptionAction::CompleteAdd, &["device-1"]).await, Code::Ok);
    let (_, received) = client.receive(receive("devices", "g", 5_000)).await;
    assert_eq!(received.len(), 1, "a repeated send is stored once");
    assert_eq!(system(&received[0]).lite_topic.as_deref(), Some("device-1"));
    assert_eq!(client.ack("devices", "g", &received).await.status, Some(ok()));
    assert_eq!(client.receive(receive("devices", "g", 200)).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_subscription_that_makes_no_sense_is_refused() {
    let server = Server::start().await;
    server.topic("devices", TopicType::Lite, 4).await;
    let client = server.client("c1").await;
    use LiteSubscriptionAction::{CompleteAdd, PartialAdd};
    assert_eq!(sync(&client, PartialAdd, &["no good"]).await, Code::IllegalLiteTopic);
    let many: Vec<String> = (0..1_001).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(sync(&client, CompleteAdd, &many).await, Code::LiteSubscriptionQuotaExceeded);
    assert_eq!(sync(&client, CompleteAdd, &many[1..]).await, Code::Ok);
    client.send(message("demo", "x")).await;
    let elsewhere = SyncLiteSubscriptionRequest {
        topic: Some(resource("demo")),
        group: Some(resource("g")),
        ..SyncLiteSubscriptionRequest::default()
    };
    assert_eq!(subscribe(&client, elsewhere).await, Code::IllegalTopic);
    let plain = client.send_all(vec![message("devices", "x")]).await;
    assert_eq!(plain.status.unwrap().code(), Code::MessagePropertyConflictWithType);
}

#[tokio::test]
async fn who_subscribes_from_now_on_gets_nothing_older() {
    let server = Server::start().await;
    server.topic("devices", TopicType::Lite, 4).await;
    let client = server.client("c1").await;
    client.send(lite("device-1", "old")).await;
    // Stamps are whole milliseconds.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let policy = offset_option::OffsetType::Policy(offset_option::Policy::Max as i32);
    let request = SyncLiteSubscriptionRequest {
        action: LiteSubscriptionAction::CompleteAdd as i32,
        topic: Some(resource("devices")),
        group: Some(resource("g")),
        lite_topic_set: vec!["device-1".into(), "device-2".into()],
        offset_option: Some(OffsetOption { offset_type: Some(policy) }),
        ..SyncLiteSubscriptionRequest::default()
    };
    assert_eq!(subscribe(&client, request).await, Code::Ok);
    client.send(lite("device-1", "new 1")).await;
    client.send(lite("device-2", "new 2")).await;
    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(sorted(&client, 5_000).await);
    }
    got.sort();
    assert_eq!(got, ["new 1", "new 2"]);
}
