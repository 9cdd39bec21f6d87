//! The public admin service.

use std::time::Duration;

use proto::v2::admin_client::AdminClient;
use proto::v2::change_log_level_request::Level;
use proto::v2::list_message_request::SearchKey;
use proto::v2::settings::PubSub;
use proto::v2::telemetry_command::Command;
use proto::v2::{
    AdminSendMessageRequest, ChangeLogLevelRequest, ClientType, Code, DeleteSubscriptionRequest,
    DescribeGroupAccumulationRequest, DescribeSubscriptionRequest, DescribeTopicStatusRequest,
    FilterExpression, FilterType, GetConsumerRunningInfoRequest, GetProxyRuntimeStatsRequest,
    GetTopicRouteRequest, ListConsumerConnectionRequest, ListMessageRequest, ListSubscriptionRequest,
    LiteSubscriptionAction, MessageType, PrintThreadStackTraceRequest, QueryTimeSpanRequest,
    ResetGroupOffsetRequest, Settings, Status, Subscription, SubscriptionEntry, SyncLiteSubscriptionRequest,
    TelemetryCommand, ThreadStackTrace, VerifyMessageRequest, VerifyMessageResult,
};
use raft::catalog::TopicType;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use crate::support::*;

pub async fn admin(server: &Server) -> AdminClient<Channel> {
    AdminClient::connect(format!("http://{}", server.address)).await.expect("a connection")
}

/// A push consumer with its telemetry stream.
pub struct Consumer {
    pub commands: mpsc::Sender<TelemetryCommand>,
    back: Streaming<TelemetryCommand>,
}

impl Consumer {
    pub async fn connect(server: &Server, id: &str, group: &str, topics: &[(&str, &str)]) -> Consumer {
        let mut client = server.client(id).await;
        let (commands, outbound) = mpsc::channel(8);
        let request = client.request(ReceiverStream::new(outbound));
        let entry = |(topic, expression): &(&str, &str)| SubscriptionEntry {
            topic: Some(resource(topic)),
            expression: Some(FilterExpression {
                r#type: FilterType::Tag as i32,
                expression: (*expression).to_owned(),
            }),
        };
        let settings = Settings {
            client_type: Some(ClientType::PushConsumer as i32),
            pub_sub: Some(PubSub::Subscription(Subscription {
                group: Some(resource(group)),
                subscriptions: topics.iter().map(entry).collect(),
                ..Default::default()
            })),
            ..Settings::default()
        };
        let first = TelemetryCommand { status: None, command: Some(Command::Settings(settings)) };
        commands.send(first).await.expect("the stream is open");
        let mut back = client.stub.telemetry(request).await.expect("a stream").into_inner();
        let answer = back.message().await.expect("an answer").expect("a command");
        assert_eq!(answer.status, Some(ok()));
        Consumer { commands, back }
    }

    pub async fn next(&mut self) -> Command {
        self.back.message().await.expect("no error").expect("a command").command.expect("of some kind")
    }

    pub async fn says(&self, command: Command) {
        let command = TelemetryCommand { status: None, command: Some(command) };
        self.commands.send(command).await.expect("the stream is open");
    }
}

#[tokio::test]
async fn topics_are_described_routed_and_written_to() {
    let server = Server::start().await;
    server.topic("orders", TopicType::Fifo, 4).await;
    let mut admin = admin(&server).await;
    let topic = Some(resource("orders"));
    let request = DescribeTopicStatusRequest { topic: topic.clone(), ..Default::default() };
    let status = admin.describe_topic_status(request).await.unwrap().into_inner();
    assert_eq!((status.status.clone(), status.topic_message_type()), (Some(ok()), MessageType::Fifo));
    assert_eq!(status.tags["queues"], "4");
    assert!(status.create_timestamp.unwrap().seconds > 1_700_000_000);
    let request = DescribeTopicStatusRequest { topic: Some(resource("nothing")), ..Default::default() };
    let status = admin.describe_topic_status(request).await.unwrap().into_inner().status.unwrap();
    assert_eq!(
        (status.code(), status.message.as_str()),
        (Code::TopicNotFound, "topic nothing does not exist")
    );

    let request = GetTopicRouteRequest { topic: topic.clone(), ..Default::default() };
    let route = admin.get_topic_route(request).await.unwrap().into_inner().topic_route_data;
    let route: serde_json::Value = serde_json::from_str(&route).unwrap();
    assert_eq!(route["queueDatas"][0]["readQueueNums"], 4);
    assert!(route["brokerDatas"][0]["brokerAddrs"]["0"].as_str().unwrap().starts_with("127.0.0.1:"));

    let mut send = Request::new(AdminSendMessageRequest {
        topic: Some(resource("demo")),
        tag: Some("red".into()),
        key: Some("k1".into()),
        body: "hello".into(),
        ..Default::default()
    });
    send.metadata_mut().insert("x-mq-client-id", "console".parse().unwrap());
    let sent = admin.admin_send_message(send).await.unwrap().into_inner();
    assert_eq!(sent.status, Some(ok()));
    let (_, received) = server.client("c1").await.receive(receive("demo", "g", 5_000)).await;
    let system = system(&received[0]);
    assert_eq!((system.tag.as_deref(), system.keys.as_slice()), (Some("red"), &["k1".to_owned()][..]));
    assert_eq!((&system.message_id, body(&received[0]).as_str()), (&sent.message_id, "hello"));
}

