//! What the requests that settle a lease have in common: the handle and whether it fits them.

use proto::v2::Resource;

use crate::convert::name::full_name;
use crate::convert::receipt::Handle;
use crate::convert::status::Fault;
use crate::edge::EdgeState;
use crate::messaging::caller::Caller;

/// Reads a handle and compares it with the consumer group and the topic of the request, as far as
/// this node knows them.
///
/// # Errors
/// [`Fault::InvalidReceipt`].
pub fn handle(
    edge: &EdgeState,
    caller: &Caller,
    group: Option<&Resource>,
    topic: Option<&Resource>,
    text: &str,
) -> Result<Handle, Fault> {
    let handle = Handle::decode(text)?;
    let catalog = edge.node.catalog();
    // Where it goes is taken from the handle, so that must be a group that holds messages.
    if !catalog.groups.is_empty() && !catalog.groups.contains(&handle.receipt.group) {
        return Err(Fault::InvalidReceipt("the receipt handle is not one of this cluster".into()));
    }
    // A request without names has the rights of its sender on names that it does not say.
    if edge.gate.is_closed() && (group.is_none() || topic.is_none()) {
        return Err(Fault::InvalidReceipt(
            "say of which topic and consumer group the receipt handle is".into(),
        ));
    }
    if let Some(group) = group {
        let name = full_name(group, caller.namespace());
        let known = catalog.consumers.get(name.as_ref());
        known_if_closed(edge, known.is_some(), &name)?;
        if known.is_some_and(|known| known.id != handle.receipt.consumer) {
            return Err(Fault::InvalidReceipt(format!(
                "the receipt handle is not one of consumer group {name}"
            )));
        }
    }
    if let Some(topic) = topic {
        let name = full_name(topic, caller.namespace());
        let known = catalog.topics.get(name.as_ref());
        known_if_closed(edge, known.is_some(), &name)?;
        if known.is_some_and(|known| known.id != handle.receipt.queue.topic) {
            return Err(Fault::InvalidReceipt(format!("the receipt handle is not one of topic {name}")));
        }
    }
    Ok(handle)
}

/// Where access is controlled the names of a request are what its sender has rights on, so what they stand for must be
/// known; a node that has not heard of it yet is asked again.
fn known_if_closed(edge: &EdgeState, is_known: bool, name: &str) -> Result<(), Fault> {
    match is_known || !edge.gate.is_closed() {
        true => Ok(()),
        false => Err(Fault::TooManyRequests(format!("{name} is not known to this node yet"))),
    }
}
