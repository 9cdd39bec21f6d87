//! Every method of the client port, with a request, and the rights that it must demand.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proto::{admin, v2};

use super::support::Right;
use crate::support::{message, resource};

/// One method.
pub struct Case {
    pub path: &'static str,
    pub body: Bytes,
    /// Each must be had; of those in one list, one.
    pub needs: Vec<Vec<Right>>,
    /// Only administrators may.
    pub admin: bool,
}

const PUBLISH: Right = ("publish", "topic:orders");
const SUBSCRIBE: Right = ("subscribe", "topic:orders");
const GET_TOPIC: Right = ("get", "topic:orders");
const AS_GROUP: Right = ("subscribe", "group:workers");
const GET_GROUP: Right = ("get", "group:workers");
const UPDATE_GROUP: Right = ("update", "group:workers");
const GET_CLUSTER: Right = ("get", "cluster:test");
const UPDATE_CLUSTER: Right = ("update", "cluster:test");

fn case(path: &'static str, request: impl Message, needs: &[&[Right]]) -> Case {
    let needs = needs.iter().map(|any| any.to_vec()).collect();
    Case { path, body: request.encode_to_vec().into(), needs, admin: false }
}

fn admins(path: &'static str, request: impl Message) -> Case {
    Case { admin: true, ..case(path, request, &[]) }
}

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = messaging();
    cases.extend(public_admin());
    cases.extend(topics_and_groups());
    cases.extend(messages());
    cases.extend(trying());
    cases.extend(cluster());
    cases
}

macro_rules! path {
    (messaging $method:literal) => {
        concat!("/apache.rocketmq.v2.MessagingService/", $method)
    };
    (public $method:literal) => {
        concat!("/apache.rocketmq.v2.Admin/", $method)
    };
    (own $method:literal) => {
        concat!("/ledgermq.admin.v1.Admin/", $method)
    };
}

fn messaging() -> Vec<Case> {
    let topic = || Some(resource("orders"));
    let group = || Some(resource("workers"));
    let queue = || Some(v2::MessageQueue { topic: topic(), id: 0, ..Default::default() });
    let consumer: &[&[Right]] = &[&[SUBSCRIBE], &[AS_GROUP]];
    let subscription = v2::Subscription {
        group: group(),
        subscriptions: vec![v2::SubscriptionEntry { topic: topic(), expression: None }],
        ..Default::default()
    };
    let settings = v2::Settings {
        client_type: Some(v2::ClientType::PushConsumer as i32),
        pub_sub: Some(v2::settings::PubSub::Subscription(subscription)),
        ..Default::default()
    };
    let telemetry = v2::TelemetryCommand {
        command: Some(v2::telemetry_command::Command::Settings(settings)),
        ..Default::default()
    };
    let receive = v2::ReceiveMessageRequest {
        group: group(),
        message_queue: queue(),
        batch_size: 1,
        auto_renew: true,
        long_polling_timeout: Some(Duration::from_millis(100).try_into().expect("short")),
        ..Default::default()
    };
    vec![
        case(
            path!(messaging "QueryRoute"),
            v2::QueryRouteRequest { topic: topic(), endpoints: None },
            &[&[PUBLISH, SUBSCRIBE, GET_TOPIC]],
        ),
        case(
            path!(messaging "Heartbeat"),
            v2::HeartbeatRequest { group: group(), client_type: v2::ClientType::PushConsumer as i32 },
            &[&[AS_GROUP]],
        ),
        case(
            path!(messaging "SendMessage"),
            v2::SendMessageRequest { messages: vec![message("orders", "one")] },
            &[&[PUBLISH]],
        ),
        case(
            path!(messaging "QueryAssignment"),
            v2::QueryAssignmentRequest { topic: topic(), group: group(), endpoints: None },
            consumer,
        ),
        case(path!(messaging "ReceiveMessage"), receive, consumer),
        case(
            path!(messaging "AckMessage"),
            v2::AckMessageRequest { group: group(), topic: topic(), entries: vec![Default::default()] },
            consumer,
        ),
        case(
            path!(messaging "ForwardMessageToDeadLetterQueue"),
            v2::ForwardMessageToDeadLetterQueueRequest {
                group: group(),
                topic: topic(),
                ..Default::default()
            },
            consumer,
        ),
        case(
            path!(messaging "PullMessage"),
            v2::PullMessageRequest { group: group(), message_queue: queue(), ..Default::default() },
            consumer,
        ),
        case(
            path!(messaging "UpdateOffset"),
            v2::UpdateOffsetRequest { group: group(), message_queue: queue(), offset: 0 },
            consumer,
        ),
        case(
            path!(messaging "GetOffset"),
            v2::GetOffsetRequest { group: group(), message_queue: queue() },
            consumer,
        ),
        case(
            path!(messaging "QueryOffset"),
            v2::QueryOffsetRequest { message_queue: queue(), ..Default::default() },
            &[&[SUBSCRIBE, GET_TOPIC]],
        ),
        case(
            path!(messaging "EndTransaction"),
            v2::EndTransactionRequest { topic: topic(), ..Default::default() },
            &[&[PUBLISH]],
        ),
        case(path!(messaging "Telemetry"), telemetry, consumer),
        case(
            path!(messaging "NotifyClientTermination"),
            v2::NotifyClientTerminationRequest { group: group() },
            &[&[AS_GROUP]],
        ),
        case(
            path!(messaging "ChangeInvisibleDuration"),
            v2::ChangeInvisibleDurationRequest { group: group(), topic: topic(), ..Default::default() },
            consumer,
        ),
        case(
            path!(messaging "RecallMessage"),
            v2::RecallMessageRequest { topic: topic(), ..Default::default() },
            &[&[PUBLISH]],
        ),
        case(
            path!(messaging "SyncLiteSubscription"),
            v2::SyncLiteSubscriptionRequest { topic: topic(), group: group(), ..Default::default() },
            consumer,
        ),
    ]
}

