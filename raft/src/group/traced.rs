//! The way of traced commands through the log: how long each waited for its frame, how long until a quorum had that, and
//! how long until it was applied.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::group::counters::Counters;
use crate::names::GroupId;
use crate::spans::{Span, SpanKind, Trail, Value};

/// A traced command on its way into a frame.
pub(crate) struct Traced {
    trail: Trail,
    queued: Instant,
}

impl Traced {
    /// One that begins to wait.
    pub(crate) fn new(trail: Trail) -> Box<Traced> {
        Box::new(Traced { trail, queued: Instant::now() })
    }

    /// It did not get into the log.
    pub(crate) fn refused(&self, why: &str) {
        self.span("propose", self.queued).fail(why);
    }

    fn span(&self, name: &'static str, since: Instant) -> Span {
        let mut span = self.trail.child(name, SpanKind::Internal);
        span.since(since);
        span
    }
}

/// When apply got a frame, and when it was through with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplyTimes {
    /// A quorum has it.
    pub committed: Instant,
    /// It is in the tables.
    pub applied: Instant,
}

/// A frame under way that has traced commands. While there is one, apply looks at the clock.
pub(crate) struct TracedFrame {
    traced: Vec<Traced>,
    handed_over: Instant,
    attributes: [(&'static str, Value); 3],
    counters: Arc<Counters>,
}

impl TracedFrame {
    /// A frame that is about to be handed to the consensus; none if nobody traces what is in it.
    pub(crate) fn begin(
        traced: Vec<Traced>,
        group: GroupId,
        (commands, bytes): (u32, usize),
        counters: &Arc<Counters>,
    ) -> Option<Box<TracedFrame>> {
        if traced.is_empty() {
            return None;
        }
        counters.traced_frames.fetch_add(1, Ordering::Relaxed);
        let attributes = [
            ("ledgermq.group", Value::from(group.to_string())),
            ("ledgermq.frame.commands", Value::from(u64::from(commands))),
            ("ledgermq.frame.bytes", Value::from(bytes)),
        ];
        let (handed_over, counters) = (Instant::now(), counters.clone());
        Some(Box::new(TracedFrame { traced, handed_over, attributes, counters }))
    }

    /// It is applied. Whoever applied it before it was known to be traced had not looked at the clock.
    pub(crate) fn applied(self, times: Option<ApplyTimes>) {
        let Some(ApplyTimes { committed, applied }) = times else { return };
        for traced in &self.traced {
            traced.trail.was("propose", (traced.queued, self.handed_over), &self.attributes);
            traced.trail.was("commit", (self.handed_over, committed), &self.attributes);
            traced.trail.was("apply", (committed, applied), &self.attributes);
        }
    }

    /// Its fate is another one, or not known.
    pub(crate) fn failed(self, why: &str) {
        for traced in &self.traced {
            traced.trail.was("propose", (traced.queued, self.handed_over), &self.attributes);
            traced.span("commit", self.handed_over).fail(why);
        }
    }
}

impl Drop for TracedFrame {
    fn drop(&mut self) {
        self.counters.traced_frames.fetch_sub(1, Ordering::Relaxed);
    }
}
