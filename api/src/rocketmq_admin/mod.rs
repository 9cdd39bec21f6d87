//! The public `Admin` service of RocketMQ 5, as its consoles use it. Each method parses, calls and converts.
//!
//! Errors are statuses inside the answer, as in `MessagingService`. Our own, richer service is [`crate::admin`].

mod clients;
mod messages;
mod node;
mod progress;
mod subscriptions;
mod topics;

use std::sync::Arc;

use proto::v2::admin_server::Admin;
use proto::v2::{
    AdminSendMessageRequest, AdminSendMessageResponse, ChangeLogLevelRequest, ChangeLogLevelResponse,
    DeleteSubscriptionRequest, DeleteSubscriptionResponse, DescribeGroupAccumulationRequest,
    DescribeGroupAccumulationResponse, DescribeSubscriptionRequest, DescribeSubscriptionResponse,
    DescribeTopicStatusRequest, DescribeTopicStatusResponse, GetConsumerRunningInfoRequest,
    GetConsumerRunningInfoResponse, GetProxyRuntimeStatsRequest, GetProxyRuntimeStatsResponse,
    GetTopicRouteRequest, GetTopicRouteResponse, ListConsumerConnectionRequest,
    ListConsumerConnectionResponse, ListMessageRequest, ListMessageResponse, ListSubscriptionRequest,
    ListSubscriptionResponse, PrintThreadStackTraceRequest, PrintThreadStackTraceResponse,
    QueryTimeSpanRequest, QueryTimeSpanResponse, ResetGroupOffsetRequest, ResetGroupOffsetResponse, Resource,
    Status, VerifyMessageRequest, VerifyMessageResponse,
};
use raft::catalog::{Catalog, ConsumerGroup, Topic};
use raft::request::Rejection;
use tokio::time::Instant;
use tonic::{Request, Response};

use crate::convert::name::full_name;
use crate::convert::status::{Fault, ok};
use crate::edge::EdgeState;
use crate::limits::ADMIN_TIMEOUT;
use crate::messaging::caller::Caller;

/// The service, over this node.
#[derive(Clone)]
pub struct RocketmqAdmin {
    edge: Arc<EdgeState>,
}

impl RocketmqAdmin {
    /// Over this node.
    pub fn new(edge: Arc<EdgeState>) -> RocketmqAdmin {
        RocketmqAdmin { edge }
    }
}

/// What a method works with.
struct Call<'a> {
    edge: &'a EdgeState,
    caller: &'a Caller,
    catalog: Arc<Catalog>,
    deadline: Instant,
}

impl<'a> Call<'a> {
    fn new(edge: &'a EdgeState, caller: &'a Caller) -> Call<'a> {
        let deadline = match caller.timeout() {
            Some(_) => caller.deadline(),
            None => Instant::now() + ADMIN_TIMEOUT,
        };
        Call { edge, caller, catalog: edge.node.catalog(), deadline }
    }

    /// The resource's name in the catalog.
    fn name(&self, resource: &Resource) -> String {
        full_name(resource, self.caller.namespace()).into_owned()
    }

    fn topic(&self, resource: Option<&Resource>) -> Result<&Topic, Fault> {
        let resource = resource.ok_or_else(|| Fault::IllegalTopic("say which topic".into()))?;
        let name = self.name(resource);
        let found = self.catalog.topics.get(&name);
        found.ok_or_else(|| Rejection::TopicNotFound { name }.into())
    }

    fn group(&self, resource: Option<&Resource>) -> Result<&ConsumerGroup, Fault> {
        let resource = resource.ok_or_else(|| Fault::IllegalGroup("say which consumer group".into()))?;
        let name = self.name(resource);
        let found = self.catalog.consumers.get(&name);
        found.ok_or_else(|| Rejection::ConsumerNotFound { name }.into())
    }

    fn refusal(&self, fault: &Fault) -> Option<Status> {
        Some(fault.status(self.caller.language()))
    }
}

/// Has a connected consumer consume a message now: its own status.
///
/// # Errors
/// Why it did not.
pub async fn verify_message(
    edge: &EdgeState,
    caller: &Caller,
    request: VerifyMessageRequest,
) -> Result<Status, Fault> {
    edge.admit(caller, &request)?;
    clients::verify(&Call::new(edge, caller), request).await
}

/// A method whose answer has a status: parse, call, and put the status in.
macro_rules! answer {
    ($self:ident, $request:ident, $response:ident, $call:path) => {{
        let (caller, request) = Caller::of($request);
        let call = Call::new(&$self.edge, &caller);
        let answered = match $self.edge.admit(&caller, &request) {
            Ok(()) => $call(&call, request).await,
            Err(fault) => Err(fault),
        };
        let (status, mut response): (_, $response) = match answered {
            Ok(response) => (Some(ok()), response),
            Err(fault) => (call.refusal(&fault), Default::default()),
        };
        response.status = status;
        Ok(Response::new(response))
    }};
}

