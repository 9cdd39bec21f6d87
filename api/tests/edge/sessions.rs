//! Telemetry, heartbeats and settings.

use proto::v2::retry_policy::Strategy;
use proto::v2::settings::PubSub;
use proto::v2::telemetry_command::Command;
use proto::v2::{
    ClientType, Code, FilterExpression, FilterType, HeartbeatRequest, Publishing, Settings, Subscription,
    SubscriptionEntry, TelemetryCommand,
};
use raft::catalog::StartFrom;
use raft::request::NewConsumer;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use crate::support::*;

/// A telemetry stream from the client's side.
pub struct Telemetry {
    pub out: mpsc::Sender<TelemetryCommand>,
    pub back: Streaming<TelemetryCommand>,
}

pub async fn open(client: &mut Client) -> Telemetry {
    let (out, commands) = mpsc::channel(4);
    let request = client.request(ReceiverStream::new(commands));
    // Headers come before anything is said: the Rust client waits for them.
    let back = client.stub.telemetry(request).await.expect("headers").into_inner();
    Telemetry { out, back }
}

impl Telemetry {
    pub async fn settings(&mut self, settings: Settings) -> Result<Option<TelemetryCommand>, tonic::Status> {
        let command = TelemetryCommand { status: None, command: Some(Command::Settings(settings)) };
        self.out.send(command).await.expect("the stream is open");
        self.back.message().await
    }

    pub async fn filled(&mut self, settings: Settings) -> Settings {
        let answer = self.settings(settings).await.expect("an answer").expect("not the end");
        assert_eq!(answer.status, Some(ok()));
        let Some(Command::Settings(filled)) = answer.command else { panic!("{answer:?}") };
        filled
    }
}

pub fn producer() -> Settings {
    Settings {
        client_type: Some(ClientType::Producer as i32),
        pub_sub: Some(PubSub::Publishing(Publishing {
            topics: vec![resource("demo")],
            ..Default::default()
        })),
        ..Settings::default()
    }
}

fn push_consumer(group: &str) -> Settings {
    Settings {
        client_type: Some(ClientType::PushConsumer as i32),
        pub_sub: Some(PubSub::Subscription(Subscription {
            group: Some(resource(group)),
            subscriptions: vec![SubscriptionEntry { topic: Some(resource("demo")), expression: None }],
            ..Default::default()
        })),
        ..Settings::default()
    }
}

/// Says that the client is a consumer of a group, and what it wants of a topic.
pub async fn subscribe(client: &Client, group: &str, topic: &str, tags: &str) {
    let expression = FilterExpression { r#type: FilterType::Tag as i32, expression: tags.into() };
    let subscription = Subscription {
        group: Some(resource(group)),
        subscriptions: vec![SubscriptionEntry { topic: Some(resource(topic)), expression: Some(expression) }],
        ..Default::default()
    };
    let settings = Settings {
        client_type: Some(ClientType::SimpleConsumer as i32),
        pub_sub: Some(PubSub::Subscription(subscription)),
        ..Settings::default()
    };
    open(&mut client.clone()).await.filled(settings).await;
}

#[tokio::test]
async fn settings_are_answered_filled_in_and_again_when_they_change() {
    let server = Server::start().await;
    let group = NewConsumer {
        name: "g".into(),
        fifo: true,
        max_attempts: 7,
        start: StartFrom::First,
        if_not_exists: false,
        settings: Default::default(),
    };
    server.node.create_consumer(group, soon()).await.unwrap();
    let mut client = server.client("c1").await;
    client.language = "PYTHON";
    let mut telemetry = open(&mut client).await;
    let filled = telemetry.filled(producer()).await;
    let Some(PubSub::Publishing(publishing)) = filled.pub_sub else { panic!("{filled:?}") };
    assert_eq!((publishing.max_body_size, publishing.topics), (4_194_304, vec![resource("demo")]));
    assert!(filled.metric.is_some());

    // The same client id in another role.
    let filled = telemetry.filled(push_consumer("g")).await;
    let backoff = filled.backoff_policy.unwrap();
    assert_eq!(backoff.max_attempts, 7);
    assert!(matches!(backoff.strategy, Some(Strategy::CustomizedBackoff(_))));
    let Some(PubSub::Subscription(subscription)) = filled.pub_sub else { panic!("{:?}", filled.pub_sub) };
    assert_eq!((subscription.fifo, subscription.receive_batch_size), (Some(true), Some(32)));
}

#[tokio::test]
async fn settings_that_make_no_sense_end_the_stream_with_a_sentence() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let mut telemetry = open(&mut client).await;
    let refused = telemetry.settings(Settings { pub_sub: None, ..producer() }).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);

    let mut telemetry = open(&mut client).await;
    let odd = Settings { client_properties: [("1".to_owned(), String::new())].into(), ..producer() };
    let refused = telemetry.settings(odd).await.unwrap().unwrap();
    assert_eq!(refused.status.unwrap().code(), Code::InvalidClientProperties);
    assert!(telemetry.back.message().await.unwrap().is_none(), "the stream ends");

    let mut telemetry = open(&mut client).await;
    let refused = telemetry.settings(push_consumer("bad name")).await.unwrap().unwrap();
    assert_eq!(refused.status.unwrap().code(), Code::IllegalConsumerGroup);
}

#[tokio::test]
async fn a_heartbeat_needs_neither_settings_nor_an_id() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let beat = |kind: ClientType| HeartbeatRequest { group: None, client_type: kind as i32 };
    let answer = client.stub.heartbeat(Request::new(beat(ClientType::Producer))).await.unwrap().into_inner();
    assert_eq!(answer.status, Some(ok()));
    let request = client.request(beat(ClientType::PushConsumer));
    assert_eq!(client.stub.heartbeat(request).await.unwrap().into_inner().status, Some(ok()));
    let request = client.request(beat(ClientType::Unspecified));
    let answer = client.stub.heartbeat(request).await.unwrap().into_inner();
    assert_eq!(answer.status.unwrap().code(), Code::UnrecognizedClientType);
}

#[tokio::test]
async fn a_shutdown_ends_streams_and_long_polls_and_then_the_server() {
    let mut server = Server::start().await;
    let mut client = server.client("c1").await;
    client.send(message("demo", "x")).await;
    client.bodies(receive("demo", "g", 5_000)).await;
    let mut telemetry = open(&mut client).await;
    telemetry.filled(producer()).await;
    let poll = tokio::spawn({
        let client = client.clone();
        async move { client.receive(receive("demo", "g", 20_000)).await }
    });
    // The poll is on its way when the server has seen a request that came after it.
    client.send(message("other", "x")).await;
    server.stop.take().unwrap().send(()).unwrap();
    assert!(telemetry.back.message().await.unwrap().is_none(), "the stream ends, without an error");
    assert_eq!(poll.await.unwrap().0.code(), Code::MessageNotFound);
    server.edge.take().unwrap().task.await.unwrap().expect("a clean end");
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "nobody listens");
}
