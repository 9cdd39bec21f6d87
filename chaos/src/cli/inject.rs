//! `ledgermq-chaos inject`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;

use super::exit::{Failure, installed};
use super::output::OutputArgs;
use super::{StateArgs, stop_on_signals};
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::injection::{Guard, wall_ns};
use crate::target::Target;

/// Who has a role, by the command line.
#[derive(Debug, Args)]
pub(super) struct RoleArgs {
    /// Who has a role: leader=2, followers=1,3
    #[arg(long = "role", value_name = "NAME=NODES")]
    roles: Vec<String>,
}

impl RoleArgs {
    /// What [`Target::resolve`] asks.
    pub fn table(&self) -> Result<BTreeMap<String, Vec<usize>>, Failure> {
        let pair = |text: &String| {
            let wrong =
                || Failure::Usage(format!("{text:?} is not of the form NAME=NODES, such as leader=2"));
            let (name, nodes) = text.split_once('=').ok_or_else(wrong)?;
            match nodes.parse() {
                Ok(Target::Nodes(nodes)) => Ok((name.to_owned(), nodes)),
                _ => Err(wrong()),
            }
        };
        self.roles.iter().map(pair).collect()
    }
}

/// What is injected, into whom, and for how long.
#[derive(Debug, Args)]
pub(super) struct FaultArgs {
    /// What happens
    #[arg(value_name = "FAULT")]
    pub fault: Fault,
    /// To whom: one, minority, majority, all, nodes such as 1 or 1,3, or role:NAME
    #[arg(long, default_value = "one", value_name = "TARGET")]
    target: Target,
    #[command(flatten)]
    roles: RoleArgs,
    /// Heal after this: 500ms, 10s, 2m. Without it the fault stays until it is healed by command
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub lasting: Option<Duration>,
    /// Decides which nodes, where the target leaves it to chance
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

impl FaultArgs {
    /// The nodes that are meant, of so many.
    pub fn nodes(&self, size: usize) -> Result<Vec<usize>, Failure> {
        let roles = self.roles.table()?;
        let seed = self.seed.unwrap_or_else(wall_ns);
        let nodes = self.target.resolve(size, seed, &mut |name| roles.get(name).cloned());
        nodes.map_err(|error| Failure::Usage(error.to_string()))
    }
}

/// Arguments of `inject`.
#[derive(Debug, Args)]
#[command(after_help = "\
Faults: kill, pause, terminate, restart, power-failure, partition, loss, delay, clock-jump, clock-drift, disk-full,
disk-stall, disk-slow, fsync-error, corrupt. Parameters follow a colon, each has a default:
  terminate:grace_ms=30000                       loss:percent=20
  partition:shape=isolate,clients=false          delay:delay_ms=100,jitter_ms=20
    shapes: isolate, split, majorities-ring, bridge, one-way-in, one-way-out
  clock-jump:by_ms=3600000                       clock-drift:ppm=50000
  disk-full:leave_bytes=0                        disk-slow:bytes_per_second=1048576
  corrupt:how=bit-flip,files=**,seed=0,running=false
    how: bit-flip, truncate, stale-chunk

Examples:
  ledgermq-chaos inject kill --target one --for 10s
  ledgermq-chaos inject partition:shape=one-way-in --target role:leader --role leader=2 --for 30s
  ledgermq-chaos inject pause --target 1,3          # until `ledgermq-chaos heal --faults-only`")]
pub(super) struct InjectArgs {
    #[command(flatten)]
    what: FaultArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl InjectArgs {
    pub fn run(self) -> Result<(), Failure> {
        let cluster = Cluster::open(&self.state.state)?;
        let nodes = self.what.nodes(cluster.size())?;
        let stop = stop_on_signals()?;
        let guard = installed(cluster.inject(&self.what.fault, &nodes))?;
        self.print(&guard);
        match self.what.lasting {
            None => guard.leave(),
            Some(lasting) => {
                let stopped = stop.wait_until(Instant::now() + lasting);
                guard.heal().map_err(|error| Failure::Indeterminate(error.to_string()))?;
                eprintln!("healed{}", if stopped { " early: interrupted" } else { "" });
            }
        }
        Ok(())
    }

    fn print(&self, guard: &Guard) {
        let value = serde_json::json!({
            "fault": guard.fault(), "nodes": guard.nodes(), "effects": guard.effects(), "at_ns": guard.installed_ns(),
        });
        self.output.print(&value, || {
            let effect = |effect: &crate::Effect| format!("node {}: {}", effect.node, effect.what);
            guard.effects().iter().map(effect).collect::<Vec<_>>().join("\n")
        });
    }
}

/// `500ms`, `10s`, `2m`
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is no time such as 500ms, 10s or 2m"))?;
    match &text[digits.len()..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" | "" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        unit => Err(format!("{unit:?} is no unit of time: ms, s or m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(time("7"), Ok(Duration::from_secs(7)));
        for text in ["", "s", "10h", "-1s"] {
            assert!(time(text).is_err(), "{text:?}");
        }
    }
}
