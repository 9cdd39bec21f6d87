//! Pulls and offsets: messages without leases, and where consumer groups stand.

use std::time::Duration;

use proto::admin::admin_client::AdminClient;
use proto::admin::{GroupOffsetsRequest, ResetOffsetRequest, StartFrom};
use proto::v2::pull_message_response::Content;
use proto::v2::{
    Code, FilterType, GetOffsetRequest, Message, MessageQueue, PullMessageRequest, QueryOffsetPolicy,
    QueryOffsetRequest, Status, UpdateOffsetRequest,
};
use raft::catalog::TopicType;
use raft::settings::TopicSettings;
use tokio::time::Instant;

use crate::support::*;

fn queue(topic: &str, id: i32) -> Option<MessageQueue> {
    Some(MessageQueue { topic: Some(resource(topic)), id, ..MessageQueue::default() })
}

fn pull(topic: &str, id: i32, offset: i64, wait_ms: i64) -> PullMessageRequest {
    let like = receive(topic, "g", wait_ms);
    PullMessageRequest {
        group: Some(resource("g")),
        message_queue: queue(topic, id),
        offset,
        batch_size: 32,
        filter_expression: like.filter_expression,
        long_polling_timeout: like.long_polling_timeout,
    }
}

/// Status, messages and next offset of a pull; checks the stream's shape.
async fn pulled(client: &Client, request: PullMessageRequest) -> (Status, Vec<Message>, Option<i64>) {
    pulled_with(client, client.request(request)).await
}

async fn pulled_with(
    client: &Client,
    request: tonic::Request<PullMessageRequest>,
) -> (Status, Vec<Message>, Option<i64>) {
    let mut stream = client.stub.clone().pull_message(request).await.expect("a stream").into_inner();
    let Some(Content::Status(status)) = stream.message().await.unwrap().and_then(|frame| frame.content)
    else {
        panic!("the first frame is a status")
    };
    let (mut messages, mut next) = (Vec::new(), None);
    while let Some(frame) = stream.message().await.unwrap() {
        assert_eq!(next, None, "the next offset is the last frame");
        match frame.content.unwrap() {
            Content::Message(message) => messages.push(message),
            Content::NextOffset(offset) => next = Some(offset),
            Content::Status(status) => panic!("a second status: {status:?}"),
        }
    }
    (status, messages, next)
}

async fn update(client: &Client, id: i32, offset: i64) -> Code {
    let group = Some(resource("g"));
    let request = UpdateOffsetRequest { group, message_queue: queue("demo", id), offset };
    let answer = client.stub.clone().update_offset(client.request(request)).await.unwrap().into_inner();
    answer.status.unwrap().code()
}

async fn offset_of(client: &Client, group: &str, id: i32) -> (Code, i64) {
    let request = GetOffsetRequest { group: Some(resource(group)), message_queue: queue("demo", id) };
    let answer = client.stub.clone().get_offset(client.request(request)).await.unwrap().into_inner();
    (answer.status.unwrap().code(), answer.offset)
}

async fn query(client: &Client, policy: QueryOffsetPolicy, at_ms: Option<u64>) -> (Code, i64) {
    let timestamp = at_ms.map(|ms| prost_types::Timestamp {
        seconds: (ms / 1_000) as i64,
        nanos: (ms % 1_000) as i32 * 1_000_000,
    });
    let request =
        QueryOffsetRequest { message_queue: queue("demo", 0), query_offset_policy: policy as i32, timestamp };
    let answer = client.stub.clone().query_offset(client.request(request)).await.unwrap().into_inner();
    (answer.status.unwrap().code(), answer.offset)
}

fn stored_ms(message: &Message) -> u64 {
    let stored = system(message).store_timestamp.unwrap();
    stored.seconds as u64 * 1_000 + stored.nanos as u64 / 1_000_000
}

#[tokio::test]
async fn a_pull_takes_nothing_and_says_where_to_go_on() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    for number in 0..40 {
        client.send(message("demo", &number.to_string())).await;
    }
    for _ in 0..2 {
        let (status, messages, next) = pulled(&client, pull("demo", 0, 0, 0)).await;
        assert_eq!((status, messages.len(), next), (ok(), 32, Some(32)));
        assert_eq!((body(&messages[7]).as_str(), system(&messages[7]).queue_offset), ("7", Some(7)));
        assert_eq!(system(&messages[7]).receipt_handle, None, "there is nothing to settle");
        assert!(system(&messages[7]).body_digest.is_some());
    }
    let (_, messages, next) = pulled(&client, pull("demo", 0, 32, 0)).await;
    assert_eq!((messages.len(), next), (8, Some(40)));
    let (status, messages, next) = pulled(&client, pull("demo", 0, 40, 0)).await;
    assert_eq!((status.code(), messages.len(), next), (Code::MessageNotFound, 0, Some(40)));
    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    assert_eq!(received.len(), 32, "a consumer group still gets everything");
}

