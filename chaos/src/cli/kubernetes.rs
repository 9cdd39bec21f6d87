//! `ledgermq-chaos kubernetes`

use std::time::Instant;

use clap::{Args, Subcommand};

use super::exit::{Failure, installed};
use super::inject::FaultArgs;
use super::output::{OutputArgs, line, table};
use super::stop_on_signals;
use crate::kubernetes::{Kubernetes, Pod};

/// Commands of `kubernetes`.
#[derive(Debug, Subcommand)]
pub(super) enum KubernetesCommand {
    /// List the pods, with the index of each
    Pods(PodsArgs),
    /// Delete pods, or keep them apart with network policies
    Inject(InjectArgs),
    /// Remove every network policy that this tool left behind
    Heal(HealArgs),
}

impl KubernetesCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            KubernetesCommand::Pods(args) => args.run(),
            KubernetesCommand::Inject(args) => args.run(),
            KubernetesCommand::Heal(args) => args.run(),
        }
    }
}

/// Which pods.
#[derive(Debug, Args)]
struct PodArgs {
    /// The namespace of the pods
    #[arg(long, short = 'n', default_value = "default", value_name = "NAME")]
    namespace: String,
    /// The label that all nodes of the cluster have
    #[arg(long, short = 'l', default_value = "app.kubernetes.io/name=ledgermq", value_name = "NAME=VALUE")]
    selector: String,
    /// The program
    #[arg(long, default_value = "kubectl", value_name = "PROGRAM")]
    kubectl: String,
}

impl PodArgs {
    fn kubernetes(&self) -> Result<Kubernetes, Failure> {
        Ok(Kubernetes::new(&self.namespace, &self.selector)?.with_kubectl(&self.kubectl))
    }
}

/// Arguments of `kubernetes pods`.
#[derive(Debug, Args)]
pub(super) struct PodsArgs {
    #[command(flatten)]
    pods: PodArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl PodsArgs {
    fn run(self) -> Result<(), Failure> {
        let pods = self.pods.kubernetes()?.pods()?;
        self.output.print(&pods, || {
            let row = |(at, pod): (usize, &Pod)| [(at + 1).to_string(), pod.name.clone(), pod.phase.clone()];
            let rows: Vec<[String; 3]> = pods.iter().enumerate().map(row).collect();
            table(["NODE", "POD", "PHASE"], &rows)
        });
        Ok(())
    }
}

/// Arguments of `kubernetes inject`.
#[derive(Debug, Args)]
#[command(after_help = "\
Faults: kill, restart, terminate:grace_ms=30000, partition:shape=isolate,clients=false (isolate, split, bridge,
majorities-ring). What else there is needs Chaos Mesh: see deploy/chaos-mesh.

Examples:
  ledgermq-chaos kubernetes inject kill --target one
  ledgermq-chaos kubernetes inject partition --target role:leader --role leader=2 --for 30s")]
pub(super) struct InjectArgs {
    #[command(flatten)]
    what: FaultArgs,
    #[command(flatten)]
    pods: PodArgs,
}

impl InjectArgs {
    fn run(self) -> Result<(), Failure> {
        let kubernetes = self.pods.kubernetes()?;
        let size = kubernetes.pods().map_err(|error| Failure::Skipped(error.to_string()))?.len();
        if size == 0 {
            return Err(Failure::Skipped(format!("no pod has the label {}", self.pods.selector)));
        }
        let nodes = self.what.nodes(size)?;
        let stop = stop_on_signals()?;
        let guard = installed(kubernetes.inject(&self.what.fault, &nodes))?;
        guard.effects().iter().for_each(|effect| line(effect));
        match self.what.lasting {
            None => guard.leave(),
            Some(lasting) => {
                stop.wait_until(Instant::now() + lasting);
                guard.heal().map_err(|error| Failure::Indeterminate(error.to_string()))?;
            }
        }
        Ok(())
    }
}

/// Arguments of `kubernetes heal`.
#[derive(Debug, Args)]
pub(super) struct HealArgs {
    #[command(flatten)]
    pods: PodArgs,
}

impl HealArgs {
    fn run(self) -> Result<(), Failure> {
        let said = self.pods.kubernetes()?.heal()?;
        line(if said.trim().is_empty() { "nothing is left" } else { said.trim() });
        Ok(())
    }
}
