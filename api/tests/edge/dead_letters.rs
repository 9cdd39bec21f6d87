//! Dead letters: what they say of their past, and sending them again.

use std::time::SystemTime;

use proto::admin::admin_client::AdminClient;
use proto::admin::query_messages_request::By;
use proto::admin::resend_result::Kind;
use proto::admin::{
    DeadLetter, DeadLetterPlace, ListDeadLettersRequest, QueryMessagesRequest, ResendDeadLettersRequest,
    TraceMessageRequest,
};
use proto::v2::{ForwardMessageToDeadLetterQueueRequest, Message};
use raft::catalog::TopicType;
use tonic::Code;
use tonic::transport::Channel;

use crate::support::*;

async fn admin(server: &Server) -> AdminClient<Channel> {
    AdminClient::connect(format!("http://{}", server.address)).await.expect("a connection")
}

/// Sends messages and has the group give them up: their ids.
async fn bury(client: &Client, topic: &str, group: &str, bodies: &[&str]) -> Vec<String> {
    for text in bodies {
        client.send(message(topic, text)).await;
    }
    let mut ids = Vec::new();
    while ids.len() < bodies.len() {
        for received in client.receive(receive(topic, group, 5_000)).await.1 {
            give_up(client, topic, group, &received).await;
            ids.push(system(&received).message_id.clone());
        }
    }
    ids
}

async fn give_up(client: &Client, topic: &str, group: &str, message: &Message) {
    let request = ForwardMessageToDeadLetterQueueRequest {
        group: Some(resource(group)),
        topic: Some(resource(topic)),
        receipt_handle: receipt(message),
        message_id: system(message).message_id.clone(),
        delivery_attempt: 1,
        max_delivery_attempts: 1,
        lite_topic: None,
    };
    let request = client.request(request);
    let answer = client.stub.clone().forward_message_to_dead_letter_queue(request).await.unwrap();
    assert_eq!(answer.into_inner().status, Some(ok()));
}

async fn list(admin: &mut AdminClient<Channel>, request: ListDeadLettersRequest) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    let mut request = request;
    loop {
        let page = admin.list_dead_letters(request.clone()).await.unwrap().into_inner();
        letters.extend(page.letters);
        if page.cursor.is_empty() {
            return letters;
        }
        request.cursor = page.cursor;
    }
}

fn of(group: &str) -> ListDeadLettersRequest {
    ListDeadLettersRequest { group: group.into(), ..Default::default() }
}

async fn resend(admin: &mut AdminClient<Channel>, group: &str, letters: &[DeadLetter]) -> Vec<Kind> {
    let place = |letter: &DeadLetter| DeadLetterPlace { queue: letter.queue, offset: letter.offset };
    let places = letters.iter().map(place).collect();
    let request = ResendDeadLettersRequest { group: group.into(), places };
    let answer = admin.resend_dead_letters(request).await.unwrap().into_inner();
    answer.results.iter().map(|result| result.kind()).collect()
}

