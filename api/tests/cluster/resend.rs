//! The leader is killed while dead letters are sent again: each comes back once.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use proto::v2::{ForwardMessageToDeadLetterQueueRequest, Message, SendMessageRequest};
use serde_json::Value;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::cli_process::local::Local;
use crate::cli_process::{command, ledgermq};
use crate::client::{Client, message, ok, receipt, receive, resource, system};

/// The command sends 500 in a call: the leader dies in one of the first of many.
const LETTERS: usize = 3_000;
const SENT_AT_ONCE: usize = 500;
/// No more of them are under way when letters are buried.
const CONSUMERS: usize = 8;

async fn give_up(client: Client, received: Message) {
    let request = ForwardMessageToDeadLetterQueueRequest {
        group: Some(resource("g")),
        topic: Some(resource("demo")),
        receipt_handle: receipt(&received),
        message_id: system(&received).message_id.clone(),
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        lite_topic: None,
    };
    let request = client.request(request);
    let answer = client.stub.clone().forward_message_to_dead_letter_queue(request).await;
    assert_eq!(answer.expect("an answer").into_inner().status, Some(ok()));
}

/// Sends messages and has the consumer group give all of them up.
async fn bury(client: &Client) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for _ in 0..LETTERS / SENT_AT_ONCE {
        let messages: Vec<Message> = (0..SENT_AT_ONCE).map(|_| message("demo", "letter")).collect();
        ids.extend(messages.iter().map(|message| system(message).message_id.clone()));
        let request = client.request(SendMessageRequest { messages });
        let sent = client.stub.clone().send_message(request).await.expect("an answer").into_inner();
        assert_eq!(sent.status, Some(ok()));
    }
    let mut consumers = JoinSet::new();
    for _ in 0..CONSUMERS {
        let client = client.clone();
        consumers.spawn(async move {
            loop {
                let (_, batch) = client.receive(receive("demo", "g", 1_000)).await;
                if batch.is_empty() {
                    return;
                }
                for received in batch {
                    give_up(client.clone(), received).await;
                }
            }
        });
    }
    consumers.join_all().await;
    ids
}

/// Everything that comes to a consumer group, by id.
async fn drain(client: &Client, group: &str, wanted: usize) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let (_, batch) = client.receive(receive("demo", group, 2_000)).await;
        if batch.is_empty() && ids.len() >= wanted {
            return ids;
        }
        assert!(!batch.is_empty(), "{} of {wanted} came", ids.len());
        client.ack("demo", group, &batch).await;
        ids.extend(batch.iter().map(|message| system(message).message_id.clone()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_come_back_once_through_the_loss_of_the_leader() {
    let (local, started) = Local::start(3, 1);
    local.client(&["topic", "create", "demo"]).code(0);
    local.client(&["group", "create", "g", "--max-attempts", "1"]).code(0);
    let leader = local.leader("g1");
    let node = |id: u64| started["nodes"].as_array().expect("nodes")[id as usize - 1].clone();
    let endpoint = node(leader % 3 + 1)["grpc"].as_str().expect("an address").to_owned();
    let channel: Channel = Endpoint::from_shared(format!("http://{endpoint}")).expect("a URI").connect_lazy();
    let client = Client::over(channel, "client");
    let letters = bury(&client).await;
    assert_eq!(letters.len(), LETTERS);

    // This one waits at the topic, so that the first letter that is sent again is the moment to kill.
    let resend = ["dlq", "resend", "g", "--all", "--yes", "-o", "json", "--endpoint", &endpoint];
    let resending = command(&resend).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut resending = resending.expect("the binary runs");
    let (_, first) = client.receive(receive("demo", "g", 20_000)).await;
    let pid = node(leader)["pid"].as_u64().expect("a process");
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill runs").success());
    assert!(resending.try_wait().expect("it was started here").is_none(), "killed too late to test anything");
    assert!(!first.is_empty(), "nothing is sent again");

    let output = resending.wait_with_output().expect("it was started here");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    println!("{told} {said}");
    // A call whose answer died with the leader was repeated, and met its own letters.
    let count = told["resent"].as_u64().unwrap() + told["already"].as_u64().unwrap();
    assert_eq!((count, &told["unknown"]), (LETTERS as u64, &0.into()), "{told}");

    let again = ledgermq(&resend).code(0).json();
    assert_eq!((&again["resent"], &again["already"]), (&0.into(), &0.into()), "{again}");
    // What a group that begins now finds: what was sent first, and each once more.
    let mut found = drain(&client, "audit", 2 * LETTERS).await;
    assert_eq!(found.len(), 2 * LETTERS);
    found.sort_unstable();
    let mut expected: Vec<String> = letters.iter().chain(&letters).cloned().collect();
    expected.sort_unstable();
    assert!(found == expected, "a letter came back twice, another one never");
}
