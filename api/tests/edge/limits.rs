//! Each limit of the protocol answers its code and a sentence, and the node goes on.

use proto::v2::{Code, Message, ReceiveMessageRequest, SendMessageRequest};
use raft::catalog::TopicType;
use tonic::Request;

use crate::support::*;

async fn refused(client: &Client, messages: Vec<Message>) -> Code {
    let count = messages.len();
    let answer = client.send_all(messages).await;
    let status = answer.status.expect("a status");
    assert!(status.code != 20_000 && !status.message.is_empty(), "{status:?}");
    assert_eq!(answer.entries.len(), count, "one entry a message");
    status.code()
}

#[tokio::test]
async fn a_message_that_breaks_a_limit_is_told_which() {
    let server = Server::start().await;
    server.topic("fifo", TopicType::Fifo, 1).await;
    let client = server.client("c1").await;
    let body = |bytes: usize| Message { body: vec![b'x'; bytes].into(), ..message("demo", "") };
    let property = |key: &str, value: &str| Message {
        user_properties: [(key.to_owned(), value.to_owned())].into(),
        ..message("demo", "x")
    };
    let table = vec![
        (body(0), Code::MessageBodyEmpty),
        (body(4_194_305), Code::MessageBodyTooLarge),
        (property("p", &"v".repeat(16_384)), Code::MessagePropertiesTooLarge),
        (property("KEYS", "v"), Code::IllegalMessagePropertyKey),
        (message("", "x"), Code::IllegalTopic),
        (message(&"t".repeat(128), "x"), Code::IllegalTopic),
        (message("TBW102", "x"), Code::IllegalTopic),
        (message_with("demo", "x", |system| system.tag = Some("a|b".into())), Code::IllegalMessageTag),
        (message_with("demo", "x", |system| system.keys = vec![" ".into()]), Code::IllegalMessageKey),
        (
            message_with("demo", "x", |system| system.message_group = Some("g".repeat(64))),
            Code::IllegalMessageGroup,
        ),
        (message_with("demo", "x", |system| system.message_id = " ".into()), Code::IllegalMessageId),
        (message("fifo", "x"), Code::MessagePropertyConflictWithType),
        (
            message_with("demo", "x", |system| {
                system.delivery_timestamp = Some(prost_types::Timestamp { seconds: 1 << 40, nanos: 0 });
            }),
            Code::IllegalDeliveryTime,
        ),
    ];
    for (bad, code) in table {
        let text = format!("{:?} in topic {:?}", bad.system_properties, bad.topic);
        assert_eq!(refused(&client, vec![bad]).await, code, "{text}");
    }
    assert_eq!(refused(&client, vec![message("a", "x"), message("b", "x")]).await, Code::MessageCorrupted);
    assert_eq!(client.send_all(vec![]).await.status.unwrap().code(), Code::MessageCorrupted);
    assert_eq!(client.send(body(4_194_304)).await, 0, "the largest body is taken");
}

#[tokio::test]
async fn one_bad_message_keeps_the_whole_batch_out() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let bad = message_with("demo", "x", |system| system.tag = Some(String::new()));
    assert_eq!(refused(&client, vec![message("demo", "good"), bad]).await, Code::IllegalMessageTag);
    assert_eq!(client.receive(receive("demo", "g", 200)).await.0.code(), Code::MessageNotFound);
}

#[tokio::test]
async fn a_receive_that_breaks_a_limit_is_told_which() {
    let server = Server::start().await;
    let client = server.client("c1").await;
    let short = ReceiveMessageRequest { invisible_duration: Some(seconds(9)), ..receive("demo", "g", 200) };
    let mut sql = receive("demo", "g", 200);
    sql.filter_expression.as_mut().unwrap().r#type = 2;
    let bad_group = receive("demo", "g g", 200);
    let bad_topic = receive("de mo", "g", 200);
    for (request, code) in [
        (short, Code::IllegalInvisibleTime),
        (sql, Code::IllegalFilterExpression),
        (bad_group, Code::IllegalConsumerGroup),
        (bad_topic, Code::IllegalTopic),
    ] {
        let (status, messages) = client.receive(request).await;
        assert_eq!((status.code(), messages.len()), (code, 0));
    }
}

#[tokio::test]
async fn a_client_without_an_id_is_told_so() {
    let server = Server::start().await;
    let mut client = server.client("c1").await;
    let request = Request::new(SendMessageRequest { messages: vec![message("demo", "x")] });
    let answer = client.stub.send_message(request).await.unwrap().into_inner();
    assert_eq!(answer.status.unwrap().code(), Code::ClientIdRequired);
}

#[tokio::test]
async fn r9_too_much_in_flight_is_not_now_and_the_rest_goes_on() {
    let server = Server::start_with(1, |options| options.limits.long_polls = 1).await;
    let client = server.client("c1").await;
    client.send(message("other", "x")).await;
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.receive(receive("demo", "g", 20_000)).await }
    });
    // Whichever of the two comes second is refused; the one that waits is woken by the message.
    let second = tokio::spawn({
        let client = client.clone();
        async move { client.receive(receive("demo", "g", 20_000)).await }
    });
    let (refused, waiting) = match futures::future::select(first, second).await {
        futures::future::Either::Left((done, waiting)) => (done.unwrap(), waiting),
        futures::future::Either::Right((done, waiting)) => (done.unwrap(), waiting),
    };
    assert_eq!(refused.0.code(), Code::TooManyRequests);
    client.send(message("demo", "x")).await;
    assert_eq!(waiting.await.unwrap().1.len(), 1);
}
