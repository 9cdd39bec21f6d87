//! Which consumer group reads which topic, and whether its members agree.

use std::collections::{BTreeMap, BTreeSet};

use proto::v2::describe_subscription_response::ClientSubscriptionInfo;
use proto::v2::{
    DeleteSubscriptionRequest, DeleteSubscriptionResponse, DescribeSubscriptionRequest,
    DescribeSubscriptionResponse, FilterExpression, FilterType, ListSubscriptionRequest,
    ListSubscriptionResponse, MessageModel, Resource, SubscriptionInfo,
};
use raft::catalog::{ConsumerGroup, Topic};
use raft::clock;

use super::Call;
use super::clients::client_info;
use crate::convert::name::client_name;
use crate::convert::status::Fault;
use crate::convert::time::wire_timestamp;
use crate::limits::DESCRIBED_TOPICS_MAX;
use crate::session::remote::{self, ClientReport};

/// What is asked about: groups and topics, all where none is named.
struct Asked<'a> {
    groups: Vec<&'a ConsumerGroup>,
    topics: Vec<&'a Topic>,
    /// The clients of all groups, by group.
    clients: BTreeMap<String, Vec<ClientReport>>,
}

async fn asked<'a>(
    call: &'a Call<'_>,
    topic: Option<&Resource>,
    group: Option<&Resource>,
) -> Result<Asked<'a>, Fault> {
    let groups = match group {
        Some(_) => vec![call.group(group)?],
        None => call.catalog.consumers.values().collect(),
    };
    let topics = match topic {
        Some(_) => vec![call.topic(topic)?],
        None => call.catalog.topics.values().take(DESCRIBED_TOPICS_MAX).collect(),
    };
    let one = if groups.len() == 1 { groups[0].name.as_str() } else { "" };
    let mut clients: BTreeMap<String, Vec<ClientReport>> = BTreeMap::new();
    for client in remote::clients_of(call.edge, one, call.deadline).await {
        clients.entry(client.group.clone()).or_default().push(client);
    }
    Ok(Asked { groups, topics, clients })
}

impl Asked<'_> {
    fn clients_of(&self, group: &str) -> &[ClientReport] {
        self.clients.get(group).map_or(&[], Vec::as_slice)
    }
}

/// One entry for each group and topic that belong together: a member subscribes to it, or the group has read it.
pub(super) async fn list(
    call: &Call<'_>,
    request: ListSubscriptionRequest,
) -> Result<ListSubscriptionResponse, Fault> {
    let asked = asked(call, request.topic.as_ref(), request.group.as_ref()).await?;
    let mut subscription_info = Vec::new();
    for group in &asked.groups {
        let clients = asked.clients_of(&group.name);
        for topic in &asked.topics {
            let filters: Vec<_> = clients.iter().filter_map(|client| client.filter(&topic.name)).collect();
            if filters.is_empty() && !has_read(call, group, topic).await? {
                continue;
            }
            subscription_info.push(info(call, group, topic, filters.first(), clients));
        }
    }
    Ok(ListSubscriptionResponse { subscription_info, ..Default::default() })
}

/// One entry for each client and topic.
pub(super) async fn describe(
    call: &Call<'_>,
    request: DescribeSubscriptionRequest,
) -> Result<DescribeSubscriptionResponse, Fault> {
    let asked = asked(call, request.topic.as_ref(), request.group.as_ref()).await?;
    let mut found = Vec::new();
    for group in &asked.groups {
        let clients = asked.clients_of(&group.name);
        for client in clients {
            for topic in &asked.topics {
                let Some(filter) = client.filter(&topic.name) else { continue };
                found.push(ClientSubscriptionInfo {
                    client_info: Some(client_info(client)),
                    subscription_info: Some(info(call, group, topic, Some(&filter), clients)),
                });
            }
        }
    }
    Ok(DescribeSubscriptionResponse { client_subscription_info: found, ..Default::default() })
}

/// Has a group begin a topic anew, as one that never read it. Not while a member subscribes to it: it would come back at once.
pub(super) async fn delete(
    call: &Call<'_>,
    request: DeleteSubscriptionRequest,
) -> Result<DeleteSubscriptionResponse, Fault> {
    let (group, topic) = (call.group(request.group.as_ref())?, call.topic(request.topic.as_ref())?);
    let clients = remote::clients_of(call.edge, &group.name, call.deadline).await;
    if let Some(client) = clients.iter().find(|client| client.filters.contains_key(&topic.name)) {
        return Err(Fault::BadRequest(format!(
            "client {} of consumer group {} subscribes to topic {}: stop it first",
            client.client_id, group.name, topic.name
        )));
    }
    call.edge.node.delete_subscription(group.id, topic, call.deadline).await?;
    Ok(DeleteSubscriptionResponse::default())
}

async fn has_read(call: &Call<'_>, group: &ConsumerGroup, topic: &Topic) -> Result<bool, Fault> {
    let places = call.edge.node.own_places(topic, Some(group.id), call.deadline).await?;
    Ok(places.iter().any(|place| {
        let state = &place.state;
        place.begun && (state.next > state.first || state.unsettled > 0)
    }))
}

fn info(
    call: &Call<'_>,
    group: &ConsumerGroup,
    topic: &Topic,
    filter: Option<&FilterExpression>,
    clients: &[ClientReport],
) -> SubscriptionInfo {
    let namespace = call.caller.namespace();
    let resource = |name: &str| Resource {
        resource_namespace: namespace.to_owned(),
        name: client_name(name, namespace).into_owned(),
    };
    let all = FilterExpression { r#type: FilterType::Tag as i32, expression: "*".into() };
    let online = clients.iter().any(|client| client.filters.contains_key(&topic.name));
    let updated_ms = if online { clock::now_ms() } else { group.created_ms };
    SubscriptionInfo {
        group: Some(resource(&group.name)),
        topic: Some(resource(&topic.name)),
        expression: Some(filter.cloned().unwrap_or(all)),
        online,
        last_update_timestamp: Some(wire_timestamp(updated_ms)),
        message_model: MessageModel::Clustering as i32,
        subscription_consistency: agree(clients),
    }
}

/// Whether all members of a group want the same of the same topics: else some messages reach only some of them.
fn agree(clients: &[ClientReport]) -> bool {
    let distinct: BTreeSet<_> = clients.iter().map(|client| &client.filters).collect();
    distinct.len() <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(filters: &[(&str, &str)]) -> ClientReport {
        let filters = filters.iter().map(|(topic, text)| ((*topic).to_owned(), (1, (*text).to_owned())));
        ClientReport {
            client_id: "c".into(),
            language: String::new(),
            version: String::new(),
            address: String::new(),
            kind: 0,
            group: "g".into(),
            topics: Vec::new(),
            filters: filters.collect(),
        }
    }

    #[test]
    fn members_agree_when_they_want_the_same_of_the_same_topics() {
        let one = client(&[("t", "a||b"), ("u", "*")]);
        assert!(agree(&[]) && agree(std::slice::from_ref(&one)) && agree(&[one.clone(), one.clone()]));
        assert!(!agree(&[one.clone(), client(&[("t", "a"), ("u", "*")])]));
        assert!(!agree(&[one, client(&[("t", "a||b")])]));
    }
}
