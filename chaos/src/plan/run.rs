//! Letting a plan happen.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Plan, Step};
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::injection::{Effect, Guard, Injected, wall_ns};

/// What happened to a step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The fault is there.
    Installed {
        /// Which step, from 0.
        step: usize,
        /// What.
        fault: Fault,
        /// To whom.
        nodes: Vec<usize>,
        /// What it did, node by node.
        effects: Vec<Effect>,
        /// When it was asked for, in nanoseconds since the Unix epoch.
        from_ns: u64,
        /// When it was there.
        at_ns: u64,
    },
    /// It was not to be had.
    Skipped {
        /// Which step, from 0.
        step: usize,
        /// What.
        fault: Fault,
        /// Why.
        why: String,
        /// When, in nanoseconds since the Unix epoch.
        at_ns: u64,
    },
    /// Something failed on the way.
    Indeterminate {
        /// Which step, from 0.
        step: usize,
        /// What.
        fault: Fault,
        /// What failed.
        why: String,
        /// When, in nanoseconds since the Unix epoch.
        at_ns: u64,
    },
    /// It is gone.
    Healed {
        /// Which step, from 0.
        step: usize,
        /// What.
        fault: Fault,
        /// From whom.
        nodes: Vec<usize>,
        /// When, in nanoseconds since the Unix epoch.
        at_ns: u64,
    },
    /// It could not be taken away.
    NotHealed {
        /// Which step, from 0.
        step: usize,
        /// What.
        fault: Fault,
        /// Why.
        why: String,
        /// When, in nanoseconds since the Unix epoch.
        at_ns: u64,
    },
}

/// Ends a plan early, from another thread.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// Not yet.
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Now. Whoever waits goes on at once.
    pub fn stop(&self) {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.1.notify_all();
    }

    /// Whether it was said.
    pub fn is_stopped(&self) -> bool {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until then, or until it was said: whether it was.
    pub fn wait_until(&self, deadline: Instant) -> bool {
        let mut stopped = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stopped {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return false;
            };
            let waited = self.shared.1.wait_timeout(stopped, left);
            stopped = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Plan {
    /// Injects each step when its time has come and heals it when its time is over. Blocks until everything is healed;
    /// a stop heals at once. `role` says who has a role at that moment; `observe` hears what happened.
    pub fn run(
        &self,
        cluster: &Cluster,
        stop: &Stop,
        role: &mut dyn FnMut(&str) -> Option<Vec<usize>>,
        observe: &mut dyn FnMut(Event),
    ) {
        let began = Instant::now();
        // Those that are there, by the moment they end and their step.
        let mut there: BTreeMap<(Duration, usize), Guard> = BTreeMap::new();
        let mut steps = self.steps.iter().enumerate().peekable();
        loop {
            let next_end = there.keys().next().map(|(until, _)| *until);
            let next_begin = steps.peek().map(|(_, step)| step.at());
            let (moment, ends) = match (next_end, next_begin) {
                (Some(end), Some(begin)) => (end.min(begin), end <= begin),
                (Some(end), None) => (end, true),
                (None, Some(begin)) => (begin, false),
                (None, None) => return,
            };
            if stop.wait_until(began + moment) {
                break;
            }
            if ends {
                if let Some(((_, step), guard)) = there.pop_first() {
                    observe(end(step, guard));
                }
            } else if let Some((at, step)) = steps.next() {
                let (event, guard) = begin(cluster, at, step, role);
                observe(event);
                let guard = guard.filter(|guard| !guard.fault().is_one_shot());
                // It lasts as long as it was meant to, even if installing took its time.
                there.extend(guard.map(|guard| ((began.elapsed() + step.lasting(), at), guard)));
            }
        }
        for ((_, step), guard) in there.into_iter().rev() {
            observe(end(step, guard));
        }
    }
}

fn begin(
    cluster: &Cluster,
    at: usize,
    step: &Step,
    role: &mut dyn FnMut(&str) -> Option<Vec<usize>>,
) -> (Event, Option<Guard>) {
    let fault = step.fault.clone();
    let from_ns = wall_ns();
    let nodes = match step.target.resolve(cluster.size(), step.seed, role) {
        Ok(nodes) => nodes,
        Err(error) => {
            return (Event::Skipped { step: at, fault, why: error.to_string(), at_ns: from_ns }, None);
        }
    };
    match cluster.inject(&fault, &nodes) {
        Injected::Installed(guard) => {
            let effects = guard.effects().to_vec();
            let at_ns = guard.installed_ns();
            (Event::Installed { step: at, fault, nodes, effects, from_ns, at_ns }, Some(guard))
        }
        Injected::Skipped { why } => (Event::Skipped { step: at, fault, why, at_ns: wall_ns() }, None),
        Injected::Indeterminate { why } => {
            (Event::Indeterminate { step: at, fault, why, at_ns: wall_ns() }, None)
        }
    }
}

fn end(step: usize, guard: Guard) -> Event {
    let (fault, nodes) = (guard.fault().clone(), guard.nodes().to_vec());
    match guard.heal() {
        Ok(()) => Event::Healed { step, fault, nodes, at_ns: wall_ns() },
        Err(error) => Event::NotHealed { step, fault, why: error.to_string(), at_ns: wall_ns() },
    }
}
