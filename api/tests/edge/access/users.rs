//! Users at work: what they may do they can do, and nothing else has an effect.

use std::time::Duration;

use api::access::signature::sign;
use api::port::holdings::Held;
use proto::admin::admin_client::AdminClient;
use proto::v2::telemetry_command::Command;
use proto::v2::{
    AckMessageEntry, AckMessageRequest, ChangeInvisibleDurationRequest, Code, EndTransactionRequest,
    Publishing, Settings, TelemetryCommand, settings,
};
use raft::access::{Effect, Role};
use raft::catalog::TopicType;
use raft::machine::AccessAction;
use raft::request::NewConsumer;
use tokio::time::Instant;

use super::support::{DATE, Guarded, Right, SECRET, all_but, only, rule, sign_as};
use crate::client::{Client, message, message_with, push, receipt, receive, resource, system};
use crate::support::{PATIENCE, soon};

impl Guarded {
    /// A client of a user with this secret.
    async fn client_with(&self, user: &str, secret: &str) -> Client {
        let mut client = self.server.client(&format!("client-of-{user}")).await;
        let signature = sign(user, secret.as_bytes(), DATE.as_bytes());
        client.signed = vec![("x-mq-date-time", DATE.into()), ("authorization", signature)];
        client
    }

    async fn client(&self, user: &str) -> Client {
        self.client_with(user, SECRET).await
    }

    /// Makes a user with these rights.
    async fn allowed(&self, name: &str, rights: &[Right]) {
        self.user(name, Role::Normal, only(rights)).await;
    }

    async fn group(&self, name: &str) {
        let new = NewConsumer {
            name: name.into(),
            fifo: false,
            max_attempts: 16,
            start: raft::catalog::StartFrom::First,
            if_not_exists: false,
            settings: Default::default(),
        };
        self.server.node.create_consumer(new, soon()).await.expect("the group is made");
    }

    async fn admin(&self) -> AdminClient<tonic::transport::Channel> {
        let uri = format!("http://{}", self.server.address);
        AdminClient::connect(uri).await.expect("a connection")
    }
}

fn signed<T>(user: &str, body: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(body);
    sign_as(request.metadata_mut(), Some((user, SECRET)));
    request
}

const FORBIDDEN: i32 = Code::Forbidden as i32;
const UNAUTHORIZED: i32 = Code::Unauthorized as i32;