#[tokio::test]
async fn dead_letters_are_listed_and_sent_again_each_once() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("orders", TopicType::Normal, 4).await;
    let client = server.client("c1").await;
    let mut admin = admin(&server).await;
    let mut ids = bury(&client, "orders", "g", &["a", "b", "c", "d", "e"]).await;
    ids.sort();

    let letters = list(&mut admin, of("g")).await;
    let mut listed: Vec<_> = letters.iter().map(|letter| letter.message_id.clone()).collect();
    listed.sort();
    assert_eq!(listed, ids);
    let mut pages = list(&mut admin, ListDeadLettersRequest { limit: 2, ..of("g") }).await;
    pages.sort_by(|one, other| one.message_id.cmp(&other.message_id));
    assert_eq!(pages.len(), 5, "page by page the same are found");
    for letter in &letters {
        assert_eq!((letter.topic.as_str(), letter.attempts), ("orders", 1));
        assert!(letter.buried_unix_ms > 0 && letter.resent_offset.is_none() && !letter.body.is_empty());
    }
    let one = list(&mut admin, ListDeadLettersRequest { message_ids: vec![ids[0].clone()], ..of("g") }).await;
    assert_eq!(one.len(), 1);
    let future = ListDeadLettersRequest { from_unix_ms: letters[0].buried_unix_ms + 3_600_000, ..of("g") };
    assert_eq!(list(&mut admin, future).await, []);

    assert_eq!(resend(&mut admin, "g", &one).await, [Kind::Resent]);
    assert_eq!(resend(&mut admin, "g", &one).await, [Kind::Already]);
    let (_, again) = client.receive(receive("orders", "g", 5_000)).await;
    assert_eq!(again.len(), 1);
    assert_eq!((&system(&again[0]).message_id, system(&again[0]).delivery_attempt), (&ids[0], Some(1)));
    assert_eq!(system(&again[0]).dead_letter_queue, None, "it is an ordinary message again");

    // The rest, twice: what was sent again is not listed any more, and goes no second time.
    let rest = list(&mut admin, of("g")).await;
    assert_eq!(rest.len(), 4);
    assert_eq!(resend(&mut admin, "g", &rest).await, [Kind::Resent; 4]);
    assert_eq!(resend(&mut admin, "g", &letters).await, [Kind::Already; 5]);
    assert_eq!(list(&mut admin, of("g")).await, []);
    assert_eq!(list(&mut admin, ListDeadLettersRequest { resent: true, ..of("g") }).await.len(), 5);
    let mut bodies = Vec::new();
    while bodies.len() < 4 {
        bodies.extend(client.bodies(receive("orders", "g", 5_000)).await);
    }
    bodies.push(body(&again[0]));
    bodies.sort();
    assert_eq!(bodies, ["a", "b", "c", "d", "e"]);

    let nobody = DeadLetter { queue: 0, offset: 77, ..DeadLetter::default() };
    let nowhere = DeadLetter { queue: 9, offset: 0, ..DeadLetter::default() };
    assert_eq!(resend(&mut admin, "g", &[nobody, nowhere]).await, [Kind::Unknown; 2]);
    let unknown = admin.list_dead_letters(of("nobody")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let cursor = ListDeadLettersRequest { cursor: "x".into(), ..of("g") };
    assert_eq!(admin.list_dead_letters(cursor).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_dead_letter_that_is_received_says_where_it_came_from_and_how_often_it_was_tried() {
    let server = Server::start().await;
    server.topic("orders", TopicType::Normal, 4).await;
    let client = server.client("c1").await;
    let ids = bury(&client, "orders", "g", &["bad"]).await;
    let (_, dead) = client.receive(receive("%DLQ%g", "inspectors", 5_000)).await;
    assert_eq!(dead.len(), 1);
    let properties = &dead[0].user_properties;
    assert_eq!(properties["DLQ_ORIGIN_TOPIC"], "orders");
    assert_eq!(properties["DLQ_ORIGIN_MESSAGE_ID"], ids[0]);
    assert_eq!(properties["DLQ_ORIGIN_ATTEMPTS"], "1");
    assert_eq!(system(&dead[0]).delivery_attempt, Some(1), "it is counted anew here");
    assert_eq!(client.ack("%DLQ%g", "inspectors", &dead).await.status, Some(ok()));
}

#[tokio::test]
async fn a_dead_letter_is_found_by_its_id_whenever_it_was_given_up() {
    let server = Server::start_with(2, |_| {}).await;
    server.topic("orders", TopicType::Normal, 4).await;
    let client = server.client("c1").await;
    let mut admin = admin(&server).await;
    // Born now; born years ago, as far as the id tells; and an id that tells nothing.
    let since_2021 =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() - 1_609_459_200;
    let now = format!("01AABBCCDDEEFF0001{since_2021:08X}00000001");
    for id in [&now, &message_id(), "an id of another shape"] {
        let sent = message_with("orders", id, |system| system.message_id = id.into());
        client.send(sent).await;
        let (_, received) = client.receive(receive("orders", "g", 5_000)).await;
        give_up(&client, "orders", "g", &received[0]).await;
        let query = QueryMessagesRequest {
            topic: "%DLQ%g".into(),
            by: Some(By::Id(id.into())),
            ..QueryMessagesRequest::default()
        };
        let found = admin.query_messages(query).await.unwrap().into_inner();
        let bodies: Vec<_> = found.messages.iter().map(|message| message.body.clone()).collect();
        assert_eq!((bodies, found.cut), (vec![id.to_owned().into()], false), "{id}");
        let trace = TraceMessageRequest { id: id.into(), topic: String::new() };
        let copies = admin.trace_message(trace).await.unwrap().into_inner().messages;
        let topics: Vec<_> =
            copies.iter().map(|copy| copy.message.as_ref().unwrap().topic.as_str()).collect();
        assert_eq!(topics, ["orders", "%DLQ%g"], "{id}");
    }
    let query = QueryMessagesRequest {
        topic: "%DLQ%g".into(),
        by: Some(By::Id("no such id".into())),
        ..QueryMessagesRequest::default()
    };
    let found = admin.query_messages(query).await.unwrap().into_inner();
    assert_eq!((found.messages.len(), found.cut), (0, false));
}