#[tokio::test]
async fn progress_is_told_and_reset() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("t", TopicType::Normal, 4).await;
    let mut admin = admin(&server).await;
    let client = server.client("c1").await;
    for number in 0..10 {
        client.send(message("t", &number.to_string())).await;
    }
    let mut held = Vec::new();
    while held.len() < 6 {
        let one = proto::v2::ReceiveMessageRequest { batch_size: 1, ..receive("t", "g", 5_000) };
        held.extend(client.receive(one).await.1);
    }
    assert_eq!(client.ack("t", "g", &held[..2]).await.status, Some(ok()));
    let (group, topic) = (Some(resource("g")), Some(resource("t")));
    let request = DescribeGroupAccumulationRequest { group: group.clone(), ..Default::default() };
    let told = admin.describe_group_accumulation(request.clone()).await.unwrap().into_inner();
    assert_eq!(told.status, Some(ok()));
    let all = told.accumulation.unwrap();
    assert_eq!((all.inflight_messages, all.ready_messages, all.accumulation), (4, 4, 8));
    assert_eq!(told.topic_accumulation["t"].accumulation, 8);

    let list = ListSubscriptionRequest { group: group.clone(), ..Default::default() };
    let listed = admin.list_subscription(list.clone()).await.unwrap().into_inner().subscription_info;
    assert_eq!((listed.len(), listed[0].online), (1, false));
    let request_span =
        QueryTimeSpanRequest { group: group.clone(), topics: vec![resource("t")], ..Default::default() };
    let spans = admin.query_time_span(request_span).await.unwrap().into_inner().queue_time_span_list;
    assert_eq!(spans.len(), 4);
    assert!(spans.iter().any(|span| span.min_timestamp > 0 && span.min_timestamp <= span.max_timestamp));

    let reset = ResetGroupOffsetRequest { group: group.clone(), topic: topic.clone(), ..Default::default() };
    assert_eq!(admin.reset_group_offset(reset.clone()).await.unwrap().into_inner().status, Some(ok()));
    let told = admin.describe_group_accumulation(request.clone()).await.unwrap().into_inner();
    assert_eq!(told.accumulation.unwrap().accumulation, 0, "to the end");
    let reset = ResetGroupOffsetRequest {
        reset_timestamp: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        ..reset
    };
    assert_eq!(admin.reset_group_offset(reset).await.unwrap().into_inner().status, Some(ok()));
    let told = admin.describe_group_accumulation(request).await.unwrap().into_inner();
    assert_eq!(told.accumulation.unwrap().ready_messages, 10, "to the first");

    // The group begins anew, as one that never read the topic.
    let delete = DeleteSubscriptionRequest { group, topic, ..Default::default() };
    assert_eq!(admin.delete_subscription(delete).await.unwrap().into_inner().status, Some(ok()));
    assert_eq!(admin.list_subscription(list).await.unwrap().into_inner().subscription_info, []);
    let unknown = DescribeGroupAccumulationRequest { group: Some(resource("x")), ..Default::default() };
    let told = admin.describe_group_accumulation(unknown).await.unwrap().into_inner().status.unwrap();
    assert_eq!(told.code(), Code::ConsumerGroupNotFound);
}

