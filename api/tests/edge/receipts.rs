//! Receipt handles that settle nothing: unknown, replayed, outdated, of somebody else, forged.

use proto::v2::{
    AckMessageEntry, AckMessageRequest, ChangeInvisibleDurationRequest, Code,
    ForwardMessageToDeadLetterQueueRequest, Message, Status,
};
use raft::catalog::TopicType;
use raft::hash::hash64;

use crate::support::*;

/// Tries all that a receipt is for; each must be refused.
async fn refused(client: &Client, (topic, group): (&str, &str), handle: &str, why: &str) {
    for (what, status) in statuses(client, (topic, group), handle).await {
        assert_eq!(status.code(), Code::InvalidReceiptHandle, "{what}, {why}: {}", status.message);
        assert!(status.message.contains("receipt handle"), "{what}, {why}: {}", status.message);
    }
}

async fn statuses(
    client: &Client,
    (topic, group): (&str, &str),
    handle: &str,
) -> Vec<(&'static str, Status)> {
    let (group, topic) = (Some(resource(group)), Some(resource(topic)));
    let (id, receipt_handle) = (message_id(), handle.to_owned());
    let entry =
        AckMessageEntry { message_id: id.clone(), receipt_handle: receipt_handle.clone(), lite_topic: None };
    let ack = AckMessageRequest { group: group.clone(), topic: topic.clone(), entries: vec![entry] };
    let change = ChangeInvisibleDurationRequest {
        group: group.clone(),
        topic: topic.clone(),
        receipt_handle: receipt_handle.clone(),
        invisible_duration: Some(seconds(0)),
        message_id: id.clone(),
        ..ChangeInvisibleDurationRequest::default()
    };
    let bury = ForwardMessageToDeadLetterQueueRequest {
        group,
        topic,
        receipt_handle,
        message_id: id,
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        lite_topic: None,
    };
    let mut stub = client.stub.clone();
    let ack = stub.ack_message(client.request(ack)).await.unwrap().into_inner();
    let change = stub.change_invisible_duration(client.request(change)).await.unwrap().into_inner();
    let bury = stub.forward_message_to_dead_letter_queue(client.request(bury)).await.unwrap().into_inner();
    let ack = ack.entries[0].status.clone();
    let all = [("acknowledge", ack), ("change", change.status), ("bury", bury.status)];
    all.into_iter().map(|(what, status)| (what, status.expect("a status"))).collect()
}

/// The handle with one byte of its content changed, and a checksum that fits.
fn forged(handle: &str, at: usize) -> String {
    let byte = |at: usize| u8::from_str_radix(&handle[2 * at..2 * at + 2], 16).expect("hex");
    let mut content: Vec<u8> = (0..handle.len() / 2 - 4).map(byte).collect();
    content[at] ^= 1;
    let sum = hash64(&content) as u32;
    content.extend(sum.to_be_bytes());
    content.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_receipt_that_is_not_the_newest_of_its_lease_changes_nothing() {
    let server = Server::start_with(2, |_| {}).await;
    for topic in ["t", "other"] {
        server.topic(topic, TopicType::Normal, 1).await;
    }
    let client = server.client("c1").await;
    client.send(message("t", "x")).await;
    let (_, received) = client.receive(receive("t", "g", 5_000)).await;
    let held = receipt(&received[0]);
    // So that the other group stands in the queue too.
    client.receive(receive("t", "h", 5_000)).await;

    for unknown in ["", "unknown", &held[2..], &format!("{held}00"), &held.replace('0', "1")] {
        refused(&client, ("t", "g"), unknown, unknown).await;
    }
    refused(&client, ("t", "h"), &held, "of another group").await;
    refused(&client, ("other", "g"), &held, "of another topic").await;
    // Everything but the attempt, which is for people only.
    for at in 0..37 {
        refused(&client, ("t", "g"), &forged(&held, at), &format!("byte {at} is forged")).await;
    }

    // The lease is what it was: its own receipt changes it, and is replaced by that.
    let request = ChangeInvisibleDurationRequest {
        group: Some(resource("g")),
        topic: Some(resource("t")),
        receipt_handle: held.clone(),
        invisible_duration: Some(seconds(60)),
        message_id: system(&received[0]).message_id.clone(),
        ..ChangeInvisibleDurationRequest::default()
    };
    let changed = client.stub.clone().change_invisible_duration(client.request(request)).await.unwrap();
    let newer = changed.into_inner().receipt_handle;
    assert_ne!(newer, held);
    let old = statuses(&client, ("t", "g"), &held).await;
    assert_eq!(old[0].1.code(), Code::InvalidReceiptHandle, "it was replaced");

    let with = |handle: &str| {
        let mut message: Message = received[0].clone();
        message.system_properties.as_mut().unwrap().receipt_handle = Some(handle.to_owned());
        message
    };
    assert_eq!(client.ack("t", "g", &[with(&newer)]).await.status, Some(ok()));
    assert_eq!(client.ack("t", "g", &[with(&newer)]).await.status, Some(ok()), "a repetition");
    let (status, again) = client.receive(receive("t", "g", 200)).await;
    assert_eq!((status.code(), again.len()), (Code::MessageNotFound, 0), "it is settled");
    let (status, dead) = client.receive(receive("%DLQ%g", "inspectors", 200)).await;
    assert_eq!((status.code(), dead.len()), (Code::MessageNotFound, 0), "nothing was buried");
}

#[tokio::test]
async fn a_receipt_of_before_a_message_came_again_settles_nothing() {
    let server = Server::start().await;
    server.topic("t", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    client.send(message("t", "x")).await;
    let (_, first) = client.receive(receive("t", "g", 5_000)).await;
    let give_back = ChangeInvisibleDurationRequest {
        group: Some(resource("g")),
        topic: Some(resource("t")),
        receipt_handle: receipt(&first[0]),
        invisible_duration: Some(seconds(0)),
        message_id: system(&first[0]).message_id.clone(),
        ..ChangeInvisibleDurationRequest::default()
    };
    let given_back = client.stub.clone().change_invisible_duration(client.request(give_back)).await.unwrap();
    let given_back = given_back.into_inner().receipt_handle;
    let (_, second) = client.receive(receive("t", "g", 10_000)).await;
    assert_eq!(system(&second[0]).delivery_attempt, Some(2));
    for replayed in [&receipt(&first[0]), &given_back] {
        refused(&client, ("t", "g"), replayed, "of the delivery before").await;
    }
    assert_eq!(client.ack("t", "g", &second).await.status, Some(ok()));
}
