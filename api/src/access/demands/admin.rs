//! `ledgermq.admin.v1.Admin`, our own service.

use proto::admin::{
    AddBrokerGroupsRequest, ChangeVotersRequest, ClusterStatusRequest, CreateGroupRequest,
    CreateTopicRequest, CreateUserRequest, DeleteGroupRequest, DeleteRulesRequest, DeleteTopicRequest,
    DeleteUserRequest, DescribeGroupRequest, DescribeTopicRequest, DigestReplicasRequest, DoctorRequest,
    ExplainDeliveryRequest, GroupOffsetsRequest, ListClientsRequest, ListDeadLettersRequest,
    ListGroupsRequest, ListLagsRequest, ListTimersRequest, ListTopicsRequest, ListTransactionsRequest,
    ListUsersRequest, MoveReplicaRequest, PlanRebalanceRequest, QueryMessagesRequest,
    RaiseFeatureLevelRequest, RecallTimerRequest, RemoveNodeRequest, ResendDeadLettersRequest,
    ResendMessageRequest, ResetOffsetRequest, SendMessageRequest, SetRuleRequest, SpreadTopicRequest,
    StepAsideRequest, TestAccessRequest, TraceMessageRequest, TrafficRequest, TransferLeaderRequest,
    UpdateGroupRequest, UpdateTopicRequest, UpdateUserRequest, VerifyMessageRequest,
};
use raft::access::Action::{Create, Delete, Get, Publish, Subscribe, Update};

use super::demands;
use crate::access::demand::{Demand, Demands, Names, group, topic};

demands! {
    CreateTopicRequest => |it, _| [topic(&it.name, &[Create])];
    UpdateTopicRequest => |it, _| [topic(&it.name, &[Update])];
    SpreadTopicRequest => |it, _| [topic(&it.name, &[Update])];
    DeleteTopicRequest => |it, _| [topic(&it.name, &[Delete])];
    DescribeTopicRequest => |it, _| [topic(&it.name, &[Get])];
    // These show what the caller may list.
    ListTopicsRequest => |_, _| [];
    ListGroupsRequest => |_, _| [];

    CreateGroupRequest => |it, _| [group(&it.name, &[Create])];
    UpdateGroupRequest => |it, _| [group(&it.name, &[Update])];
    DeleteGroupRequest => |it, _| [group(&it.name, &[Delete])];
    DescribeGroupRequest => |it, _| [group(&it.name, &[Get])];
    ResetOffsetRequest => |it, _| [topic(&it.topic, &[Subscribe]), group(&it.group, &[Update])];
    GroupOffsetsRequest => |it, _| [topic(&it.topic, &[Get, Subscribe]), group(&it.group, &[Get])];

    // What is in messages is for those who may receive them.
    QueryMessagesRequest => |it, _| [topic(&it.topic, &[Subscribe])];
    ListDeadLettersRequest => |it, _| [group(&it.group, &[Subscribe])];
    ResendDeadLettersRequest => |it, _| [group(&it.group, &[Update])];
    ListTransactionsRequest => |_, _| [Demand::Cluster(Get)];

    ClusterStatusRequest => |_, _| [Demand::Cluster(Get)];
    DigestReplicasRequest => |_, _| [Demand::Cluster(Get)];
    TransferLeaderRequest => |_, _| [Demand::Cluster(Update)];
    ChangeVotersRequest => |_, _| [Demand::Cluster(Update)];
    RemoveNodeRequest => |_, _| [Demand::Cluster(Update)];
    StepAsideRequest => |_, _| [Demand::Cluster(Update)];
    RaiseFeatureLevelRequest => |_, _| [Demand::Cluster(Update)];
    AddBrokerGroupsRequest => |_, _| [Demand::Cluster(Update)];
    MoveReplicaRequest => |_, _| [Demand::Cluster(Update)];

    TrafficRequest => |_, _| [Demand::Cluster(Get)];
    DoctorRequest => |_, _| [Demand::Cluster(Get)];
    PlanRebalanceRequest => |_, _| [Demand::Cluster(Get)];
    // These show what the caller may list.
    ListLagsRequest => |_, _| [];
    ListClientsRequest => |_, _| [];
    ListTimersRequest => |_, _| [];

    SendMessageRequest => |it, _| [topic(&it.topic, &[Publish])];
    VerifyMessageRequest => |it, _| [
        topic(&it.topic, &[Subscribe]),
        group(&it.group, &[Update]),
        Demand::Cluster(Update),
    ];
    RecallTimerRequest => |it, _| [topic(&it.topic, &[Publish])];

    // Whoever may give rights has them all.
    CreateUserRequest => |_, _| [Demand::Admin];
    UpdateUserRequest => |_, _| [Demand::Admin];
    DeleteUserRequest => |_, _| [Demand::Admin];
    ListUsersRequest => |_, _| [Demand::Admin];
    SetRuleRequest => |_, _| [Demand::Admin];
    DeleteRulesRequest => |_, _| [Demand::Admin];
    TestAccessRequest => |_, _| [Demand::Admin];
}

impl Demands for TraceMessageRequest {
    /// Without a topic, what is found is shown if its topic may be looked at.
    fn demands<'a>(&'a self, _: &Names<'a>) -> Vec<Demand<'a>> {
        of_topic(&self.topic)
    }
}

impl Demands for ExplainDeliveryRequest {
    /// As [`TraceMessageRequest`].
    fn demands<'a>(&'a self, _: &Names<'a>) -> Vec<Demand<'a>> {
        let mut demands = of_topic(&self.topic);
        demands.push(group(&self.group, &[Get]));
        demands
    }
}

impl Demands for ResendMessageRequest {
    /// As [`TraceMessageRequest`]. That its sender may publish is asked when it is sent.
    fn demands<'a>(&'a self, _: &Names<'a>) -> Vec<Demand<'a>> {
        of_topic(&self.topic)
    }
}

fn of_topic(name: &str) -> Vec<Demand<'_>> {
    if name.is_empty() { Vec::new() } else { vec![topic(name, &[Subscribe])] }
}

/// `CopyReplica`: everything that a replica has.
pub struct WholeReplica;

impl Demands for WholeReplica {
    fn demands<'a>(&'a self, _: &Names<'a>) -> Vec<Demand<'a>> {
        vec![Demand::Admin]
    }
}