#[tokio::test]
async fn the_members_of_a_group_are_listed_and_whether_they_agree() {
    let server = Server::start().await;
    for topic in ["t", "u"] {
        server.topic(topic, TopicType::Normal, 2).await;
    }
    server.client("c0").await.receive(receive("t", "g", 100)).await;
    let mut admin = admin(&server).await;
    let group = Some(resource("g"));
    let _one = Consumer::connect(&server, "host1@1", "g", &[("t", "a||b")]).await;
    let _two = Consumer::connect(&server, "host2@2", "g", &[("t", "a||b")]).await;

    let request = ListConsumerConnectionRequest { group: group.clone(), ..Default::default() };
    let clients = admin.list_consumer_connection(request.clone()).await.unwrap().into_inner().client_info;
    let ids: Vec<_> = clients.iter().map(|client| client.client_id.as_str()).collect();
    assert_eq!(ids, ["host1@1", "host2@2"]);
    let first = &clients[0];
    assert_eq!((first.hostname.as_str(), first.language.as_str()), ("host1", "java"));
    assert_eq!(first.egress_ip, "127.0.0.1");
    let of_topic = ListConsumerConnectionRequest { topic: Some(resource("u")), ..request };
    assert_eq!(admin.list_consumer_connection(of_topic).await.unwrap().into_inner().client_info, []);

    let list = ListSubscriptionRequest { topic: Some(resource("t")), ..Default::default() };
    let listed = admin.list_subscription(list.clone()).await.unwrap().into_inner().subscription_info;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].online && listed[0].subscription_consistency);
    assert_eq!(listed[0].expression.as_ref().unwrap().expression, "a||b");
    let _three = Consumer::connect(&server, "host3@3", "g", &[("t", "a"), ("u", "*")]).await;
    let listed = admin.list_subscription(list).await.unwrap().into_inner().subscription_info;
    assert!(!listed[0].subscription_consistency, "one of them wants something else");
    let describe = DescribeSubscriptionRequest { group: group.clone(), ..Default::default() };
    let described = admin.describe_subscription(describe).await.unwrap().into_inner();
    assert_eq!(described.client_subscription_info.len(), 4);

    let delete =
        DeleteSubscriptionRequest { group: group.clone(), topic: Some(resource("t")), ..Default::default() };
    let refused = admin.delete_subscription(delete).await.unwrap().into_inner().status.unwrap();
    assert_eq!(refused.code(), Code::BadRequest);
    assert!(refused.message.contains("stop it first"), "{}", refused.message);

    let info = GetConsumerRunningInfoRequest { group, client_id: "host3@3".into(), ..Default::default() };
    let info = admin.get_consumer_running_info(info).await.unwrap().into_inner();
    let info = info.consumer_running_info.unwrap();
    assert_eq!(info.properties["consumer_group"], "g");
    assert_eq!(info.subscriptions["t"].expression, "a");
    assert_eq!(info.message_queue_table.len(), 2, "one node, two topics");
}

#[tokio::test]
async fn a_client_is_asked_where_its_threads_are() {
    let server = Server::start().await;
    let admin = admin(&server).await;
    let ask = |client_id: &str, wait: Duration| {
        let mut admin = admin.clone();
        let mut request = Request::new(PrintThreadStackTraceRequest {
            client_id: client_id.into(),
            group: Some(resource("g")),
            ..Default::default()
        });
        request.set_timeout(wait);
        tokio::spawn(async move { admin.print_thread_stack_trace(request).await.unwrap().into_inner() })
    };
    let missing = ask("nobody", PATIENCE).await.unwrap().status.unwrap();
    assert_eq!(missing.code(), Code::NotFound);
    assert_eq!(missing.message, "client nobody is not connected: its telemetry stream is closed");

    let mut consumer = Consumer::connect(&server, "c1", "g", &[("t", "*")]).await;
    let asked = ask("c1", PATIENCE);
    let Command::PrintThreadStackTraceCommand(command) = consumer.next().await else { panic!("another") };
    let trace = |nonce: &str, text: &str| {
        let thread_stack_trace = Some(text.to_owned());
        Command::ThreadStackTrace(ThreadStackTrace { nonce: nonce.to_owned(), thread_stack_trace })
    };
    consumer.says(trace("another question", "not this")).await;
    consumer.says(trace(&command.nonce, "main: waiting")).await;
    let answer = asked.await.unwrap();
    assert_eq!((answer.status, answer.thread_stack_trace.as_deref()), (Some(ok()), Some("main: waiting")));

    // Silence has an end, and so has a client.
    let silent = ask("c1", Duration::from_secs(1)).await.unwrap().status.unwrap();
    assert_eq!(silent.code(), Code::RequestTimeout);
    assert_eq!(silent.message, "client c1 did not answer in time");
    consumer.next().await;
    let asked = ask("c1", PATIENCE);
    consumer.next().await;
    drop(consumer);
    let gone = asked.await.unwrap().status.unwrap();
    assert_eq!(gone.code(), Code::NotFound);
    assert_eq!(gone.message, "client c1 went away before it answered");
}