fn public_admin() -> Vec<Case> {
    let topic = || Some(resource("orders"));
    let group = || Some(resource("workers"));
    vec![
        case(path!(public "ChangeLogLevel"), v2::ChangeLogLevelRequest { level: 77 }, &[&[UPDATE_CLUSTER]]),
        case(
            path!(public "DescribeTopicStatus"),
            v2::DescribeTopicStatusRequest { topic: topic(), ..Default::default() },
            &[&[GET_TOPIC]],
        ),
        case(path!(public "ListSubscription"), v2::ListSubscriptionRequest::default(), &[&[GET_CLUSTER]]),
        case(
            path!(public "DescribeSubscription"),
            v2::DescribeSubscriptionRequest { topic: topic(), group: group(), ..Default::default() },
            &[&[GET_TOPIC], &[GET_GROUP]],
        ),
        case(
            path!(public "DeleteSubscription"),
            v2::DeleteSubscriptionRequest { topic: topic(), group: group(), ..Default::default() },
            &[&[SUBSCRIBE], &[UPDATE_GROUP]],
        ),
        case(
            path!(public "DescribeGroupAccumulation"),
            v2::DescribeGroupAccumulationRequest { group: group(), ..Default::default() },
            &[&[GET_GROUP]],
        ),
        case(
            path!(public "ListConsumerConnection"),
            v2::ListConsumerConnectionRequest { group: group(), ..Default::default() },
            &[&[GET_GROUP]],
        ),
        case(
            path!(public "ResetGroupOffset"),
            v2::ResetGroupOffsetRequest { topic: topic(), group: group(), ..Default::default() },
            &[&[SUBSCRIBE], &[UPDATE_GROUP]],
        ),
        case(
            path!(public "QueryMessage"),
            v2::ListMessageRequest { topic: topic(), ..Default::default() },
            &[&[SUBSCRIBE]],
        ),
        case(
            path!(public "PrintThreadStackTrace"),
            v2::PrintThreadStackTraceRequest { client_id: "none".into(), ..Default::default() },
            &[&[GET_CLUSTER]],
        ),
        case(
            path!(public "VerifyMessage"),
            v2::VerifyMessageRequest { topic: topic(), group: group(), ..Default::default() },
            &[&[SUBSCRIBE], &[UPDATE_GROUP], &[UPDATE_CLUSTER]],
        ),
        case(
            path!(public "AdminSendMessage"),
            v2::AdminSendMessageRequest { topic: topic(), body: "x".into(), ..Default::default() },
            &[&[PUBLISH]],
        ),
        case(
            path!(public "GetConsumerRunningInfo"),
            v2::GetConsumerRunningInfoRequest { group: group(), ..Default::default() },
            &[&[GET_GROUP]],
        ),
        case(
            path!(public "GetTopicRoute"),
            v2::GetTopicRouteRequest { topic: topic(), ..Default::default() },
            &[&[PUBLISH, SUBSCRIBE, GET_TOPIC]],
        ),
        case(
            path!(public "QueryTimeSpan"),
            v2::QueryTimeSpanRequest { group: group(), ..Default::default() },
            &[&[GET_GROUP]],
        ),
        case(path!(public "GetProxyRuntimeStats"), v2::GetProxyRuntimeStatsRequest {}, &[&[GET_CLUSTER]]),
    ]
}

