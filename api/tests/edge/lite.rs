//! Lite topics: queues that come into being with their first message.

use std::time::Duration;

use proto::admin::admin_client::AdminClient;
use proto::admin::query_messages_request::{By, Offset, Time};
use proto::admin::{CreateGroupRequest, ExplainDeliveryRequest, QueryMessagesRequest};
use proto::v2::{
    Code, LiteSubscriptionAction, Message, MessageQueue, OffsetOption, PullMessageRequest,
    ReceiveMessageRequest, SyncLiteSubscriptionRequest, offset_option, pull_message_response,
};
use raft::catalog::TopicType;
use raft::request::NewTopic;
use raft::settings::TopicSettings;

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
    tokio::time::sleep(Duration::from_millis(5)).await;
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

/// The whole status of an answer.
async fn refused(client: &Client, request: SyncLiteSubscriptionRequest) -> (Code, String) {
    let request = client.request(request);
    let answer = client.stub.clone().sync_lite_subscription(request).await.unwrap().into_inner();
    let status = answer.status.unwrap();
    (status.code(), status.message)
}

#[tokio::test]
async fn a_refused_subscription_says_why_and_changes_nothing() {
    let server = Server::start().await;
    server.topic("devices", TopicType::Lite, 4).await;
    server.topic("plain", TopicType::Normal, 4).await;
    let client = server.client("c1").await;
    for name in ["device-1", "device-2"] {
        client.send(lite(name, name)).await;
    }
    use LiteSubscriptionAction::{CompleteAdd, CompleteRemove, PartialAdd};
    assert_eq!(sync(&client, CompleteAdd, &["device-1"]).await, Code::Ok);
    let asked = |action: LiteSubscriptionAction, topic: &str, group: &str, names: &[&str]| {
        SyncLiteSubscriptionRequest {
            action: action as i32,
            topic: Some(resource(topic)),
            group: Some(resource(group)),
            lite_topic_set: names.iter().map(|name| (*name).to_owned()).collect(),
            ..SyncLiteSubscriptionRequest::default()
        }
    };
    let longest = "x".repeat(64);
    let longer = "x".repeat(65);
    let many: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        (asked(PartialAdd, "plain", "g", &["device-2"]), Code::IllegalTopic, "has no lite topics"),
        (asked(CompleteRemove, "plain", "g", &[]), Code::IllegalTopic, "has no lite topics"),
        (asked(PartialAdd, "nowhere", "g", &["device-2"]), Code::TopicNotFound, "nowhere"),
        (asked(PartialAdd, "", "g", &["device-2"]), Code::IllegalTopic, ""),
        (asked(PartialAdd, "devices", "", &["device-2"]), Code::IllegalConsumerGroup, ""),
        (asked(PartialAdd, "devices", "g", &["device-2", ""]), Code::IllegalLiteTopic, "1 to 64"),
        (asked(PartialAdd, "devices", "g", &["device-2", &longer]), Code::IllegalLiteTopic, "1 to 64"),
        (asked(CompleteAdd, "devices", "g", &["device-2", "a b"]), Code::IllegalLiteTopic, "1 to 64"),
        (asked(PartialAdd, "devices", "g", &many), Code::LiteSubscriptionQuotaExceeded, "at most 1000"),
    ];
    for (request, code, words) in cases {
        let (found, sentence) = refused(&client, request.clone()).await;
        assert_eq!(found, code, "{request:?}: {sentence}");
        assert!(sentence.contains(words) && !sentence.is_empty(), "{sentence:?} does not say {words:?}");
    }
    assert_eq!(sorted(&client, 5_000).await, ["device-1"], "what was refused has no effect");
    assert_eq!(client.receive(receive("devices", "g", 200)).await.0.code(), Code::MessageNotFound);
    assert_eq!(sync(&client, PartialAdd, &[longest.as_str()]).await, Code::Ok);
    for name in ["", longer.as_str(), "a b"] {
        let sent = client.send_all(vec![lite(name, "x")]).await.status.unwrap();
        assert_eq!(sent.code(), Code::IllegalLiteTopic, "{name:?}: {}", sent.message);
    }
}

#[tokio::test]
async fn an_idle_lite_topic_goes_and_its_name_begins_anew() {
    let server = Server::start().await;
    let settings = TopicSettings { lite_idle_ms: Some(1_000), ..TopicSettings::default() };
    let (name, kind) = ("devices".to_owned(), TopicType::Lite);
    let topic = NewTopic { name, kind, queues: 4, if_not_exists: false, settings };
    server.node.create_topic(topic, soon()).await.unwrap();
    let client = server.client("c1").await;
    use LiteSubscriptionAction::CompleteAdd;
    assert_eq!(sync(&client, CompleteAdd, &["held"]).await, Code::Ok);
    client.send(lite("held", "leased")).await;
    let (_, leased) = client.receive(receive("devices", "g", 5_000)).await;
    assert_eq!(leased.len(), 1);
    let unread = lite("forgotten", "unread");
    client.send(unread.clone()).await;
    let sent = system(&unread).message_id.clone();
    let admin = AdminClient::connect(format!("http://{}", server.address)).await.unwrap();
    let is_there = async |id: &str| {
        let by = Some(By::Id(id.to_owned()));
        let request = QueryMessagesRequest { topic: "devices".into(), by, ..Default::default() };
        !admin.clone().query_messages(request).await.unwrap().into_inner().messages.is_empty()
    };
    assert!(is_there(&sent).await);
    let until = soon();
    while is_there(&sent).await {
        assert!(tokio::time::Instant::now() < until, "the lite topic stays");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_there(&system(&leased[0]).message_id).await, "what is leased keeps its lite topic");
    assert_eq!(client.ack("devices", "g", &leased).await.status, Some(ok()));
    client.send(lite("forgotten", "new")).await;
    assert_eq!(sync(&client, CompleteAdd, &["forgotten"]).await, Code::Ok);
    assert_eq!(sorted(&client, 5_000).await, ["new"]);
}

