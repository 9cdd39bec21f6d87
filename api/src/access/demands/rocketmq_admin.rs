//! `Admin` of the public protocol.

use proto::v2::{
    ChangeLogLevelRequest, DeleteSubscriptionRequest, DescribeGroupAccumulationRequest,
    DescribeSubscriptionRequest, DescribeTopicStatusRequest, GetConsumerRunningInfoRequest,
    GetProxyRuntimeStatsRequest, GetTopicRouteRequest, ListConsumerConnectionRequest, ListMessageRequest,
    ListSubscriptionRequest, PrintThreadStackTraceRequest, QueryTimeSpanRequest, ResetGroupOffsetRequest,
    Resource, VerifyMessageRequest,
};
use raft::access::Action::{Get, Publish, Subscribe, Update};

use super::demands;
use crate::access::demand::{Demand, Demands, Names};

demands! {
    ChangeLogLevelRequest => |_, _| [Demand::Cluster(Update)];
    GetProxyRuntimeStatsRequest => |_, _| [Demand::Cluster(Get)];
    // Of any client that is connected.
    PrintThreadStackTraceRequest => |_, _| [Demand::Cluster(Get)];
    DescribeTopicStatusRequest => |it, of| [of.topic(&it.topic, &[Get])];
    GetTopicRouteRequest => |it, of| [of.topic(&it.topic, &[Publish, Subscribe, Get])];
    ListMessageRequest => |it, of| [of.topic(&it.topic, &[Subscribe])];
    DescribeGroupAccumulationRequest => |it, of| [of.group(&it.group, &[Get])];
    ListConsumerConnectionRequest => |it, of| [of.group(&it.group, &[Get])];
    GetConsumerRunningInfoRequest => |it, of| [of.group(&it.group, &[Get])];
    QueryTimeSpanRequest => |it, of| [of.group(&it.group, &[Get])];
    DeleteSubscriptionRequest => |it, of| [of.topic(&it.topic, &[Subscribe]), of.group(&it.group, &[Update])];
    ResetGroupOffsetRequest => |it, of| [of.topic(&it.topic, &[Subscribe]), of.group(&it.group, &[Update])];
    // A client of any group is given a message of the topic.
    VerifyMessageRequest => |it, of| [
        of.topic(&it.topic, &[Subscribe]),
        of.group(&it.group, &[Update]),
        Demand::Cluster(Update),
    ];
}

impl Demands for ListSubscriptionRequest {
    fn demands<'a>(&'a self, names: &Names<'a>) -> Vec<Demand<'a>> {
        subscriptions(&self.topic, &self.group, names)
    }
}

impl Demands for DescribeSubscriptionRequest {
    fn demands<'a>(&'a self, names: &Names<'a>) -> Vec<Demand<'a>> {
        subscriptions(&self.topic, &self.group, names)
    }
}

/// Of a topic, of a group, of both; of all there are for whoever may look at the cluster.
fn subscriptions<'a>(
    topic: &'a Option<Resource>,
    group: &'a Option<Resource>,
    names: &Names<'a>,
) -> Vec<Demand<'a>> {
    match (topic, group) {
        (None, None) => vec![Demand::Cluster(Get)],
        (Some(_), None) => vec![names.topic(topic, &[Get])],
        (None, Some(_)) => vec![names.group(group, &[Get])],
        (Some(_), Some(_)) => vec![names.topic(topic, &[Get]), names.group(group, &[Get])],
    }
}
