//! A network policy for one pod. Policies allow, so it lists who is left.

use serde_json::{Value, json};

/// Every pod of a stateful set has this label, with its name.
pub(super) const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";

/// Keeps one pod apart from some of its peers, both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    /// Its own.
    pub name: String,
    /// For whom.
    pub pod: String,
    /// What all peers have.
    pub label: (String, String),
    /// Which of the peers are cut off.
    pub blocked: Vec<String>,
    /// Whether everybody is cut off who is no peer.
    pub clients: bool,
}

impl Policy {
    /// For `kubectl apply`.
    pub fn manifest(&self) -> Value {
        let mut pods = json!({});
        if !self.blocked.is_empty() {
            // Also fits those who have no such label: clients.
            let but = json!({ "key": POD_NAME_LABEL, "operator": "NotIn", "values": self.blocked });
            pods["matchExpressions"] = json!([but]);
        }
        let peer = match self.clients {
            false => json!({ "namespaceSelector": {}, "podSelector": pods }),
            true => {
                pods["matchLabels"] = json!({ (self.label.0.as_str()): self.label.1 });
                json!({ "podSelector": pods })
            }
        };
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {
                "name": self.name,
                "labels": { "app.kubernetes.io/managed-by": "ledgermq-chaos" },
            },
            "spec": {
                "podSelector": { "matchLabels": { (POD_NAME_LABEL): self.pod } },
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{ "from": [peer] }],
                "egress": [{ "to": [peer] }],
            },
        })
    }

    /// For a person. It promises no more than a policy can.
    pub fn effect(&self) -> String {
        let mut whom = self.blocked.join(", ");
        if self.clients {
            whom.push_str(if whom.is_empty() { "clients" } else { " and clients" });
        }
        format!("no new connections between {} and {whom}, if the network plugin enforces policies", self.pod)
    }
}