#[tokio::test]
async fn a_pull_at_the_end_waits_for_the_next_message_on_any_way() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    client.send(message("demo", "first")).await;
    for (offset, header) in [(1, None), (2, Some("replica"))] {
        let start = Instant::now();
        let waiting = tokio::spawn({
            let client = client.clone();
            async move {
                let mut request = client.request(pull("demo", 0, offset, 20_000));
                if let Some(header) = header {
                    request.metadata_mut().insert("x-ledgermq-read", header.parse().unwrap());
                }
                pulled_with(&client, request).await
            }
        });
        tokio::task::yield_now().await;
        client.send(message("demo", "wake up")).await;
        let (status, messages, next) = waiting.await.unwrap();
        assert_eq!((status, body(&messages[0]).as_str(), next), (ok(), "wake up", Some(offset + 1)));
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_filter_is_the_servers_work_and_moves_on_over_what_it_leaves_out() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    for tag in ["red", "blue", "red", "blue"] {
        client.send(message_with("demo", tag, |system| system.tag = Some(tag.into()))).await;
    }
    let with = |expression: &str, offset| {
        let mut request = pull("demo", 0, offset, 0);
        request.filter_expression.as_mut().unwrap().expression = expression.into();
        request
    };
    let (_, messages, next) = pulled(&client, with("red", 0)).await;
    let offsets: Vec<_> = messages.iter().map(|message| system(message).queue_offset.unwrap()).collect();
    assert_eq!((offsets, next), (vec![0, 2], Some(4)));
    let (status, messages, next) = pulled(&client, with("green", 0)).await;
    assert_eq!((status.code(), messages.len(), next), (Code::MessageNotFound, 0, Some(4)));
}

#[tokio::test]
async fn offsets_and_queues_that_are_not_there_are_refused_with_a_sentence() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 2).await;
    let client = server.client("c1").await;
    let refused = [
        (pull("demo", 0, -1, 0), Code::IllegalOffset, "negative"),
        (pull("demo", 0, 1, 0), Code::IllegalOffset, "behind the end of queue 0"),
        (pull("demo", 2, 0, 0), Code::BadRequest, "has the queues 0 to 1; 2 is none of them"),
        (pull("demo", -1, 0, 0), Code::BadRequest, "-1 is none of them"),
        (pull("TBW102", 0, 0, 0), Code::IllegalTopic, ""),
    ];
    for (request, code, sentence) in refused {
        let (status, messages, next) = pulled(&client, request).await;
        assert_eq!((status.code(), messages.len(), next), (code, 0, None), "{}", status.message);
        assert!(status.message.contains(sentence), "{}", status.message);
    }
    for bad in [-1, 1, i64::MAX] {
        assert_eq!(update(&client, 0, bad).await, Code::IllegalOffset, "{bad}");
    }
    assert_eq!(update(&client, 7, 0).await, Code::BadRequest);
}

#[tokio::test]
async fn an_offset_that_was_noted_is_where_the_group_stands_and_receives_from() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    for number in 0..5 {
        client.send(message("demo", &number.to_string())).await;
    }
    assert_eq!(offset_of(&client, "nobody", 0).await.0, Code::ConsumerGroupNotFound);
    assert_eq!(update(&client, 0, 3).await, Code::Ok);
    assert_eq!(offset_of(&client, "g", 0).await, (Code::Ok, 3));
    assert_eq!(client.bodies(receive("demo", "g", 5_000)).await, ["3", "4"]);
    assert_eq!(offset_of(&client, "g", 0).await, (Code::Ok, 3), "what is not settled is not left behind");

    server.topic("other", TopicType::Normal, 1).await;
    let request = GetOffsetRequest { group: Some(resource("g")), message_queue: queue("other", 0) };
    let unknown = client.stub.clone().get_offset(client.request(request)).await.unwrap().into_inner();
    assert_eq!(unknown.status.unwrap().code(), Code::OffsetNotFound);
}

#[tokio::test]
async fn a_queue_says_where_it_begins_and_ends_and_what_it_held_at_a_millisecond() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    assert_eq!(query(&client, QueryOffsetPolicy::End, None).await, (Code::Ok, 0));
    for number in 0..3 {
        client.send(message("demo", &number.to_string())).await;
        tokio::time::sleep(Duration::from_millis(3)).await; // stamps of their own
    }
    assert_eq!(query(&client, QueryOffsetPolicy::Beginning, None).await, (Code::Ok, 0));
    assert_eq!(query(&client, QueryOffsetPolicy::End, None).await, (Code::Ok, 3));
    let (_, messages, _) = pulled(&client, pull("demo", 0, 0, 0)).await;
    let stored: Vec<_> = messages.iter().map(stored_ms).collect();
    for (offset, ms) in stored.iter().enumerate() {
        let at = query(&client, QueryOffsetPolicy::Timestamp, Some(*ms)).await;
        assert_eq!(at, (Code::Ok, offset as i64));
        let behind = query(&client, QueryOffsetPolicy::Timestamp, Some(ms + 1)).await;
        assert_eq!(behind, (Code::Ok, offset as i64 + 1), "1 ms later");
    }
    assert_eq!(query(&client, QueryOffsetPolicy::Timestamp, None).await.0, Code::BadRequest);
}