#[tokio::test]
async fn messages_are_found_and_verified_by_a_client() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("t", TopicType::Normal, 4).await;
    let client = server.client("c0").await;
    let keyed = |key: &str, text: &str| message_with("t", text, |system| system.keys = vec![key.into()]);
    for number in 0..5 {
        client.send(keyed(&format!("k{number}"), &number.to_string())).await;
    }
    client.receive(receive("t", "g", 5_000)).await;
    let mut admin = admin(&server).await;
    let query =
        |search_key| ListMessageRequest { topic: Some(resource("t")), search_key, ..Default::default() };
    let by_key = query(Some(SearchKey::MessageKey("k3".into())));
    let found = admin.query_message(by_key).await.unwrap().into_inner();
    assert_eq!((found.status, found.messages.len()), (Some(ok()), 1));
    assert_eq!(body(&found.messages[0]), "3");
    let id = system(&found.messages[0]).message_id.clone();
    let by_id = query(Some(SearchKey::MessageId(id.clone())));
    assert_eq!(body(&admin.query_message(by_id).await.unwrap().into_inner().messages[0]), "3");
    // By time, page by page.
    let mut bodies = Vec::new();
    let mut page = ListMessageRequest { max_message_nums: 2, ..query(None) };
    loop {
        let found = admin.query_message(page.clone()).await.unwrap().into_inner();
        bodies.extend(found.messages.iter().map(body));
        if found.scroll_id.is_empty() {
            break;
        }
        page.scroll_id = Some(found.scroll_id);
    }
    bodies.sort();
    assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
    let mut consumer = Consumer::connect(&server, "c1", "g", &[("t", "*")]).await;
    let verify = VerifyMessageRequest {
        client_id: "c1".into(),
        group: Some(resource("g")),
        topic: Some(resource("t")),
        message_id: id,
        ..Default::default()
    };
    let asked = tokio::spawn({
        let (mut admin, verify) = (admin.clone(), verify.clone());
        async move { admin.verify_message(verify).await.unwrap().into_inner().status.unwrap() }
    });
    let Command::VerifyMessageCommand(command) = consumer.next().await else { panic!("another") };
    assert_eq!(body(command.message.as_ref().unwrap()), "3");
    let failed = Status { code: Code::FailedToConsumeMessage as i32, message: "boom".into() };
    let answer = TelemetryCommand {
        status: Some(failed.clone()),
        command: Some(Command::VerifyMessageResult(VerifyMessageResult { nonce: command.nonce })),
    };
    consumer.commands.send(answer).await.unwrap();
    assert_eq!(asked.await.unwrap(), failed, "the client's own status");
    let unknown = VerifyMessageRequest { message_id: message_id(), ..verify };
    let refused = admin.verify_message(unknown).await.unwrap().into_inner().status.unwrap();
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn messages_are_found_by_lite_topic_and_by_what_a_group_wants() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("t", TopicType::Normal, 4).await;
    server.topic("devices", TopicType::Lite, 4).await;
    let client = server.client("c0").await;
    for tag in ["red", "blue", "red"] {
        client.send(message_with("t", tag, |system| system.tag = Some(tag.into()))).await;
    }
    for name in ["one", "two", "one"] {
        client.send(message_with("devices", name, |system| system.lite_topic = Some(name.into()))).await;
    }
    client.receive(receive("t", "g", 5_000)).await;
    let admin = admin(&server).await;
    let search = |topic: &str, search_key, to_ms: Option<i64>| {
        let (mut admin, topic) = (admin.clone(), Some(resource(topic)));
        let end_timestamp = to_ms.map(|ms| prost_types::Timestamp { seconds: ms / 1_000, nanos: 0 });
        let request =
            ListMessageRequest { topic, end_timestamp, search_key: Some(search_key), ..Default::default() };
        async move {
            let found = admin.query_message(request).await.unwrap().into_inner();
            let bodies: Vec<_> = found.messages.iter().map(body).collect();
            (found.status.unwrap(), bodies)
        }
    };
    let lite = |name: &str| SearchKey::LiteTopic(name.into());
    assert_eq!(search("devices", lite("one"), None).await, (ok(), vec!["one".into(), "one".into()]));
    assert_eq!(search("devices", lite("two"), None).await.1, ["two"]);
    assert_eq!(search("devices", lite("one"), Some(1_000)).await.1, [""; 0], "nothing is that old");
    assert_eq!(search("devices", lite("three"), None).await, (ok(), Vec::new()));
    assert_eq!(search("devices", lite("no good"), None).await.0.code(), Code::IllegalLiteTopic);
    assert_eq!(search("t", lite("one"), None).await.0.code(), Code::IllegalTopic);

    let group = |name: &str| SearchKey::Subscription(name.into());
    let mut all = search("t", group("g"), None).await.1;
    all.sort();
    assert_eq!(all, ["blue", "red", "red"], "nobody says what the group wants");
    let _member = Consumer::connect(&server, "c1", "g", &[("t", "red")]).await;
    assert_eq!(search("t", group("g"), None).await, (ok(), vec!["red".into(), "red".into()]));
    assert_eq!(search("t", group("nobody"), None).await.0.code(), Code::ConsumerGroupNotFound);
}

