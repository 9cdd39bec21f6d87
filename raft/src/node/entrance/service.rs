//! What a node answers to a process that has no id yet.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use proto::peer::entrance_server::{Entrance, EntranceServer};
use proto::peer::{IntroduceRequest, IntroduceResponse, JoinRequest, JoinResponse, Member};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{stranger, unwire, wire};
use crate::features::FeatureLevel;
use crate::machine::MetaAction;
use crate::names::{GroupId, NodeId};
use crate::node::NodeInner;

/// An election may be in between.
const ADMIT_WITHIN: Duration = Duration::from_secs(5);

/// The service of a node.
pub(crate) fn serve(node: Arc<NodeInner>) -> EntranceServer<impl Entrance> {
    EntranceServer::new(Doorkeeper { node })
}

struct Doorkeeper {
    node: Arc<NodeInner>,
}

impl Doorkeeper {
    /// Whether the cluster has begun, as far as this node knows.
    fn begun(&self) -> bool {
        let Some(meta) = self.node.groups.get(GroupId::META) else { return false };
        let metrics = meta.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().voter_ids().next().is_some()
    }

    /// Gives an id, or says why not (yet).
    async fn admit(&self, from: Member) -> Result<JoinResponse, String> {
        if !self.begun() {
            return Err("the cluster has not begun yet".to_owned());
        }
        let node = &self.node;
        let newcomer = unwire(from);
        let members = node.members.known();
        let namesake = members.iter().find(|info| {
            info.name == newcomer.name
                && info.incarnation != newcomer.incarnation
                && node.presence.is_up(info.id)
        });
        if let Some(namesake) = namesake {
            return Err(format!(
                "node {} at {} is called {} too, and runs: give this one another node.name, or end that one",
                namesake.id, namesake.peer, namesake.name
            ));
        }
        let incarnation = newcomer.incarnation;
        let above = members.iter().map(|info| info.id).max().unwrap_or(NodeId(0));
        let deadline = Instant::now() + ADMIT_WITHIN;
        let admitted = node.change(MetaAction::AdmitNode { node: newcomer, above }, deadline).await;
        admitted.map_err(|error| error.to_string())?;
        let own = node.knows_of(incarnation, deadline).await;
        let own = own.ok_or("it has an id, which this node has not heard of yet")?;
        let mut members = node.members.known().to_vec();
        members.retain(|info| info.id != own.id);
        members.push(own.clone());
        let groups = node.catalog.borrow().groups.iter().map(|group| group.0).max();
        Ok(JoinResponse {
            refusal: String::new(),
            node: own.id.0,
            tag: node.members.tag(),
            members: members.iter().map(wire).collect(),
            broker_groups: groups.unwrap_or(node.options.broker_groups),
            not_held: node.catalog.borrow().holders.keys().map(|group| group.0).collect(),
        })
    }
}

#[tonic::async_trait]
impl Entrance for Doorkeeper {
    async fn introduce(
        &self,
        request: Request<IntroduceRequest>,
    ) -> Result<Response<IntroduceResponse>, Status> {
        let request = request.into_inner();
        let stranger = stranger(&self.node.options.cluster, &request.cluster, request.format_version);
        let refusal = stranger.unwrap_or_default();
        let member = refusal.is_empty().then(|| wire(&self.node.own()));
        Ok(Response::new(IntroduceResponse { refusal, member, begun: self.begun() }))
    }

    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let request = request.into_inner();
        let refused = |refusal| JoinResponse { refusal, ..JoinResponse::default() };
        let stranger = stranger(&self.node.options.cluster, &request.cluster, request.format_version);
        let level = self.node.catalog.borrow().feature_level;
        let stranger = stranger.or_else(|| FeatureLevel::of_wire(request.reads_up_to).falls_short_of(level));
        let response = match (stranger, request.from) {
            (Some(refusal), _) => refused(refusal),
            (None, None) => refused("it does not say who asks".to_owned()),
            (None, Some(from)) => self.admit(from).await.unwrap_or_else(refused),
        };
        Ok(Response::new(response))
    }
}
