//! The public admin service at one node, about clients that are connected to another one.

use std::time::Duration;

use proto::v2::admin_client::AdminClient;
use proto::v2::telemetry_command::Command;
use proto::v2::{
    Code, GetConsumerRunningInfoRequest, ListConsumerConnectionRequest, PrintThreadStackTraceRequest, Status,
    TelemetryCommand, ThreadStackTrace, VerifyMessageRequest, VerifyMessageResult,
};
use raft::catalog::TopicType;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::Channel;

use crate::rocketmq_admin::{Consumer, admin};
use crate::support::*;

/// Three nodes, a consumer at the second one, and the admin service of the first and of the third.
struct Scene {
    servers: Vec<Server>,
    consumer: Consumer,
    admins: [AdminClient<Channel>; 2],
}

async fn scene() -> Scene {
    let servers = Server::cluster(3).await;
    servers[0].topic("t", TopicType::Normal, 2).await;
    // The consumer group is made by its first receive.
    let client = servers[1].client("c0").await;
    client.send(message("t", "one")).await;
    let (_, found) = client.receive(receive("t", "g", 10_000)).await;
    assert_eq!(client.ack("t", "g", &found).await.status, Some(ok()));
    let consumer = Consumer::connect(&servers[1], "host@1", "g", &[("t", "a||b")]).await;
    let admins = [admin(&servers[0]).await, admin(&servers[2]).await];
    Scene { servers, consumer, admins }
}

fn ask_for_threads(
    admin: &AdminClient<Channel>,
    wait: Duration,
) -> JoinHandle<proto::v2::PrintThreadStackTraceResponse> {
    let mut admin = admin.clone();
    let mut request = Request::new(PrintThreadStackTraceRequest {
        client_id: "host@1".into(),
        group: Some(resource("g")),
        ..Default::default()
    });
    request.set_timeout(wait);
    tokio::spawn(
        async move { admin.print_thread_stack_trace(request).await.expect("an answer").into_inner() },
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_knows_the_clients_of_the_others() {
    let scene = scene().await;
    for mut admin in scene.admins.clone() {
        let group = Some(resource("g"));
        let request = ListConsumerConnectionRequest { group: group.clone(), ..Default::default() };
        let listed = admin.list_consumer_connection(request).await.unwrap().into_inner();
        let clients: Vec<_> = listed.client_info.iter().map(|client| client.client_id.as_str()).collect();
        assert_eq!((listed.status, clients), (Some(ok()), vec!["host@1"]));
        let info = GetConsumerRunningInfoRequest { group, client_id: "host@1".into(), ..Default::default() };
        let info = admin.get_consumer_running_info(info).await.unwrap().into_inner();
        assert_eq!(info.status, Some(ok()));
        let info = info.consumer_running_info.unwrap();
        assert_eq!(info.subscriptions["t"].expression, "a||b");
        assert_eq!(info.properties["address"].split(':').next(), Some("127.0.0.1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_another_node_is_asked_and_its_answer_comes_back() {
    let Scene { mut servers, mut consumer, admins } = scene().await;
    let asked = ask_for_threads(&admins[0], PATIENCE);
    let Command::PrintThreadStackTraceCommand(command) = consumer.next().await else { panic!("another") };
    let trace = Some("main: waiting".to_owned());
    consumer
        .says(Command::ThreadStackTrace(ThreadStackTrace {
            nonce: command.nonce,
            thread_stack_trace: trace.clone(),
        }))
        .await;
    let answer = asked.await.unwrap();
    assert_eq!((answer.status, answer.thread_stack_trace), (Some(ok()), trace));

    let sent = message("t", "look at this");
    let id = system(&sent).message_id.clone();
    servers[2].client("c2").await.send(sent).await;
    let verify = VerifyMessageRequest {
        client_id: "host@1".into(),
        group: Some(resource("g")),
        topic: Some(resource("t")),
        message_id: id,
        ..Default::default()
    };
    let asked = tokio::spawn({
        let mut admin = admins[1].clone();
        async move { admin.verify_message(verify).await.unwrap().into_inner().status }
    });
    let Command::VerifyMessageCommand(command) = consumer.next().await else { panic!("another") };
    assert_eq!(body(command.message.as_ref().unwrap()), "look at this");
    let failed = Status { code: Code::FailedToConsumeMessage as i32, message: "boom".into() };
    let answer = TelemetryCommand {
        status: Some(failed.clone()),
        command: Some(Command::VerifyMessageResult(VerifyMessageResult { nonce: command.nonce })),
    };
    consumer.commands.send(answer).await.unwrap();
    assert_eq!(asked.await.unwrap(), Some(failed), "the client's own status");

    // One that does not answer, one that goes away meanwhile, and one whose node is gone.
    let silent = ask_for_threads(&admins[0], Duration::from_secs(1)).await.unwrap().status.unwrap();
    assert_eq!(silent.code(), Code::RequestTimeout, "{silent:?}");
    consumer.next().await;
    let asked = ask_for_threads(&admins[0], PATIENCE);
    consumer.next().await;
    drop(consumer);
    let gone = asked.await.unwrap().status.unwrap();
    assert_eq!(
        (gone.code(), gone.message.as_str()),
        (Code::NotFound, "client host@1 went away before it answered")
    );

    let _again = Consumer::connect(&servers[1], "host@1", "g", &[("t", "*")]).await;
    let stopped = servers.remove(1);
    stopped.node.drain(soon()).await;
    drop(stopped);
    let gone = ask_for_threads(&admins[0], PATIENCE).await.unwrap().status.unwrap();
    assert_eq!(gone.code(), Code::NotFound, "{gone:?}");
}
