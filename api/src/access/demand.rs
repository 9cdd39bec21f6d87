//! What a request demands: the rights that its caller must have. The tables are in [`super::demands`].

use std::borrow::Cow;

use proto::v2::{MessageQueue, Resource};
use raft::access::{Action, Target};

use crate::convert::name::full_name;

/// One right that a request demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Demand<'a> {
    /// One of these actions on a topic, by its full name.
    Topic(Cow<'a, str>, &'static [Action]),
    /// One of these actions on a consumer group, by its full name.
    Group(Cow<'a, str>, &'static [Action]),
    /// This action on the cluster.
    Cluster(Action),
    /// To be an administrator.
    Admin,
}

impl<'a> Demand<'a> {
    /// The actions of which one is enough, and on what; none for [`Demand::Admin`].
    pub(super) fn parts(&'a self, cluster: &'a str) -> Option<(&'a [Action], Target<'a>)> {
        match self {
            Demand::Topic(name, actions) => Some((actions, Target::topic(name))),
            Demand::Group(name, actions) => Some((actions, Target::group(name))),
            Demand::Cluster(action) => Some((std::slice::from_ref(action), Target::cluster(cluster))),
            Demand::Admin => None,
        }
    }
}

/// A request that says what it demands. Each demand must be met; a request without any must be signed all the same.
pub trait Demands {
    /// Its demands; `names` knows the namespace of its caller.
    fn demands<'a>(&'a self, names: &Names<'a>) -> Vec<Demand<'a>>;
}

/// How names of a request are to be read.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The namespace of resources that name none.
    pub namespace: &'a str,
}

impl<'a> Names<'a> {
    /// A right on a topic. One that is not named has the empty name, on which nobody has a right who has none on all.
    pub fn topic(&self, topic: &'a Option<Resource>, actions: &'static [Action]) -> Demand<'a> {
        Demand::Topic(self.full(topic.as_ref()), actions)
    }

    /// A right on the topic of a queue.
    pub fn queue(&self, queue: &'a Option<MessageQueue>, actions: &'static [Action]) -> Demand<'a> {
        Demand::Topic(self.full(queue.as_ref().and_then(|queue| queue.topic.as_ref())), actions)
    }

    /// A right on a consumer group.
    pub fn group(&self, group: &'a Option<Resource>, actions: &'static [Action]) -> Demand<'a> {
        Demand::Group(self.full(group.as_ref()), actions)
    }

    /// The full name of a resource.
    pub fn full_of(&self, resource: &'a Resource) -> Cow<'a, str> {
        full_name(resource, self.namespace)
    }

    fn full(&self, resource: Option<&'a Resource>) -> Cow<'a, str> {
        resource.map_or(Cow::Borrowed(""), |resource| full_name(resource, self.namespace))
    }
}

/// A right on a topic that is named in full.
pub fn topic<'a>(name: &'a str, actions: &'static [Action]) -> Demand<'a> {
    Demand::Topic(Cow::Borrowed(name), actions)
}

/// A right on a consumer group that is named in full.
pub fn group<'a>(name: &'a str, actions: &'static [Action]) -> Demand<'a> {
    Demand::Group(Cow::Borrowed(name), actions)
}