fn topics_and_groups() -> Vec<Case> {
    let (topic, group) = ("orders".to_owned(), "workers".to_owned());
    vec![
        case(
            path!(own "CreateTopic"),
            admin::CreateTopicRequest { name: "made".into(), if_not_exists: true, ..Default::default() },
            &[&[("create", "topic:made")]],
        ),
        case(
            path!(own "UpdateTopic"),
            admin::UpdateTopicRequest { name: topic.clone(), ..Default::default() },
            &[&[("update", "topic:orders")]],
        ),
        case(
            path!(own "DeleteTopic"),
            admin::DeleteTopicRequest { name: "none".into() },
            &[&[("delete", "topic:none")]],
        ),
        case(
            path!(own "DescribeTopic"),
            admin::DescribeTopicRequest { name: topic.clone() },
            &[&[GET_TOPIC]],
        ),
        case(path!(own "ListTopics"), admin::ListTopicsRequest { all: true }, &[]),
        case(
            path!(own "SpreadTopic"),
            admin::SpreadTopicRequest { name: topic.clone(), ..Default::default() },
            &[&[("update", "topic:orders")]],
        ),
        case(
            path!(own "CreateGroup"),
            admin::CreateGroupRequest { name: "made".into(), if_not_exists: true, ..Default::default() },
            &[&[("create", "group:made")]],
        ),
        case(
            path!(own "UpdateGroup"),
            admin::UpdateGroupRequest { name: group.clone(), ..Default::default() },
            &[&[UPDATE_GROUP]],
        ),
        case(
            path!(own "DeleteGroup"),
            admin::DeleteGroupRequest { name: "none".into() },
            &[&[("delete", "group:none")]],
        ),
        case(
            path!(own "DescribeGroup"),
            admin::DescribeGroupRequest { name: group.clone() },
            &[&[GET_GROUP]],
        ),
        case(path!(own "ListGroups"), admin::ListGroupsRequest {}, &[]),
        case(
            path!(own "ResetOffset"),
            admin::ResetOffsetRequest { group: group.clone(), topic: topic.clone(), ..Default::default() },
            &[&[SUBSCRIBE], &[UPDATE_GROUP]],
        ),
        case(
            path!(own "GroupOffsets"),
            admin::GroupOffsetsRequest { group, topic },
            &[&[GET_TOPIC, SUBSCRIBE], &[GET_GROUP]],
        ),
    ]
}

fn messages() -> Vec<Case> {
    let (topic, group, id) = ("orders".to_owned(), "workers".to_owned(), "00".to_owned());
    vec![
        case(
            path!(own "QueryMessages"),
            admin::QueryMessagesRequest { topic: topic.clone(), ..Default::default() },
            &[&[SUBSCRIBE]],
        ),
        case(
            path!(own "TraceMessage"),
            admin::TraceMessageRequest { id: id.clone(), topic: topic.clone() },
            &[&[SUBSCRIBE]],
        ),
        case(
            path!(own "ExplainDelivery"),
            admin::ExplainDeliveryRequest { id, group: group.clone(), topic },
            &[&[SUBSCRIBE], &[GET_GROUP]],
        ),
        case(
            path!(own "ListDeadLetters"),
            admin::ListDeadLettersRequest { group: group.clone(), ..Default::default() },
            &[&[AS_GROUP]],
        ),
        case(
            path!(own "ResendDeadLetters"),
            admin::ResendDeadLettersRequest { group, places: Vec::new() },
            &[&[UPDATE_GROUP]],
        ),
        case(path!(own "ListTransactions"), admin::ListTransactionsRequest { limit: 1 }, &[&[GET_CLUSTER]]),
    ]
}

