//! `MessagingService` of the public protocol: one file a method.
//!
//! Each method parses, calls and converts. Errors are statuses inside the answer; gRPC's own
//! statuses are left to gRPC (never UNAVAILABLE: Go closes the connection on it).

pub mod ack_message;
pub mod caller;
pub mod change_invisible_duration;
pub mod dead_letter_origin;
pub mod end_transaction;
pub mod forward_to_dead_letters;
pub mod get_offset;
pub mod heartbeat;
pub mod notify_client_termination;
pub mod offset;
pub mod pull_message;
pub mod query_assignment;
pub mod query_offset;
pub mod query_route;
pub mod recall_message;
pub mod receive_message;
pub mod resolve;
pub mod send_message;
pub mod settle;
pub mod sync_lite_subscription;
pub mod telemetry;
pub mod update_offset;

use std::sync::Arc;

use proto::v2::messaging_service_server::MessagingService;
use proto::v2::{
    AckMessageRequest, AckMessageResponse, ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse,
    EndTransactionRequest, EndTransactionResponse, ForwardMessageToDeadLetterQueueRequest,
    ForwardMessageToDeadLetterQueueResponse, GetOffsetRequest, GetOffsetResponse, HeartbeatRequest,
    HeartbeatResponse, NotifyClientTerminationRequest, NotifyClientTerminationResponse, PullMessageRequest,
    QueryAssignmentRequest, QueryAssignmentResponse, QueryOffsetRequest, QueryOffsetResponse,
    QueryRouteRequest, QueryRouteResponse, RecallMessageRequest, RecallMessageResponse,
    ReceiveMessageRequest, SendMessageRequest, SendMessageResponse, SyncLiteSubscriptionRequest,
    SyncLiteSubscriptionResponse, TelemetryCommand, UpdateOffsetRequest, UpdateOffsetResponse,
};
use raft::spans::within;
use tonic::{Request, Response, Status, Streaming};

use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::traces::calls;

/// The service, over this node.
#[derive(Clone)]
pub struct Messaging {
    edge: Arc<EdgeState>,
}

impl Messaging {
    /// Over this node.
    pub fn new(edge: Arc<EdgeState>) -> Messaging {
        Messaging { edge }
    }
}

#[tonic::async_trait]
impl MessagingService for Messaging {
    type ReceiveMessageStream = receive_message::ReceiveStream;
    type PullMessageStream = pull_message::PullStream;
    type TelemetryStream = telemetry::TelemetryStream;

