//! Faults of pods, by `kubectl`: they are deleted, and network policies keep them apart.
//!
//! Nothing is kept on this machine: policies carry a label, by which [`Kubernetes::heal`] finds them after a crash.
//! What policies cannot do (packets that are lost or late, one way only, disks, clocks) Chaos Mesh can: see
//! `deploy/chaos-mesh`.

mod policy;

use serde::Serialize;
use serde_json::Value;

use crate::error::ChaosError;
use crate::fault::{Fault, Shape};
use crate::faults::network::{Port, cuts};
use crate::injection::{Injected, wall_ns};
use crate::tool;
use policy::{POD_NAME_LABEL, Policy};

/// What all policies of this tool carry.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by=ledgermq-chaos";

/// Pods that are nodes of one cluster: those of a namespace with a label, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubernetes {
    kubectl: String,
    namespace: String,
    label: (String, String),
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// `Running`, `Pending`, ...
    pub phase: String,
    /// Whether a stateful set made it: only such pods have a label of their own, which policies need.
    pub is_stateful: bool,
}

/// Network policies that are there. Removed when dropped.
#[derive(Debug)]
pub struct PolicyGuard {
    kubernetes: Kubernetes,
    policies: Vec<String>,
    effects: Vec<String>,
}

impl PolicyGuard {
    /// What was done, for a person.
    pub fn effects(&self) -> &[String] {
        &self.effects
    }

    /// Removes the policies. Pods that were deleted come back without this: their controller makes them again.
    pub fn heal(mut self) -> Result<(), ChaosError> {
        self.heal_once()
    }

    /// Leaves the policies there, until [`Kubernetes::heal`].
    pub fn leave(mut self) {
        self.policies.clear();
    }

    fn heal_once(&mut self) -> Result<(), ChaosError> {
        let policies = std::mem::take(&mut self.policies);
        match policies.is_empty() {
            true => Ok(()),
            false => {
                let names: Vec<&str> = policies.iter().map(String::as_str).collect();
                let delete = ["delete", "networkpolicy", "--ignore-not-found"];
                self.kubernetes.kubectl(&[&delete[..], &names].concat(), "").map(|_| ())
            }
        }
    }
}

impl Drop for PolicyGuard {
    fn drop(&mut self) {
        if let Err(error) = self.heal_once() {
            eprintln!(
                "chaos: network policies are not removed: {error}; try `ledgermq-chaos kubernetes heal`"
            );
        }
    }
}