fn trying() -> Vec<Case> {
    let (topic, group, id) = ("orders".to_owned(), "workers".to_owned(), "00".to_owned());
    vec![
        case(
            path!(own "SendMessage"),
            admin::SendMessageRequest { topic: topic.clone(), body: "x".into(), ..Default::default() },
            &[&[PUBLISH]],
        ),
        case(
            path!(own "ResendMessage"),
            admin::ResendMessageRequest { id: id.clone(), topic: topic.clone() },
            &[&[SUBSCRIBE]],
        ),
        case(
            path!(own "VerifyMessage"),
            admin::VerifyMessageRequest { id, topic: topic.clone(), group, client_id: "none".into() },
            &[&[SUBSCRIBE], &[UPDATE_GROUP], &[UPDATE_CLUSTER]],
        ),
        // These show what the caller may list.
        case(path!(own "ListLags"), admin::ListLagsRequest::default(), &[]),
        case(path!(own "ListClients"), admin::ListClientsRequest::default(), &[]),
        case(path!(own "ListTimers"), admin::ListTimersRequest::default(), &[]),
        case(
            path!(own "RecallTimer"),
            admin::RecallTimerRequest { topic, recall_handle: "none".into() },
            &[&[PUBLISH]],
        ),
    ]
}

fn cluster() -> Vec<Case> {
    let none = "none".to_owned();
    vec![
        case(path!(own "ClusterStatus"), admin::ClusterStatusRequest {}, &[&[GET_CLUSTER]]),
        case(path!(own "Traffic"), admin::TrafficRequest::default(), &[&[GET_CLUSTER]]),
        case(path!(own "Doctor"), admin::DoctorRequest {}, &[&[GET_CLUSTER]]),
        case(path!(own "PlanRebalance"), admin::PlanRebalanceRequest::default(), &[&[GET_CLUSTER]]),
        case(path!(own "DigestReplicas"), admin::DigestReplicasRequest::default(), &[&[GET_CLUSTER]]),
        // What follows gets through the gate and fails: there is no such node, no such group.
        case(
            path!(own "TransferLeader"),
            admin::TransferLeaderRequest { group: none.clone(), ..Default::default() },
            &[&[UPDATE_CLUSTER]],
        ),
        case(
            path!(own "ChangeVoters"),
            admin::ChangeVotersRequest { group: none.clone(), ..Default::default() },
            &[&[UPDATE_CLUSTER]],
        ),
        case(path!(own "RemoveNode"), admin::RemoveNodeRequest { node: none.clone() }, &[&[UPDATE_CLUSTER]]),
        case(path!(own "StepAside"), admin::StepAsideRequest {}, &[&[UPDATE_CLUSTER]]),
        case(
            path!(own "RaiseFeatureLevel"),
            admin::RaiseFeatureLevelRequest::default(),
            &[&[UPDATE_CLUSTER]],
        ),
        case(path!(own "AddBrokerGroups"), admin::AddBrokerGroupsRequest::default(), &[&[UPDATE_CLUSTER]]),
        case(
            path!(own "MoveReplica"),
            admin::MoveReplicaRequest { group: none.clone(), ..Default::default() },
            &[&[UPDATE_CLUSTER]],
        ),
        admins(path!(own "CopyReplica"), admin::CopyRequest::default()),
        admins(path!(own "CreateUser"), admin::CreateUserRequest::default()),
        admins(
            path!(own "UpdateUser"),
            admin::UpdateUserRequest { name: none.clone(), ..Default::default() },
        ),
        admins(path!(own "DeleteUser"), admin::DeleteUserRequest { name: none.clone() }),
        admins(path!(own "ListUsers"), admin::ListUsersRequest::default()),
        admins(path!(own "SetRule"), admin::SetRuleRequest { user: none.clone(), ..Default::default() }),
        admins(
            path!(own "DeleteRules"),
            admin::DeleteRulesRequest { user: none.clone(), ..Default::default() },
        ),
        admins(path!(own "TestAccess"), admin::TestAccessRequest { user: none, ..Default::default() }),
    ]
}