    async fn query_route(
        &self,
        request: Request<QueryRouteRequest>,
    ) -> Result<Response<QueryRouteResponse>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(query_route::query_route(&self.edge, &caller, request).await))
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        let (caller, request) = Caller::of(request);
        let call = calls::send(&self.edge, &caller, &request);
        let answer = send_message::send_message(&self.edge, &caller, request);
        let answer = within(call.trail(), answer).await;
        call.ended(answer.status.as_ref());
        Ok(Response::new(answer))
    }

    async fn query_assignment(
        &self,
        request: Request<QueryAssignmentRequest>,
    ) -> Result<Response<QueryAssignmentResponse>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(query_assignment::query_assignment(&self.edge, &caller, request).await))
    }

    async fn ack_message(
        &self,
        request: Request<AckMessageRequest>,
    ) -> Result<Response<AckMessageResponse>, Status> {
        let (caller, request) = Caller::of(request);
        let call = calls::acknowledge(&self.edge, &caller, &request);
        let answer = ack_message::ack_message(&self.edge, &caller, request);
        let answer = within(call.trail(), answer).await;
        call.ended(answer.status.as_ref());
        Ok(Response::new(answer))
    }

    async fn change_invisible_duration(
        &self,
        request: Request<ChangeInvisibleDurationRequest>,
    ) -> Result<Response<ChangeInvisibleDurationResponse>, Status> {
        let (caller, request) = Caller::of(request);
        let call = calls::change(&self.edge, &caller, &request);
        let answer = change_invisible_duration::change_invisible_duration(&self.edge, &caller, request);
        let answer = within(call.trail(), answer).await;
        call.ended(answer.status.as_ref());
        Ok(Response::new(answer))
    }

    async fn forward_message_to_dead_letter_queue(
        &self,
        request: Request<ForwardMessageToDeadLetterQueueRequest>,
    ) -> Result<Response<ForwardMessageToDeadLetterQueueResponse>, Status> {
        let (caller, request) = Caller::of(request);
        let call = calls::give_up(&self.edge, &caller, &request);
        let answer = forward_to_dead_letters::forward_to_dead_letters(&self.edge, &caller, request);
        let answer = within(call.trail(), answer).await;
        call.ended(answer.status.as_ref());
        Ok(Response::new(answer))
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(heartbeat::heartbeat(&self.edge, &caller, &request)))
    }

    async fn notify_client_termination(
        &self,
        request: Request<NotifyClientTerminationRequest>,
    ) -> Result<Response<NotifyClientTerminationResponse>, Status> {
        let (caller, request) = Caller::of(request);
        let answer = notify_client_termination::notify_client_termination(&self.edge, &caller, &request);
        Ok(Response::new(answer.await))
    }

    async fn receive_message(
        &self,
        request: Request<ReceiveMessageRequest>,
    ) -> Result<Response<Self::ReceiveMessageStream>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(receive_message::receive_message(self.edge.clone(), caller, request)))
    }

    async fn telemetry(
        &self,
        request: Request<Streaming<TelemetryCommand>>,
    ) -> Result<Response<Self::TelemetryStream>, Status> {
        let (caller, inbound) = Caller::of(request);
        Ok(Response::new(telemetry::telemetry(self.edge.clone(), caller, inbound)))
    }

    async fn pull_message(
        &self,
        request: Request<PullMessageRequest>,
    ) -> Result<Response<Self::PullMessageStream>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(pull_message::pull_message(self.edge.clone(), caller, request)))
    }

    async fn update_offset(
        &self,
        request: Request<UpdateOffsetRequest>,
    ) -> Result<Response<UpdateOffsetResponse>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(update_offset::update_offset(&self.edge, &caller, request).await))
    }

    async fn get_offset(
        &self,
        request: Request<GetOffsetRequest>,
    ) -> Result<Response<GetOffsetResponse>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(get_offset::get_offset(&self.edge, &caller, request).await))
    }

    async fn query_offset(
        &self,
        request: Request<QueryOffsetRequest>,
    ) -> Result<Response<QueryOffsetResponse>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(query_offset::query_offset(&self.edge, &caller, request).await))
    }

    async fn end_transaction(
        &self,
        request: Request<EndTransactionRequest>,
    ) -> Result<Response<EndTransactionResponse>, Status> {
        let (caller, request) = Caller::of(request);
        let call = calls::end_transaction(&self.edge, &caller, &request);
        let answer = end_transaction::end_transaction(&self.edge, &caller, request);
        let answer = within(call.trail(), answer).await;
        call.ended(answer.status.as_ref());
        Ok(Response::new(answer))
    }

    async fn recall_message(
        &self,
        request: Request<RecallMessageRequest>,
    ) -> Result<Response<RecallMessageResponse>, Status> {
        let (caller, request) = Caller::of(request);
        let call = calls::recall(&self.edge, &caller, &request);
        let answer = recall_message::recall_message(&self.edge, &caller, request);
        let answer = within(call.trail(), answer).await;
        call.ended(answer.status.as_ref());
        Ok(Response::new(answer))
    }

    async fn sync_lite_subscription(
        &self,
        request: Request<SyncLiteSubscriptionRequest>,
    ) -> Result<Response<SyncLiteSubscriptionResponse>, Status> {
        let (caller, request) = Caller::of(request);
        Ok(Response::new(sync_lite_subscription::sync_lite_subscription(&self.edge, &caller, request).await))
    }
}