/// A topic, a group, a producer `shop` and a consumer `billing`.
async fn shop() -> Guarded {
    let guarded = Guarded::start().await;
    guarded.server.topic("orders", TopicType::Mixed, 1).await;
    guarded.group("workers").await;
    guarded.allowed("shop", &[("publish", "topic:orders")]).await;
    guarded.allowed("billing", &[("subscribe", "topic:orders"), ("subscribe", "group:workers")]).await;
    guarded
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_serve_only_those_who_may_use_them() {
    let guarded = shop().await;
    guarded.server.topic("other", TopicType::Normal, 1).await;
    guarded.group("others").await;
    guarded.allowed("spy", &[("subscribe", "topic:other*"), ("subscribe", "group:other*")]).await;
    // A tenant that may read the topic too, as a group of its own.
    guarded.allowed("tenant", &[("subscribe", "topic:orders"), ("subscribe", "group:others")]).await;
    let shop = guarded.client("shop").await;
    shop.send(message("orders", "one")).await;
    let billing = guarded.client("billing").await;
    let (_, held) = billing.receive(receive("orders", "workers", 5_000)).await;
    let handle = receipt(&held[0]);

    // Who may do everything but this does not get it by not saying what it is.
    guarded.user("most", Role::Normal, all_but(&[("subscribe", "group:workers")])).await;
    let most = guarded.client("most").await;
    let spy = guarded.client("spy").await;
    let tenant = guarded.client("tenant").await;
    for (client, topic, group) in [
        // As it is, without rights.
        (&spy, Some("orders"), Some("workers")),
        (&tenant, Some("orders"), Some("workers")),
        // Under names that the caller has rights on.
        (&spy, Some("other"), Some("others")),
        (&tenant, Some("orders"), Some("others")),
        // Without names, or with names that nobody has made.
        (&tenant, Some("orders"), None),
        (&tenant, None, None),
        (&most, Some("orders"), Some("workers")),
        (&most, Some("orders"), None),
        (&most, None, None),
        (&spy, Some("other-unmade"), Some("others-unmade")),
    ] {
        let entry = AckMessageEntry {
            message_id: system(&held[0]).message_id.clone(),
            receipt_handle: handle.clone(),
            lite_topic: None,
        };
        let (topic, group) = (topic.map(resource), group.map(resource));
        let request = AckMessageRequest { group: group.clone(), topic: topic.clone(), entries: vec![entry] };
        let answer = client.stub.clone().ack_message(client.request(request)).await.unwrap().into_inner();
        let code = answer.status.expect("a status").code;
        let refused = [FORBIDDEN, Code::InvalidReceiptHandle as i32, Code::TooManyRequests as i32];
        assert!(refused.contains(&code), "ack of {topic:?} {group:?} by {}: {code}", client.id);
        let request = ChangeInvisibleDurationRequest {
            group,
            topic,
            receipt_handle: handle.clone(),
            ..Default::default()
        };
        let changed = client.stub.clone().change_invisible_duration(client.request(request)).await;
        let code = changed.unwrap().into_inner().status.expect("a status").code;
        assert!(refused.contains(&code), "change by {}: {code}", client.id);
    }
    // Nothing of it had an effect: the lease is held, and its holder settles it.
    let (status, again) = billing.receive(receive("orders", "workers", 200)).await;
    assert_eq!((status.code, again.len()), (Code::MessageNotFound as i32, 0));
    let acked = billing.ack("orders", "workers", &held).await;
    assert_eq!(acked.status.expect("a status").code, Code::Ok as i32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_ended_only_by_who_may_publish_to_its_topic() {
    let guarded = shop().await;
    guarded.server.topic("other", TopicType::Mixed, 1).await;
    guarded.allowed("rival", &[("publish", "topic:other")]).await;
    let shop = guarded.client("shop").await;
    let half = message_with("orders", "half", |system| {
        system.message_type = proto::v2::MessageType::Transaction as i32;
    });
    let id = system(&half).message_id.clone();
    let sent = shop.send_all(vec![half]).await;
    let transaction_id = sent.entries[0].transaction_id.clone();
    let end = |topic: &str| EndTransactionRequest {
        topic: Some(resource(topic)),
        message_id: id.clone(),
        transaction_id: transaction_id.clone(),
        resolution: proto::v2::TransactionResolution::Rollback as i32,
        ..Default::default()
    };
    let rival = guarded.client("rival").await;
    for (topic, code) in [("orders", FORBIDDEN), ("other", Code::InvalidTransactionId as i32)] {
        let ended = rival.stub.clone().end_transaction(rival.request(end(topic))).await;
        assert_eq!(ended.unwrap().into_inner().status.expect("a status").code, code, "{topic}");
    }
    let commit = EndTransactionRequest {
        resolution: proto::v2::TransactionResolution::Commit as i32,
        ..end("orders")
    };
    let ended = shop.stub.clone().end_transaction(shop.request(commit)).await.unwrap().into_inner();
    assert_eq!(ended.status.expect("a status").code, Code::Ok as i32);
    let billing = guarded.client("billing").await;
    assert_eq!(billing.bodies(receive("orders", "workers", 5_000)).await, ["half"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_ends_when_its_right_is_taken() {
    let guarded = shop().await;
    let billing = guarded.client("billing").await;
    let began = Instant::now();
    let polling = tokio::spawn(async move { billing.receive(push("orders", "workers", 19_000)).await.0 });
    let state = guarded.server.edge.as_ref().and_then(|edge| edge.state.upgrade()).expect("it runs");
    while state.holdings.held(Held::LongPolls) == 0 {
        tokio::task::yield_now().await;
    }
    // A change of others is none of its business.
    guarded.allowed("another", &[]).await;
    assert!(!polling.is_finished());
    let disable = AccessAction::UpdateUser {
        name: "billing".into(),
        secret: Vec::new(),
        role: None,
        enabled: Some(false),
    };
    guarded.change(disable).await;
    let status = polling.await.expect("it ends");
    assert_eq!(status.code, FORBIDDEN, "{status:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "it ended by itself: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_telemetry_stream_ends_when_its_right_is_taken() {
    let guarded = shop().await;
    let shop = guarded.client("shop").await;
    let (commands, outbound) = tokio::sync::mpsc::channel(4);
    let outbound = tokio_stream::wrappers::ReceiverStream::new(outbound);
    let answer = shop.stub.clone().telemetry(shop.request(outbound)).await.expect("a stream");
    let mut inbound = answer.into_inner();
    let publishing = Publishing { topics: vec![resource("orders")], ..Default::default() };
    let settings = Settings {
        client_type: Some(proto::v2::ClientType::Producer as i32),
        pub_sub: Some(settings::PubSub::Publishing(publishing)),
        ..Default::default()
    };
    let command = TelemetryCommand { command: Some(Command::Settings(settings)), ..Default::default() };
    commands.send(command).await.expect("it is open");
    let filled = inbound.message().await.expect("a command").expect("settings");
    assert_eq!(filled.status.expect("a status").code, Code::Ok as i32);
    let resource = "topic:orders".parse().expect("a resource");
    guarded.change(AccessAction::DeleteRules { user: "shop".into(), resource, effect: None }).await;
    let refused = tokio::time::timeout(PATIENCE, inbound.message()).await.expect("in time");
    assert_eq!(refused.expect("a command").expect("a refusal").status.expect("a status").code, FORBIDDEN);
    assert!(inbound.message().await.expect("an end").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_secret_counts_at_once_and_the_old_one_no_more() {
    let guarded = shop().await;
    let old = guarded.client("shop").await;
    old.send(message("orders", "one")).await;
    let request =
        proto::admin::UpdateUserRequest { name: "shop".into(), new_secret: true, ..Default::default() };
    let made = guarded.admin().await.update_user(signed("admin", request)).await.expect("it is changed");
    let secret = made.into_inner().secret;
    assert_eq!(secret.len(), 48);
    let refused = old.send_all(vec![message("orders", "two")]).await;
    assert_eq!(refused.status.expect("a status").code, UNAUTHORIZED);
    guarded.client_with("shop", &secret).await.send(message("orders", "three")).await;
    // Nothing tells the secret again.
    let listed = guarded.admin().await.list_users(signed("admin", Default::default())).await;
    assert!(!format!("{listed:?}").contains(&secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_on_first_use_only_by_who_may_make_them() {
    let guarded = shop().await;
    guarded.allowed("maker", &[("publish", "topic:new*"), ("create", "topic:new-*")]).await;
    let maker = guarded.client("maker").await;
    maker.send(message("new-one", "x")).await;
    let refused = maker.send_all(vec![message("newest", "x")]).await;
    assert_eq!(refused.status.expect("a status").code, Code::TopicNotFound as i32);
    assert!(!guarded.server.node.catalog().topics.contains_key("newest"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_show_what_may_be_seen_and_searches_find_no_more() {
    let guarded = shop().await;
    guarded.server.topic("secret", TopicType::Normal, 1).await;
    let all = guarded.client("admin").await;
    let hidden = message("secret", "x");
    let id = system(&hidden).message_id.clone();
    all.send(hidden).await;
    guarded.allowed("reader", &[("list", "topic:orders"), ("subscribe", "topic:orders")]).await;
    let mut admin = guarded.admin().await;
    let request = proto::admin::ListTopicsRequest { all: true };
    let listed = admin.list_topics(signed("reader", request)).await.expect("a list").into_inner().topics;
    assert_eq!(listed.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["orders"]);
    let groups = admin.list_groups(signed("reader", Default::default())).await.expect("a list");
    assert!(groups.into_inner().groups.is_empty());
    for (user, count) in [("reader", 0), ("admin", 1)] {
        let request = proto::admin::TraceMessageRequest { id: id.clone(), topic: String::new() };
        let traced = admin.trace_message(signed(user, request)).await.expect("an answer").into_inner();
        assert_eq!(traced.messages.len(), count, "as {user}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_count_from_their_addresses_only() {
    let guarded = shop().await;
    for (source, code) in [("10.0.0.0/8", FORBIDDEN), ("127.0.0.0/8", Code::Ok as i32)] {
        let mut publish = rule(Effect::Allow, ("publish", "topic:orders"));
        publish.sources.insert(source.parse().expect("a network"));
        guarded.user("shop", Role::Normal, vec![publish]).await;
        let sent = guarded.client("shop").await.send_all(vec![message("orders", "x")]).await;
        assert_eq!(sent.status.expect("a status").code, code, "{source}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_administrator_stays_and_a_user_is_made_once() {
    let guarded = Guarded::start().await;
    let mut admin = guarded.admin().await;
    let delete = proto::admin::DeleteUserRequest { name: "admin".into() };
    let refused = admin.delete_user(signed("admin", delete)).await.expect_err("it is the last one");
    assert!(refused.message().contains("only administrator"), "{refused}");
    let create = proto::admin::CreateUserRequest { name: "nobody".into(), ..Default::default() };
    let twice = admin.create_user(signed("admin", create)).await.expect_err("there is one");
    assert_eq!(twice.code(), tonic::Code::AlreadyExists);
    for odd in ["", "a/b", "a,b", "a b", "é", &"x".repeat(65)] {
        let create = proto::admin::CreateUserRequest { name: odd.into(), ..Default::default() };
        let refused = admin.create_user(signed("admin", create)).await.expect_err(odd);
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{odd:?}");
    }
}

/// The Go client's first heartbeat after an outage has neither signature nor client id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_heartbeat_of_nobody_is_tolerated_and_says_nothing() {
    let guarded = Guarded::start().await;
    let client = guarded.server.client("c").await;
    let beat =
        proto::v2::HeartbeatRequest { group: None, client_type: proto::v2::ClientType::Producer as i32 };
    let answer = client.stub.clone().heartbeat(tonic::Request::new(beat.clone())).await.unwrap().into_inner();
    assert_eq!(answer.status.expect("a status").code, Code::Ok as i32);
    let named = client.stub.clone().heartbeat(client.request(beat)).await.unwrap().into_inner();
    assert_eq!(named.status.expect("a status").code, UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_id_is_its_users_own() {
    let guarded = shop().await;
    guarded.allowed("rival", &[("subscribe", "topic:orders"), ("subscribe", "group:workers")]).await;
    let shop = guarded.client("shop").await;
    assert_eq!(shop.send(message("orders", "x")).await, 0);
    let billing = guarded.client("billing").await;
    let taken = billing.receive(receive("orders", "workers", 5_000)).await.1;
    assert_eq!(taken.len(), 1);

    // The rival says the same client id, and goodbye: neither the session nor the lease of the other is its business.
    let rival = guarded.client("rival").await;
    let goodbye = proto::v2::NotifyClientTerminationRequest { group: Some(resource("workers")) };
    let answer = rival.stub.clone().notify_client_termination(rival.request(goodbye.clone())).await;
    assert_eq!(answer.unwrap().into_inner().status.expect("a status").code, Code::Ok as i32);
    assert_eq!(rival.bodies(receive("orders", "workers", 5_000)).await, [""; 0], "the lease was ended");
    let answer = billing.stub.clone().notify_client_termination(billing.request(goodbye)).await;
    assert_eq!(answer.unwrap().into_inner().status.expect("a status").code, Code::Ok as i32);
    assert_eq!(rival.bodies(receive("orders", "workers", 5_000)).await, ["x"], "its own goodbye ends it");
}
