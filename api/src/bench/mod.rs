//! Load, and what a broker makes of it. Speaks the public protocol only, so that it can drive any
//! broker that speaks it. It shares the machine with what it measures, so it is sparing: requests
//! are encoded once and patched, answers are decoded only where it matters.

pub mod ceiling;
pub mod disk;
pub mod e2e;
pub mod echo;
pub mod meter;
pub mod pace;
pub mod receive;
pub mod report;
pub mod send;
pub mod target;
pub mod template;
pub mod wire;

use std::time::Duration;

use crate::client::access::HostPort;

/// What to do, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where the route is asked for.
    pub endpoint: HostPort,
    /// Speak to `endpoint` only, whatever the route says.
    pub direct: bool,
    /// The topic.
    pub topic: String,
    /// Its queues, if it is made.
    pub queues: u32,
    /// The consumer group.
    pub group: String,
    /// Bytes of a body.
    pub size: usize,
    /// Messages in one call.
    pub batch: usize,
    /// Calls under way at once.
    pub in_flight: usize,
    /// Connections, at least one to each broker.
    pub connections: usize,
    /// Messages a second; 0: as fast as possible.
    pub rate: u64,
    /// How long to measure.
    pub seconds: u64,
    /// How long to run before that.
    pub warm_up: u64,
    /// Message groups to spread messages over; 0: messages without order.
    pub message_groups: u32,
    /// Messages become visible so long after the run began; `None`: at once.
    pub delay: Option<Duration>,
}

impl Load {
    /// How long the whole takes.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.warm_up + self.seconds)
    }
}