type Answer<T> = Result<Response<T>, tonic::Status>;

#[tonic::async_trait]
impl Admin for RocketmqAdmin {
    async fn change_log_level(
        &self,
        request: Request<ChangeLogLevelRequest>,
    ) -> Answer<ChangeLogLevelResponse> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(match self.edge.admit(&caller, &request) {
            Ok(()) => node::change_log_level(&request),
            // This answer has no status.
            Err(fault) => {
                ChangeLogLevelResponse { remark: format!("the log level was not changed: {fault}") }
            }
        }))
    }

    async fn describe_topic_status(
        &self,
        request: Request<DescribeTopicStatusRequest>,
    ) -> Answer<DescribeTopicStatusResponse> {
        answer!(self, request, DescribeTopicStatusResponse, topics::status)
    }

    async fn list_subscription(
        &self,
        request: Request<ListSubscriptionRequest>,
    ) -> Answer<ListSubscriptionResponse> {
        answer!(self, request, ListSubscriptionResponse, subscriptions::list)
    }

    async fn describe_subscription(
        &self,
        request: Request<DescribeSubscriptionRequest>,
    ) -> Answer<DescribeSubscriptionResponse> {
        answer!(self, request, DescribeSubscriptionResponse, subscriptions::describe)
    }

    async fn delete_subscription(
        &self,
        request: Request<DeleteSubscriptionRequest>,
    ) -> Answer<DeleteSubscriptionResponse> {
        answer!(self, request, DeleteSubscriptionResponse, subscriptions::delete)
    }

    async fn describe_group_accumulation(
        &self,
        request: Request<DescribeGroupAccumulationRequest>,
    ) -> Answer<DescribeGroupAccumulationResponse> {
        answer!(self, request, DescribeGroupAccumulationResponse, progress::accumulation)
    }

    async fn list_consumer_connection(
        &self,
        request: Request<ListConsumerConnectionRequest>,
    ) -> Answer<ListConsumerConnectionResponse> {
        answer!(self, request, ListConsumerConnectionResponse, clients::connections)
    }

    async fn reset_group_offset(
        &self,
        request: Request<ResetGroupOffsetRequest>,
    ) -> Answer<ResetGroupOffsetResponse> {
        answer!(self, request, ResetGroupOffsetResponse, progress::reset)
    }

    async fn query_message(&self, request: Request<ListMessageRequest>) -> Answer<ListMessageResponse> {
        answer!(self, request, ListMessageResponse, messages::query)
    }

    async fn print_thread_stack_trace(
        &self,
        request: Request<PrintThreadStackTraceRequest>,
    ) -> Answer<PrintThreadStackTraceResponse> {
        answer!(self, request, PrintThreadStackTraceResponse, clients::stack_trace)
    }

    async fn verify_message(&self, request: Request<VerifyMessageRequest>) -> Answer<VerifyMessageResponse> {
        let (caller, request) = Caller::of(request);
        let call = Call::new(&self.edge, &caller);
        // The client's own status is the answer.
        let status = match verify_message(&self.edge, &caller, request).await {
            Ok(status) => Some(status),
            Err(fault) => call.refusal(&fault),
        };
        Ok(Response::new(VerifyMessageResponse { status }))
    }

    async fn admin_send_message(
        &self,
        request: Request<AdminSendMessageRequest>,
    ) -> Answer<AdminSendMessageResponse> {
        let (caller, request) = Caller::of(request);
        // What it sends is admitted like any message.
        Ok(Response::new(topics::send(&self.edge, &caller, request).await))
    }

    async fn get_consumer_running_info(
        &self,
        request: Request<GetConsumerRunningInfoRequest>,
    ) -> Answer<GetConsumerRunningInfoResponse> {
        answer!(self, request, GetConsumerRunningInfoResponse, clients::running_info)
    }

    async fn get_topic_route(&self, request: Request<GetTopicRouteRequest>) -> Answer<GetTopicRouteResponse> {
        answer!(self, request, GetTopicRouteResponse, topics::route)
    }

    async fn query_time_span(&self, request: Request<QueryTimeSpanRequest>) -> Answer<QueryTimeSpanResponse> {
        answer!(self, request, QueryTimeSpanResponse, progress::time_span)
    }

    async fn get_proxy_runtime_stats(
        &self,
        request: Request<GetProxyRuntimeStatsRequest>,
    ) -> Answer<GetProxyRuntimeStatsResponse> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(match self.edge.admit(&caller, &request) {
            Ok(()) => node::stats(&self.edge),
            Err(fault) => {
                let status = Some(fault.status(caller.language()));
                GetProxyRuntimeStatsResponse { status, ..Default::default() }
            }
        }))
    }
}
