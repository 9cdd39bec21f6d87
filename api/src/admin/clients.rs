//! Who is connected, on all nodes.

use std::collections::BTreeMap;

use proto::admin::{Client, ListClientsRequest, ListClientsResponse, Subscription};
use proto::v2::{ClientType, FilterType};
use raft::access::{Action, Target};
use tokio::time::Instant;

use crate::edge::EdgeState;
use crate::messaging::caller::Caller;
use crate::session::remote::{self, ClientReport};

/// Clients of consumer groups and topics that the caller may list, by id.
pub(super) async fn list(
    edge: &EdgeState,
    caller: &Caller,
    request: ListClientsRequest,
    deadline: Instant,
) -> ListClientsResponse {
    let mut clients: BTreeMap<String, Client> = BTreeMap::new();
    for (node, reports) in remote::clients_by_node(edge, &request.group, deadline).await {
        for report in reports.into_iter().filter(|report| is_wanted(report, &request)) {
            if !may_be_listed(edge, caller, &report) {
                continue;
            }
            let told = wire(report);
            let client = clients.entry(told.client_id.clone()).or_insert_with(|| told.clone());
            // A client speaks to every node; not every one has heard its settings.
            if client.subscriptions.len() < told.subscriptions.len() {
                *client = Client { nodes: std::mem::take(&mut client.nodes), ..told };
            }
            client.nodes.push(node.0);
        }
    }
    ListClientsResponse { clients: clients.into_values().collect() }
}

fn is_wanted(report: &ClientReport, request: &ListClientsRequest) -> bool {
    (request.group.is_empty() || report.group == request.group)
        && (request.topic.is_empty() || report.topics.contains(&request.topic))
}

/// Whose consumer group the caller may list, or one of whose topics.
fn may_be_listed(edge: &EdgeState, caller: &Caller, report: &ClientReport) -> bool {
    let may = |target| edge.may(caller, Action::List, target);
    match report.group.as_str() {
        "" => report.topics.iter().any(|topic| may(Target::topic(topic))),
        group => may(Target::group(group)),
    }
}

fn wire(report: ClientReport) -> Client {
    let subscription = |(topic, (kind, expression)): (String, (i32, String))| {
        let is_sql = FilterType::try_from(kind) == Ok(FilterType::Sql);
        Subscription { topic, r#type: if is_sql { "sql" } else { "tag" }.to_owned(), expression }
    };
    Client {
        kind: kind_name(report.client_type()).to_owned(),
        client_id: report.client_id,
        language: report.language,
        version: report.version,
        address: report.address,
        group: report.group,
        topics: report.topics,
        subscriptions: report.filters.into_iter().map(subscription).collect(),
        nodes: Vec::new(),
    }
}

fn kind_name(kind: ClientType) -> &'static str {
    match kind {
        ClientType::Producer => "producer",
        ClientType::PushConsumer => "push_consumer",
        ClientType::SimpleConsumer => "simple_consumer",
        ClientType::PullConsumer => "pull_consumer",
        ClientType::LitePushConsumer => "lite_push_consumer",
        _ => "unknown",
    }
}