#[tokio::test]
async fn a_fifo_consumer_group_reads_each_lite_topic_in_order() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("devices", TopicType::Lite, 4).await;
    let group = CreateGroupRequest { name: "g".into(), fifo: true, ..CreateGroupRequest::default() };
    AdminClient::connect(format!("http://{}", server.address))
        .await
        .unwrap()
        .create_group(group)
        .await
        .unwrap();
    let client = server.client("c1").await;
    assert_eq!(sync(&client, LiteSubscriptionAction::CompleteAdd, &["a", "b"]).await, Code::Ok);
    for (name, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        client.send(lite(name, body)).await;
    }
    let one = |wait_ms| ReceiveMessageRequest { batch_size: 1, ..push("devices", "g", wait_ms) };
    let (mut first, mut held) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (_, messages) = client.receive(one(5_000)).await;
        first.extend(messages.iter().map(body));
        held.extend(messages);
    }
    first.sort();
    assert_eq!(first, ["a1", "b1"], "a2 waits for a1");
    assert_eq!(client.receive(one(200)).await.0.code(), Code::MessageNotFound);
    assert_eq!(client.ack("devices", "g", &held).await.status, Some(ok()));
    assert_eq!(client.bodies(one(5_000)).await, ["a2"]);
}

#[tokio::test]
async fn messages_of_lite_topics_are_found_and_explained_but_not_pulled() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("devices", TopicType::Lite, 4).await;
    let admin = AdminClient::connect(format!("http://{}", server.address)).await.unwrap();
    let client = server.client("c1").await;
    let mut sent = Vec::new();
    for number in 0..6 {
        let message = message_with("devices", &number.to_string(), |system| {
            system.lite_topic = Some(format!("device-{}", number % 3));
            system.keys = vec!["all".into()];
        });
        client.send(message.clone()).await;
        sent.push(message);
    }
    let found = async |by: By| {
        let request = QueryMessagesRequest { topic: "devices".into(), by: Some(by), ..Default::default() };
        let page = admin.clone().query_messages(request).await.unwrap().into_inner();
        assert!(!page.cut);
        page.messages
    };
    let bodies = |messages: &[proto::admin::FoundMessage]| {
        messages.iter().map(|it| String::from_utf8(it.body.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    for (number, message) in sent.iter().enumerate() {
        let by_id = found(By::Id(system(message).message_id.clone())).await;
        assert_eq!(bodies(&by_id), [number.to_string()]);
    }
    let mut by_key = bodies(&found(By::Key("all".into())).await);
    by_key.sort();
    assert_eq!(by_key, ["0", "1", "2", "3", "4", "5"]);
    let by_time = found(By::Time(Time { from_unix_ms: 0, to_unix_ms: i64::MAX / 2 })).await;
    assert_eq!(by_time.len(), 6);
    let third = &found(By::Id(system(&sent[3]).message_id.clone())).await[0];
    let at = Offset { queue: third.queue, offset: third.offset.unwrap() };
    assert!(bodies(&found(By::Offset(at)).await).contains(&"3".to_owned()));

    let why = async |message: &Message| {
        let id = system(message).message_id.clone();
        let request = ExplainDeliveryRequest { id, group: "g".into(), topic: String::new() };
        admin.clone().explain_delivery(request).await.unwrap().into_inner().reason
    };
    assert_eq!(sync(&client, LiteSubscriptionAction::CompleteAdd, &["device-1"]).await, Code::Ok);
    crate::sessions::subscribe(&client, "g", "devices", "*").await;
    assert_eq!(why(&sent[0]).await, "not_subscribed");
    assert_eq!(why(&sent[1]).await, "ready");
    let mut got = Vec::new();
    while got.len() < 2 {
        got.extend(client.receive(receive("devices", "g", 5_000)).await.1);
    }
    assert_eq!(why(&sent[1]).await, "leased");

    // A pull names a queue of the topic; lite topics have none that a client could name.
    let pull = PullMessageRequest {
        group: Some(resource("g")),
        message_queue: Some(MessageQueue {
            topic: Some(resource("devices")),
            id: third.queue as i32,
            ..MessageQueue::default()
        }),
        batch_size: 1,
        ..PullMessageRequest::default()
    };
    let mut stream = client.stub.clone().pull_message(client.request(pull)).await.unwrap().into_inner();
    let frame = stream.message().await.unwrap().unwrap().content.unwrap();
    let pull_message_response::Content::Status(status) = frame else { panic!("{frame:?}") };
    assert!(status.code() != Code::Ok && status.message.contains("queue"), "{status:?}");
}
