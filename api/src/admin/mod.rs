//! The `ledgermq.admin.v1.Admin` service: topics, consumer groups and the cluster, for the command line.
//!
//! Its errors are gRPC's own statuses.

mod clients;
mod cluster;
mod convert;
mod copy;
mod dead_letters;
mod digest;
mod doctor;
mod find;
mod group;
mod lags;
mod offsets;
mod settings;
mod timers;
mod topic;
mod trace;
mod traffic;
mod transactions;
mod trying;
mod users;
mod why;

use std::sync::Arc;

use proto::admin::admin_server::Admin;
use proto::admin::{
    AddBrokerGroupsRequest, AddBrokerGroupsResponse, ChangeVotersRequest, ChangeVotersResponse,
    ClusterStatusRequest, ClusterStatusResponse, CopyRequest, CreateGroupRequest, CreateTopicRequest,
    CreateUserRequest, DeleteGroupRequest, DeleteGroupResponse, DeleteRulesRequest, DeleteRulesResponse,
    DeleteTopicRequest, DeleteTopicResponse, DeleteUserRequest, DeleteUserResponse, DescribeGroupRequest,
    DescribeGroupResponse, DescribeTopicRequest, DescribeTopicResponse, DigestReplicasRequest,
    DigestReplicasResponse, DoctorRequest, DoctorResponse, ExplainDeliveryRequest, ExplainDeliveryResponse,
    GroupOffsetsRequest, GroupOffsetsResponse, GroupResponse, ListClientsRequest, ListClientsResponse,
    ListDeadLettersRequest, ListDeadLettersResponse, ListGroupsRequest, ListGroupsResponse, ListLagsRequest,
    ListLagsResponse, ListTimersRequest, ListTimersResponse, ListTopicsRequest, ListTopicsResponse,
    ListTransactionsRequest, ListTransactionsResponse, ListUsersRequest, ListUsersResponse,
    MoveReplicaRequest, MoveReplicaResponse, PlanRebalanceRequest, PlanRebalanceResponse,
    QueryMessagesRequest, QueryMessagesResponse, RaiseFeatureLevelRequest, RaiseFeatureLevelResponse,
    RecallTimerRequest, RecallTimerResponse, RemoveNodeRequest, RemoveNodeResponse, ResendDeadLettersRequest,
    ResendDeadLettersResponse, ResendMessageRequest, ResetOffsetRequest, ResetOffsetResponse,
    SendMessageRequest, SendMessageResponse, SetRuleRequest, SetRuleResponse, SpreadTopicRequest,
    StepAsideRequest, StepAsideResponse, TestAccessRequest, TestAccessResponse, TopicResponse,
    TraceMessageRequest, TraceMessageResponse, TrafficRequest, TrafficResponse, TransferLeaderRequest,
    TransferLeaderResponse, UpdateGroupRequest, UpdateTopicRequest, UpdateUserRequest, UserResponse,
    VerifyMessageRequest, VerifyMessageResponse,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use crate::access::demand::Demands;
use crate::access::demands::WholeReplica;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::limits::ADMIN_TIMEOUT;
use crate::messaging::caller::Caller;

/// The service, over this node.
#[derive(Clone)]
pub struct AdminService {
    edge: Arc<EdgeState>,
}

impl AdminService {
    /// Over this node.
    pub fn new(edge: Arc<EdgeState>) -> AdminService {
        AdminService { edge }
    }

    /// Takes a request apart whose caller may do what it demands.
    fn admitted<R: Demands>(&self, request: Request<R>) -> Result<(Caller, R), Status> {
        let (caller, request) = Caller::of(request);
        self.edge.admit(&caller, &request).map_err(|fault| fault.grpc())?;
        Ok((caller, request))
    }
}

/// When the cluster must have answered.
fn deadline(caller: &Caller) -> Instant {
    match caller.timeout() {
        Some(_) => caller.deadline(),
        None => Instant::now() + ADMIN_TIMEOUT,
    }
}

fn answer<T>(result: Result<T, Fault>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(|fault| fault.grpc())
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn create_topic(
        &self,
        request: Request<CreateTopicRequest>,
    ) -> Result<Response<TopicResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(topic::create(&self.edge, request, deadline(&caller)).await)
    }

    async fn update_topic(
        &self,
        request: Request<UpdateTopicRequest>,
    ) -> Result<Response<TopicResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(topic::update(&self.edge, request, deadline(&caller)).await)
    }

    async fn delete_topic(
        &self,
        request: Request<DeleteTopicRequest>,
    ) -> Result<Response<DeleteTopicResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(topic::delete(&self.edge, request, deadline(&caller)).await)
    }

    async fn describe_topic(
        &self,
        request: Request<DescribeTopicRequest>,
    ) -> Result<Response<DescribeTopicResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(topic::describe(&self.edge, request, deadline(&caller)).await)
    }

    async fn spread_topic(
        &self,
        request: Request<SpreadTopicRequest>,
    ) -> Result<Response<TopicResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(topic::spread(&self.edge, request, deadline(&caller)).await)
    }

    async fn create_group(
        &self,
        request: Request<CreateGroupRequest>,
    ) -> Result<Response<GroupResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(group::create(&self.edge, request, deadline(&caller)).await)
    }

    async fn update_group(
        &self,
        request: Request<UpdateGroupRequest>,
    ) -> Result<Response<GroupResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(group::update(&self.edge, request, deadline(&caller)).await)
    }

    async fn delete_group(
        &self,
        request: Request<DeleteGroupRequest>,
    ) -> Result<Response<DeleteGroupResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(group::delete(&self.edge, request, deadline(&caller)).await)
    }

    async fn describe_group(
        &self,
        request: Request<DescribeGroupRequest>,
    ) -> Result<Response<DescribeGroupResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(group::describe(&self.edge, &request, deadline(&caller)).await)
    }

    async fn reset_offset(
        &self,
        request: Request<ResetOffsetRequest>,
    ) -> Result<Response<ResetOffsetResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(offsets::reset_offset(&self.edge, request, deadline(&caller)).await)
    }

    async fn group_offsets(
        &self,
        request: Request<GroupOffsetsRequest>,
    ) -> Result<Response<GroupOffsetsResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(offsets::group_offsets(&self.edge, request, deadline(&caller)).await)
    }

    async fn query_messages(
        &self,
        request: Request<QueryMessagesRequest>,
    ) -> Result<Response<QueryMessagesResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(find::query(&self.edge, request, deadline(&caller)).await)
    }

    async fn trace_message(
        &self,
        request: Request<TraceMessageRequest>,
    ) -> Result<Response<TraceMessageResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(trace::trace(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn explain_delivery(
        &self,
        request: Request<ExplainDeliveryRequest>,
    ) -> Result<Response<ExplainDeliveryResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(why::explain(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn list_transactions(
        &self,
        request: Request<ListTransactionsRequest>,
    ) -> Result<Response<ListTransactionsResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(transactions::list(&self.edge, request, deadline(&caller)).await)
    }

    async fn list_dead_letters(
        &self,
        request: Request<ListDeadLettersRequest>,
    ) -> Result<Response<ListDeadLettersResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(dead_letters::list(&self.edge, request, deadline(&caller)).await)
    }

    async fn resend_dead_letters(
        &self,
        request: Request<ResendDeadLettersRequest>,
    ) -> Result<Response<ResendDeadLettersResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(dead_letters::resend(&self.edge, request, deadline(&caller)).await)
    }

    async fn transfer_leader(
        &self,
        request: Request<TransferLeaderRequest>,
    ) -> Result<Response<TransferLeaderResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(cluster::transfer_leader(&self.edge, request, deadline(&caller)).await)
    }

    async fn change_voters(
        &self,
        request: Request<ChangeVotersRequest>,
    ) -> Result<Response<ChangeVotersResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(cluster::change_voters(&self.edge, request, deadline(&caller)).await)
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(cluster::remove_node(&self.edge, request, deadline(&caller)).await)
    }

    async fn step_aside(
        &self,
        request: Request<StepAsideRequest>,
    ) -> Result<Response<StepAsideResponse>, Status> {
        let (caller, _) = self.admitted(request)?;
        answer(cluster::step_aside(&self.edge, deadline(&caller)).await)
    }

    async fn raise_feature_level(
        &self,
        request: Request<RaiseFeatureLevelRequest>,
    ) -> Result<Response<RaiseFeatureLevelResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(cluster::raise_feature_level(&self.edge, request, deadline(&caller)).await)
    }

    async fn add_broker_groups(
        &self,
        request: Request<AddBrokerGroupsRequest>,
    ) -> Result<Response<AddBrokerGroupsResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(cluster::add_broker_groups(&self.edge, request, deadline(&caller)).await)
    }

    async fn move_replica(
        &self,
        request: Request<MoveReplicaRequest>,
    ) -> Result<Response<MoveReplicaResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(cluster::move_replica(&self.edge, request, deadline(&caller)).await)
    }

    async fn digest_replicas(
        &self,
        request: Request<DigestReplicasRequest>,
    ) -> Result<Response<DigestReplicasResponse>, Status> {
        let (_, request) = self.admitted(request)?;
        answer(digest::digest(&self.edge, &request).await)
    }

    async fn list_topics(
        &self,
        request: Request<ListTopicsRequest>,
    ) -> Result<Response<ListTopicsResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        Ok(Response::new(topic::list(&self.edge, &caller, &request)))
    }

    async fn list_groups(
        &self,
        request: Request<ListGroupsRequest>,
    ) -> Result<Response<ListGroupsResponse>, Status> {
        let (caller, _) = self.admitted(request)?;
        Ok(Response::new(group::list(&self.edge, &caller)))
    }

    async fn cluster_status(
        &self,
        request: Request<ClusterStatusRequest>,
    ) -> Result<Response<ClusterStatusResponse>, Status> {
        self.admitted(request)?;
        Ok(Response::new(cluster::status(&self.edge).await))
    }

    async fn create_user(
        &self,
        request: Request<CreateUserRequest>,
    ) -> Result<Response<UserResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(users::create(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn update_user(
        &self,
        request: Request<UpdateUserRequest>,
    ) -> Result<Response<UserResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(users::update(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn delete_user(
        &self,
        request: Request<DeleteUserRequest>,
    ) -> Result<Response<DeleteUserResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(users::delete(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn list_users(
        &self,
        request: Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let (_, request) = self.admitted(request)?;
        answer(users::list(&self.edge, &request))
    }

    async fn set_rule(&self, request: Request<SetRuleRequest>) -> Result<Response<SetRuleResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(users::set_rule(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn delete_rules(
        &self,
        request: Request<DeleteRulesRequest>,
    ) -> Result<Response<DeleteRulesResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(users::delete_rules(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn test_access(
        &self,
        request: Request<TestAccessRequest>,
    ) -> Result<Response<TestAccessResponse>, Status> {
        let (_, request) = self.admitted(request)?;
        answer(users::test(&self.edge, &request))
    }

    async fn traffic(&self, request: Request<TrafficRequest>) -> Result<Response<TrafficResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        Ok(Response::new(traffic::traffic(&self.edge, request, deadline(&caller)).await))
    }

    async fn list_lags(
        &self,
        request: Request<ListLagsRequest>,
    ) -> Result<Response<ListLagsResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        Ok(Response::new(lags::list(&self.edge, &caller, request, deadline(&caller)).await))
    }

    async fn list_clients(
        &self,
        request: Request<ListClientsRequest>,
    ) -> Result<Response<ListClientsResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        Ok(Response::new(clients::list(&self.edge, &caller, request, deadline(&caller)).await))
    }

    async fn doctor(&self, request: Request<DoctorRequest>) -> Result<Response<DoctorResponse>, Status> {
        self.admitted(request)?;
        Ok(Response::new(doctor::examine(&self.edge).await))
    }

    async fn plan_rebalance(
        &self,
        request: Request<PlanRebalanceRequest>,
    ) -> Result<Response<PlanRebalanceResponse>, Status> {
        let (_, request) = self.admitted(request)?;
        Ok(Response::new(doctor::plan(&self.edge, request).await))
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(trying::send(&self.edge, &caller, request).await)
    }

    async fn resend_message(
        &self,
        request: Request<ResendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(trying::resend(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn verify_message(
        &self,
        request: Request<VerifyMessageRequest>,
    ) -> Result<Response<VerifyMessageResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(trying::verify(&self.edge, &caller, request).await)
    }

    async fn list_timers(
        &self,
        request: Request<ListTimersRequest>,
    ) -> Result<Response<ListTimersResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(timers::list(&self.edge, &caller, request, deadline(&caller)).await)
    }

    async fn recall_timer(
        &self,
        request: Request<RecallTimerRequest>,
    ) -> Result<Response<RecallTimerResponse>, Status> {
        let (caller, request) = self.admitted(request)?;
        answer(timers::recall(&self.edge, request, deadline(&caller)).await)
    }

    type CopyReplicaStream = copy::Answers;

    async fn copy_replica(
        &self,
        request: Request<Streaming<CopyRequest>>,
    ) -> Result<Response<copy::Answers>, Status> {
        let (caller, steps) = Caller::of(request);
        self.edge.admit(&caller, &WholeReplica).map_err(|fault| fault.grpc())?;
        Ok(Response::new(copy::answer(self.edge.clone(), caller, steps)))
    }
}