impl Kubernetes {
    /// Pods of a namespace with a label (`app=my-server`).
    pub fn new(namespace: &str, label: &str) -> Result<Kubernetes, ChaosError> {
        match label.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok(Kubernetes {
                kubectl: "kubectl".into(),
                namespace: namespace.into(),
                label: (key.into(), value.into()),
            }),
            _ => Err(ChaosError::Usage(format!("{label:?} is no label of the form name=value"))),
        }
    }

    /// With another program that takes the same arguments.
    pub fn with_kubectl(mut self, program: impl Into<String>) -> Kubernetes {
        self.kubectl = program.into();
        self
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, ChaosError> {
        let arguments =
            [&["--namespace", self.namespace.as_str(), "--request-timeout=20s"], arguments].concat();
        match input {
            "" => tool::run(&self.kubectl, &arguments),
            input => tool::run_with_input(&self.kubectl, &arguments, input),
        }
    }

    /// The pods, by name. The first one is node 1.
    pub fn pods(&self) -> Result<Vec<Pod>, ChaosError> {
        let selector = format!("{}={}", self.label.0, self.label.1);
        let text = self.kubectl(&["get", "pods", "--selector", &selector, "-o", "json"], "")?;
        let unreadable = |why: String| ChaosError::Tool { command: "kubectl get pods".into(), why };
        let list: Value = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let items =
            list["items"].as_array().ok_or_else(|| unreadable("there are no items in its answer".into()))?;
        let pod = |item: &Value| {
            let name = item["metadata"]["name"].as_str()?.to_owned();
            Some(Pod {
                phase: item["status"]["phase"].as_str().unwrap_or("Unknown").into(),
                is_stateful: item["metadata"]["labels"][POD_NAME_LABEL] == name.as_str(),
                name,
            })
        };
        let mut pods: Vec<Pod> = items.iter().filter_map(pod).collect();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(pods)
    }

    /// Lets a fault happen to the pods with these indices, from 1, in the order of [`Kubernetes::pods`]. Skipped where
    /// there is no `kubectl`, no cluster, or no way to have the fault without Chaos Mesh.
    pub fn inject(&self, fault: &Fault, nodes: &[usize]) -> Injected<PolicyGuard> {
        let pods = match self.pods() {
            Ok(pods) => pods,
            Err(error) => return Injected::Skipped { why: error.to_string() },
        };
        if nodes.is_empty() || nodes.iter().any(|node| !(1..=pods.len()).contains(node)) {
            let why = format!("nodes {nodes:?} are to be chosen from {} pods with the label", pods.len());
            return Injected::Skipped { why };
        }
        match fault {
            Fault::Kill {} | Fault::Restart {} => self.delete(&pods, nodes, 0),
            Fault::Terminate { grace_ms } => self.delete(&pods, nodes, grace_ms.div_ceil(1000)),
            Fault::Partition { shape, clients } => self.partition(&pods, nodes, *shape, *clients),
            other => Injected::Skipped {
                why: format!("{} of pods needs Chaos Mesh: see deploy/chaos-mesh", other.kind().name()),
            },
        }
    }

    fn delete(&self, pods: &[Pod], nodes: &[usize], grace_s: u64) -> Injected<PolicyGuard> {
        let names: Vec<&str> = nodes.iter().map(|node| pods[node - 1].name.as_str()).collect();
        let grace = format!("--grace-period={grace_s}");
        let mut arguments = vec!["delete", "pod", "--wait=false", &grace];
        // Without it kubectl makes a second of no grace.
        arguments.extend((grace_s == 0).then_some("--force"));
        arguments.extend(&names);
        match self.kubectl(&arguments, "") {
            Ok(_) => Injected::Installed(PolicyGuard {
                kubernetes: self.clone(),
                policies: Vec::new(),
                effects: names
                    .iter()
                    .map(|name| format!("deleted pod {name} with {grace_s} s of grace"))
                    .collect(),
            }),
            Err(error) => Injected::Indeterminate { why: error.to_string() },
        }
    }

    fn partition(&self, pods: &[Pod], nodes: &[usize], shape: Shape, clients: bool) -> Injected<PolicyGuard> {
        if matches!(shape, Shape::OneWayIn | Shape::OneWayOut) {
            let why = "a network policy is about connections, and answers pass it: \
                       one way needs Chaos Mesh, see deploy/chaos-mesh";
            return Injected::Skipped { why: why.into() };
        }
        if let Some(pod) = pods.iter().find(|pod| !pod.is_stateful) {
            let why = format!("pod {} has no label {POD_NAME_LABEL}: no stateful set made it", pod.name);
            return Injected::Skipped { why };
        }
        let cuts = match cuts(shape, clients, nodes, pods.len()) {
            Ok(cuts) => cuts,
            Err(why) => return Injected::Skipped { why },
        };
        let policies: Vec<Policy> =
            (1..=pods.len()).filter_map(|node| self.policy(pods, node, &cuts)).collect();
        let list: Vec<Value> = policies.iter().map(Policy::manifest).collect();
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": list });
        let guard = PolicyGuard {
            kubernetes: self.clone(),
            effects: policies.iter().map(Policy::effect).collect(),
            policies: policies.into_iter().map(|policy| policy.name).collect(),
        };
        match self.kubectl(&["apply", "-f", "-"], &list.to_string()) {
            Ok(_) => Injected::Installed(guard),
            // The guard removes what came into being.
            Err(error) => Injected::Indeterminate { why: error.to_string() },
        }
    }

    /// What one pod may still talk to; none where that is everybody.
    fn policy(&self, pods: &[Pod], node: usize, cuts: &[(Port, Port)]) -> Option<Policy> {
        let blocked = |port: Port| match port {
            Port::Node(index) => Some(pods[index - 1].name.clone()),
            Port::Host => None,
        };
        let partners = || {
            cuts.iter().filter_map(|(from, to)| match (*from == Port::Node(node), *to == Port::Node(node)) {
                (true, _) => Some(*to),
                (_, true) => Some(*from),
                _ => None,
            })
        };
        let mut blocked: Vec<String> = partners().filter_map(blocked).collect();
        blocked.sort_unstable();
        blocked.dedup();
        let clients = partners().any(|partner| partner == Port::Host);
        let pod = pods[node - 1].name.clone();
        (clients || !blocked.is_empty()).then(|| Policy {
            // A name of its own for each injection, so that two that overlap are two.
            name: format!("chaos-{pod}-{}", wall_ns()),
            pod,
            label: self.label.clone(),
            blocked,
            clients,
        })
    }

    /// Removes every policy that this tool ever made in the namespace. Says which.
    pub fn heal(&self) -> Result<String, ChaosError> {
        self.kubectl(&["delete", "networkpolicy", "--selector", MANAGED_BY, "--ignore-not-found"], "")
    }
}