#[tokio::test]
async fn a_lite_topic_says_how_far_a_group_is_and_who_reads_it() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("devices", TopicType::Lite, 4).await;
    let mut client = server.client("c1").await;
    for name in ["one", "two", "one", "one"] {
        client.send(message_with("devices", name, |system| system.lite_topic = Some(name.into()))).await;
    }
    client.receive(receive("devices", "g", 100)).await;
    let _member = Consumer::connect(&server, "c1", "g", &[("devices", "*")]).await;
    let _other = Consumer::connect(&server, "c2", "g", &[("devices", "*")]).await;
    let (group, topic) = (Some(resource("g")), Some(resource("devices")));
    let subscribe = client.request(SyncLiteSubscriptionRequest {
        action: LiteSubscriptionAction::CompleteAdd as i32,
        topic: topic.clone(),
        group: group.clone(),
        lite_topic_set: vec!["one".into()],
        ..Default::default()
    });
    let subscribed = client.stub.sync_lite_subscription(subscribe).await.unwrap().into_inner();
    assert_eq!(subscribed.status, Some(ok()));
    let one = proto::v2::ReceiveMessageRequest { batch_size: 1, ..receive("devices", "g", 5_000) };
    assert_eq!(client.receive(one).await.1.len(), 1);

    let mut admin = admin(&server).await;
    for (name, counts) in [("one", (1, 2, 3)), ("nothing", (0, 0, 0))] {
        let request = DescribeGroupAccumulationRequest {
            group: group.clone(),
            lite_topic: Some(name.into()),
            ..Default::default()
        };
        let told = admin.describe_group_accumulation(request).await.unwrap().into_inner();
        let of_it = &told.lite_topic_accumulation[name];
        assert_eq!((of_it.inflight_messages, of_it.ready_messages, of_it.accumulation), counts, "{name}");
        assert_eq!(told.accumulation.unwrap().accumulation, counts.2, "{name}");
    }
    let readers = |topic, lite_topic: &str| {
        let (mut admin, group, lite_topic) = (admin.clone(), group.clone(), Some(lite_topic.to_owned()));
        let request = ListConsumerConnectionRequest { group, topic, lite_topic, ..Default::default() };
        async move {
            let found = admin.list_consumer_connection(request).await.unwrap().into_inner();
            let ids: Vec<_> = found.client_info.into_iter().map(|client| client.client_id).collect();
            (found.status.unwrap().code(), ids)
        }
    };
    assert_eq!(readers(topic.clone(), "one").await, (Code::Ok, vec!["c1".into()]));
    assert_eq!(readers(topic.clone(), "two").await, (Code::Ok, Vec::new()));
    assert_eq!(readers(topic, "no good").await.0, Code::IllegalLiteTopic);
    assert_eq!(readers(None, "one").await.0, Code::BadRequest);
}

#[tokio::test]
async fn the_node_tells_of_itself() {
    let server = Server::start().await;
    let mut admin = admin(&server).await;
    let _consumer = Consumer::connect(&server, "c1", "g", &[("t", "*")]).await;
    let stats = admin.get_proxy_runtime_stats(GetProxyRuntimeStatsRequest {}).await.unwrap().into_inner();
    assert_eq!((stats.status, stats.proxy_name.as_str()), (Some(ok()), "node1"));
    assert_eq!((stats.producers, stats.consumers), (0, 1));
    assert!(stats.connections >= 2 && !stats.version.is_empty());
    // The process of this test has no log of its own.
    let request = ChangeLogLevelRequest { level: Level::Debug as i32 };
    let remark = admin.change_log_level(request).await.unwrap().into_inner().remark;
    assert_eq!(remark, "the log level was not changed: this process installed no log");
}
