//! The commands that pods are tormented with, as a `kubectl` gets them that only writes them down. There is no cluster
//! here; what is checked is what a cluster would be told.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chaos::{Fault, Injected, Kubernetes};
use serde_json::{Value, json};

/// Writes down its arguments and what it reads, and knows three pods.
const SCRIPT: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/commands"
case "$*" in
  *"get pods"*) cat "$here/pods.json" ;;
  *"apply -f -"*) cat > "$here/applied.json" ;;
esac
if [ -e "$here/refuse" ] && [ "$4 $5" = "$(cat "$here/refuse")" ]; then
  echo "forbidden" >&2
  exit 1
fi
"#;

struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new(stateful: bool) -> Scene {
        let scene = Scene { directory: tempfile::tempdir().unwrap() };
        std::fs::write(scene.kubectl(), SCRIPT).unwrap();
        std::fs::set_permissions(scene.kubectl(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let pod = |index: usize| {
            let name = format!("mq-{index}");
            let mut labels = json!({ "app": "mq" });
            if stateful {
                labels["statefulset.kubernetes.io/pod-name"] = json!(name);
            }
            json!({ "metadata": { "name": name, "labels": labels }, "status": { "phase": "Running" } })
        };
        // Not in the order of their names.
        let pods = json!({ "items": [pod(2), pod(0), pod(1)] });
        std::fs::write(scene.file("pods.json"), pods.to_string()).unwrap();
        scene
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn kubectl(&self) -> PathBuf {
        self.file("kubectl")
    }

    fn kubernetes(&self) -> Kubernetes {
        Kubernetes::new("queues", "app=mq").unwrap().with_kubectl(self.kubectl().display().to_string())
    }

    /// But for the questions which pods there are.
    fn commands(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file("commands")).unwrap_or_default();
        let prefix = "--namespace queues --request-timeout=20s ";
        let commands = text.lines().map(|line| line.strip_prefix(prefix).expect("its namespace").to_owned());
        commands.filter(|command| !command.starts_with("get pods")).collect()
    }

    fn applied(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.file("applied.json")).expect("something was applied");
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().unwrap().clone()
    }
}

fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

#[test]
fn pods_are_nodes_in_the_order_of_their_names() {
    let scene = Scene::new(true);
    let names: Vec<String> = scene.kubernetes().pods().unwrap().into_iter().map(|pod| pod.name).collect();
    assert_eq!(names, ["mq-0", "mq-1", "mq-2"]);
}

#[test]
fn kills_give_no_grace_and_terminations_the_one_that_was_asked_for() {
    let scene = Scene::new(true);
    let kubernetes = scene.kubernetes();
    kubernetes.inject(&fault("kill"), &[1, 3]).installed().unwrap().heal().unwrap();
    drop(kubernetes.inject(&fault("terminate:grace_ms=1500"), &[2]).installed().unwrap());
    assert_eq!(
        scene.commands(),
        [
            "delete pod --wait=false --grace-period=0 --force mq-0 mq-2",
            "delete pod --wait=false --grace-period=2 mq-1"
        ]
    );
}

#[test]
fn who_is_isolated_may_talk_to_clients_and_to_no_peer_until_it_is_healed() {
    let scene = Scene::new(true);
    let guard = scene.kubernetes().inject(&fault("partition"), &[2]).installed().unwrap();
    let applied = scene.applied();
    let of: Vec<&Value> = applied
        .iter()
        .map(|policy| &policy["spec"]["podSelector"]["matchLabels"]["statefulset.kubernetes.io/pod-name"])
        .collect();
    assert_eq!(of, ["mq-0", "mq-1", "mq-2"], "both ends of each cut");
    let isolated = &applied[1];
    let but = json!([{ "key": "statefulset.kubernetes.io/pod-name", "operator": "NotIn", "values": ["mq-0", "mq-2"] }]);
    let peer = json!([{ "namespaceSelector": {}, "podSelector": { "matchExpressions": but } }]);
    assert_eq!(isolated["spec"]["ingress"], json!([{ "from": peer }]));
    assert_eq!(isolated["spec"]["egress"], json!([{ "to": peer }]));
    assert_eq!(isolated["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let names: Vec<&str> =
        applied.iter().map(|policy| policy["metadata"]["name"].as_str().unwrap()).collect();
    drop(guard);
    let deleted = format!("delete networkpolicy --ignore-not-found {}", names.join(" "));
    assert_eq!(scene.commands(), ["apply -f -", &deleted]);
    scene.kubernetes().heal().unwrap();
    let label = "app.kubernetes.io/managed-by";
    assert_eq!(isolated["metadata"]["labels"][label], "ledgermq-chaos");
    let by_label = format!("delete networkpolicy --selector {label}=ledgermq-chaos --ignore-not-found");
    assert_eq!(scene.commands().last(), Some(&by_label), "what a crash left is found by its label");
}

#[test]
fn a_black_hole_leaves_nobody_but_peers_that_are_not_cut_off() {
    let scene = Scene::new(true);
    let guard =
        scene.kubernetes().inject(&fault("partition:shape=split,clients=true"), &[1, 2]).installed().unwrap();
    let first = &scene.applied()[0]["spec"]["ingress"][0]["from"];
    let but =
        json!([{ "key": "statefulset.kubernetes.io/pod-name", "operator": "NotIn", "values": ["mq-2"] }]);
    assert_eq!(
        first,
        &json!([{ "podSelector": { "matchLabels": { "app": "mq" }, "matchExpressions": but } }])
    );
    assert!(guard.effects()[0].contains("if the network plugin enforces policies"), "{:?}", guard.effects());
}

#[test]
fn what_policies_cannot_do_is_skipped_with_the_reason() {
    let scene = Scene::new(true);
    for (text, reason) in [
        ("partition:shape=one-way-in", "Chaos Mesh"),
        ("pause", "Chaos Mesh"),
        ("clock-jump", "Chaos Mesh"),
        ("partition:shape=majorities-ring", "5 nodes"),
    ] {
        match scene.kubernetes().inject(&fault(text), &[1]) {
            Injected::Skipped { why } => assert!(why.contains(reason), "{text}: {why}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let loose = Scene::new(false);
    match loose.kubernetes().inject(&fault("partition"), &[1]) {
        Injected::Skipped { why } => assert!(why.contains("no stateful set made it"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.commands(), Vec::<String>::new());
    assert_eq!(loose.commands(), Vec::<String>::new());
}

#[test]
fn without_kubectl_or_without_leave_nothing_is_claimed() {
    let scene = Scene::new(true);
    let nowhere = Path::new("/nowhere/kubectl").display().to_string();
    match scene.kubernetes().with_kubectl(nowhere).inject(&fault("kill"), &[1]) {
        Injected::Skipped { why } => assert!(why.contains("there is no /nowhere/kubectl"), "{why}"),
        other => panic!("{other:?}"),
    }
    std::fs::write(scene.file("refuse"), "apply -f").unwrap();
    match scene.kubernetes().inject(&fault("partition"), &[1]) {
        Injected::Indeterminate { why } => assert!(why.contains("forbidden"), "{why}"),
        other => panic!("{other:?}"),
    }
    let last = scene.commands().pop().unwrap();
    assert!(last.starts_with("delete networkpolicy --ignore-not-found chaos-mq-0-"), "{last}");
}
