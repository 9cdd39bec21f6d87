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

use crate::client::access::{Headers, HostPort};

/// Which messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Visible at once, without order.
    Normal,
    /// In order within each of so many message groups.
    Fifo {
        /// How many.
        message_groups: u32,
    },
    /// Visible so long after the run began.
    Delayed(Duration),
    /// Half messages.
    Half {
        /// Commit each at once; else nobody ends their transactions.
        commit: bool,
    },
    /// Spread over so many lite topics.
    Lite {
        /// How many.
        topics: u32,
    },
}

impl Kind {
    /// Over how many names messages are spread: message groups, or lite topics. 0: over none.
    pub fn names(self) -> u32 {
        match self {
            Kind::Fifo { message_groups } => message_groups,
            Kind::Lite { topics } => topics,
            Kind::Normal | Kind::Delayed(_) | Kind::Half { .. } => 0,
        }
    }
}

/// What to do, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where the route is asked for.
    pub endpoint: HostPort,
    /// Who sends and receives, and how it connects.
    pub headers: Headers,
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
    /// Stop after about so many messages: what is under way then is still counted.
    pub messages: Option<u64>,
    /// Which messages.
    pub kind: Kind,
    /// Received messages are held for so long instead of acknowledged.
    pub hold: Option<Duration>,
}

impl Load {
    /// How long the whole takes.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.warm_up + self.seconds)
    }
}