#[tokio::test]
async fn a_group_is_moved_in_one_queue_and_shows_where_it_stands() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Fifo, 2).await;
    let client = server.client("c1").await;
    for number in 0..6 {
        let group = format!("group {number}");
        client.send(message_with("demo", &group, |system| system.message_group = Some(group.clone()))).await;
    }
    let mut admin = AdminClient::connect(format!("http://{}", server.address)).await.unwrap();
    let ends = server.node.places(&server.node.catalog().topics["demo"], None, soon()).await.unwrap();
    assert_eq!(update(&client, 0, 0).await, Code::Ok);
    let reset = |to: StartFrom, queue, offset| ResetOffsetRequest {
        preview: false,
        group: "g".into(),
        topic: "demo".into(),
        to: to as i32,
        unix_ms: 0,
        queue,
        offset,
    };
    let unset = StartFrom::Unspecified;
    let moved = admin.reset_offset(reset(unset, Some(0), Some(1))).await.unwrap().into_inner().queues;
    let standing: Vec<_> = moved.iter().map(|queue| (queue.begun, queue.next_offset, queue.lag)).collect();
    assert_eq!(
        standing,
        [(true, 1, ends[0].state.end - 1), (false, 0, ends[1].state.end)],
        "only queue 0 is moved"
    );
    admin.reset_offset(reset(StartFrom::Last, Some(1), None)).await.unwrap();
    let asked = GroupOffsetsRequest { group: "g".into(), topic: "demo".into() };
    let shown = admin.group_offsets(asked).await.unwrap().into_inner().queues;
    let shown: Vec<_> = shown.iter().map(|queue| (queue.settled_offset, queue.end_offset)).collect();
    assert_eq!(shown, [(1, ends[0].state.end), (ends[1].state.end, ends[1].state.end)]);
    for bad in [
        reset(unset, None, None),
        reset(unset, None, Some(1)),
        reset(StartFrom::First, Some(0), Some(1)),
        reset(unset, Some(0), Some(ends[0].state.end + 1)),
        reset(unset, Some(2), Some(0)),
    ] {
        let refused = admin.reset_offset(bad.clone()).await.expect_err("refused");
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{bad:?}");
    }
}

#[tokio::test]
async fn a_pull_passes_over_what_is_beyond_its_time_to_live() {
    let server = Server::start().await;
    server.topic("news", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    client.send(message("news", "old")).await;
    for (ttl_ms, expected) in [(1, Code::MessageNotFound), (3_600_000, Code::Ok)] {
        let settings = TopicSettings { ttl_ms: Some(ttl_ms), ..TopicSettings::default() };
        server.node.update_topic("news", None, None, settings, soon()).await.expect("it is changed");
        // There is no event to wait for: the clock moves on.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let (status, messages, next) = pulled(&client, pull("news", 0, 0, 100)).await;
        assert_eq!((status.code(), messages.len(), next), (expected, (ttl_ms > 1).into(), Some(1)));
    }
}

#[tokio::test]
async fn a_pull_takes_a_sql_filter_and_says_how_far_it_looked() {
    let server = Server::start().await;
    server.topic("demo", TopicType::Normal, 1).await;
    let client = server.client("c1").await;
    for number in 0..100 {
        let mut message = message("demo", &number.to_string());
        message.user_properties = [("number".to_owned(), number.to_string())].into();
        client.send(message).await;
    }
    let wanting = |text: &str| {
        let mut request = pull("demo", 0, 0, 100);
        let filter = request.filter_expression.as_mut().unwrap();
        (filter.r#type, filter.expression) = (FilterType::Sql as i32, text.into());
        request
    };
    let (status, messages, next) = pulled(&client, wanting("number BETWEEN 50 AND 51")).await;
    assert_eq!(
        (status, messages.iter().map(body).collect::<Vec<_>>()),
        (ok(), vec!["50".into(), "51".into()])
    );
    assert!(next.is_some_and(|next| (52..=100).contains(&next)), "{next:?}");
    let (status, messages, next) = pulled(&client, wanting("number = 1000")).await;
    assert_eq!((status.code(), messages.len(), next), (Code::MessageNotFound, 0, Some(100)));
    let (status, ..) = pulled(&client, wanting("number =")).await;
    assert_eq!(status.code(), Code::IllegalFilterExpression);
}
