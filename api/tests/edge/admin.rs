//! The admin service.

use proto::admin::admin_client::AdminClient;
use proto::admin::{
    ClusterStatusRequest, CreateGroupRequest, CreateTopicRequest, DeleteGroupRequest, DeleteTopicRequest,
    DescribeGroupRequest, DescribeTopicRequest, ListGroupsRequest, ListTopicsRequest, ResetOffsetRequest,
    RetryPolicy, StartFrom, TopicSettings, TopicType, UpdateGroupRequest, UpdateTopicRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::support::*;

async fn admin(server: &Server) -> AdminClient<Channel> {
    AdminClient::connect(format!("http://{}", server.address)).await.expect("a connection")
}

#[tokio::test]
async fn topics_are_made_changed_listed_and_deleted() {
    let server = Server::start().await;
    let mut admin = admin(&server).await;
    let create = CreateTopicRequest {
        name: "orders".into(),
        r#type: TopicType::Fifo as i32,
        queues: 4,
        ..CreateTopicRequest::default()
    };
    let made = admin.create_topic(create.clone()).await.unwrap().into_inner().topic.unwrap();
    assert_eq!((made.name.as_str(), made.r#type(), made.queues), ("orders", TopicType::Fifo, 4));
    assert_eq!(admin.create_topic(create.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    admin.create_topic(CreateTopicRequest { if_not_exists: true, ..create.clone() }).await.unwrap();
    let bad = CreateTopicRequest { name: "or ders".into(), ..create };
    assert_eq!(admin.create_topic(bad).await.unwrap_err().code(), Code::InvalidArgument);

    let update = UpdateTopicRequest { name: "orders".into(), queues: Some(6), ..Default::default() };
    assert_eq!(admin.update_topic(update).await.unwrap().into_inner().topic.unwrap().queues, 6);
    let described =
        admin.describe_topic(DescribeTopicRequest { name: "orders".into() }).await.unwrap().into_inner();
    assert_eq!(described.queues.len(), 6);
    assert!(described.queues.iter().all(|queue| queue.leader_node == 1 && queue.broker_group == "g1"));
    let listed = admin.list_topics(ListTopicsRequest { all: false }).await.unwrap().into_inner().topics;
    assert_eq!(listed.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["orders"]);

    let delete = DeleteTopicRequest { name: "orders".into() };
    admin.delete_topic(delete.clone()).await.unwrap();
    assert_eq!(admin.delete_topic(delete).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn groups_are_made_described_reset_and_deleted() {
    let server = Server::start().await;
    let mut admin = admin(&server).await;
    let create = CreateGroupRequest { name: "g".into(), ..CreateGroupRequest::default() };
    let made = admin.create_group(create.clone()).await.unwrap().into_inner().group.unwrap();
    assert_eq!((made.max_attempts, made.fifo, made.start_from()), (16, false, StartFrom::First));
    assert_eq!(admin.create_group(create).await.unwrap_err().code(), Code::AlreadyExists);

    let client = server.client("c1").await;
    client.send(message("demo", "x")).await;
    let (_, received) = client.receive(receive("demo", "g", 5_000)).await;
    let describe = DescribeGroupRequest { name: "g".into() };
    let described = admin.describe_group(describe.clone()).await.unwrap().into_inner();
    assert_eq!(described.queues.iter().map(|queue| queue.in_flight).sum::<u64>(), 1);
    assert_eq!(described.queues.iter().map(|queue| queue.lag).sum::<u64>(), 1);
    client.ack("demo", "g", &received).await;
    let described = admin.describe_group(describe.clone()).await.unwrap().into_inner();
    assert_eq!(described.queues.iter().map(|queue| queue.lag).sum::<u64>(), 0);

    let reset = ResetOffsetRequest {
        group: "g".into(),
        topic: "demo".into(),
        to: StartFrom::First as i32,
        ..ResetOffsetRequest::default()
    };
    admin.reset_offset(reset).await.unwrap();
    assert_eq!(client.bodies(receive("demo", "g", 5_000)).await, ["x"]);

    let listed = admin.list_groups(ListGroupsRequest {}).await.unwrap().into_inner().groups;
    assert_eq!(listed.len(), 1);
    admin.delete_group(DeleteGroupRequest { name: "g".into() }).await.unwrap();
    assert_eq!(admin.describe_group(describe).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn the_cluster_says_where_it_stands() {
    let server = Server::start_with(2, |_| {}).await;
    let status = admin(&server).await.cluster_status(ClusterStatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.cluster.as_str(), status.nodes.len()), ("test", 1));
    assert!(status.nodes[0].alive && status.nodes[0].pid == u64::from(std::process::id()));
    let names: Vec<_> = status.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["meta", "g1", "g2"]);
    assert!(status.groups.iter().all(|group| group.leader == 1 && group.replicas.len() == 1));
}

#[tokio::test]
async fn settings_are_set_shown_and_taken_away() {
    let server = Server::start().await;
    let mut admin = admin(&server).await;
    let settings =
        TopicSettings { ttl_ms: Some(3_600_000), max_messages_per_s: Some(7), ..Default::default() };
    let create =
        CreateTopicRequest { name: "t".into(), settings: Some(settings.clone()), ..Default::default() };
    admin.create_topic(create).await.unwrap();
    let describe = DescribeTopicRequest { name: "t".into() };
    let shown = admin.describe_topic(describe).await.unwrap().into_inner().topic.unwrap();
    assert_eq!(shown.settings, Some(settings));
    let change = TopicSettings { ttl_ms: Some(0), retention_ms: Some(5), ..Default::default() };
    let update = UpdateTopicRequest { name: "t".into(), settings: Some(change), ..Default::default() };
    let changed = admin.update_topic(update).await.unwrap().into_inner().topic.unwrap();
    let wanted = TopicSettings { retention_ms: Some(5), max_messages_per_s: Some(7), ..Default::default() };
    assert_eq!(changed.settings, Some(wanted));

    let create = CreateGroupRequest { name: "g".into(), in_flight_max: 3, ..Default::default() };
    let made = admin.create_group(create).await.unwrap().into_inner().group.unwrap();
    assert_eq!((made.in_flight_max, made.retry.unwrap().levels_ms.len()), (3, 18));
    let retry = RetryPolicy { levels_ms: vec![50], exponential: None };
    let update = UpdateGroupRequest {
        name: "g".into(),
        paused: Some(true),
        retry: Some(retry.clone()),
        ..Default::default()
    };
    let changed = admin.update_group(update.clone()).await.unwrap().into_inner().group.unwrap();
    assert_eq!((changed.paused, changed.in_flight_max, changed.retry), (true, 3, Some(retry)));
    let nonsense = UpdateGroupRequest { retry: Some(RetryPolicy::default()), ..update };
    assert_eq!(admin.update_group(nonsense).await.unwrap_err().code(), Code::InvalidArgument);
    let missing = UpdateGroupRequest { name: "nobody".into(), ..Default::default() };
    assert_eq!(admin.update_group(missing).await.unwrap_err().code(), Code::NotFound);
}
