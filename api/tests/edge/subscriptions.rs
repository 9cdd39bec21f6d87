//! What a consumer group knows of a topic, deleted by the public admin service.

use proto::v2::admin_client::AdminClient;
use proto::v2::{Code, DeleteSubscriptionRequest, GetOffsetRequest, MessageQueue, Status};
use raft::catalog::TopicType;

use crate::support::*;

async fn delete(server: &Server, topic: &str, group: &str) -> Status {
    let mut admin = AdminClient::connect(format!("http://{}", server.address)).await.expect("a connection");
    let request = DeleteSubscriptionRequest {
        topic: Some(resource(topic)),
        group: Some(resource(group)),
        ..Default::default()
    };
    admin.delete_subscription(request).await.unwrap().into_inner().status.expect("a status")
}

/// Where the group stands in queue 0.
async fn offset(client: &Client, topic: &str, group: &str) -> (Code, i64) {
    let queue = MessageQueue { topic: Some(resource(topic)), id: 0, ..MessageQueue::default() };
    let request = GetOffsetRequest { group: Some(resource(group)), message_queue: Some(queue) };
    let answer = client.stub.clone().get_offset(client.request(request)).await.unwrap().into_inner();
    (answer.status.expect("a status").code(), answer.offset)
}

#[tokio::test]
async fn a_group_whose_subscription_was_deleted_begins_anew_and_its_old_receipts_are_over() {
    let server = Server::start().await;
    for topic in ["t", "other"] {
        server.topic(topic, TopicType::Normal, 1).await;
    }
    let client = server.client("c1").await;
    for text in ["a", "b", "c"] {
        client.send(message("t", text)).await;
    }
    client.send(message("other", "x")).await;
    let (_, held) = client.receive(receive("t", "g", 5_000)).await;
    assert_eq!(held.len(), 3);
    assert_eq!(client.ack("t", "g", &held[..1]).await.status, Some(ok()));
    assert_eq!(client.bodies(receive("other", "g", 5_000)).await, ["x"]);
    assert_eq!(offset(&client, "t", "g").await, (Code::Ok, 1));

    assert_eq!(delete(&server, "t", "g").await, ok());
    assert_eq!(delete(&server, "t", "g").await, ok(), "a second time nothing is left to do");
    assert_eq!(offset(&client, "t", "g").await.0, Code::OffsetNotFound);
    assert_eq!(offset(&client, "other", "g").await.0, Code::Ok, "the other topic is not concerned");
    let late = client.ack("t", "g", &held[1..2]).await;
    assert_eq!(late.entries[0].status.as_ref().unwrap().code(), Code::InvalidReceiptHandle);

    // From its own start, at the first delivery, without waiting for the leases of before.
    let (_, again) = client.receive(receive("t", "g", 5_000)).await;
    assert_eq!(again.iter().map(body).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(again.iter().all(|message| system(message).delivery_attempt == Some(1)));
    let late = client.ack("t", "g", &held).await;
    for entry in late.entries {
        assert_eq!(entry.status.unwrap().code(), Code::InvalidReceiptHandle, "of before");
    }
    assert_eq!(client.ack("t", "g", &again).await.status, Some(ok()));
    assert_eq!(offset(&client, "t", "g").await, (Code::Ok, 3));

    assert_eq!(delete(&server, "t", "nobody").await.code(), Code::ConsumerGroupNotFound);
    assert_eq!(delete(&server, "nothing", "g").await.code(), Code::TopicNotFound);
}
