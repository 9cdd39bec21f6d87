//! The command line, and what is left when it is killed.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::probe::{answers, skipped, until};

/// The tool, with a cluster of its own.
struct Tool {
    root: tempfile::TempDir,
}

impl Tool {
    fn new() -> Tool {
        Tool { root: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("cluster/chaos-state.json")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ledgermq-chaos"));
        command.args(arguments).env("LEDGERMQ_CHAOS_STATE", self.state()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the tool runs")
    }

    /// What it prints as JSON; it must succeed.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {complaint}");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {complaint}"))
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the tool runs")
    }

    fn up<'a>(&self, backend: &'a str, template: &'a str) -> [&'a str; 9] {
        ["cluster", "up", "--backend", backend, "--image-mib", "32", "--with-faults", "--template", template]
    }

    /// Part of the name of all that the cluster has outside its directory.
    fn id(&self) -> Option<String> {
        let state: Value = serde_json::from_slice(&std::fs::read(self.state()).ok()?).ok()?;
        Some(state["id"].as_str()?.to_owned())
    }

    /// All that is left of a cluster.
    fn leftovers(&self, id: &str) -> Vec<String> {
        let root = self.root.path().display().to_string();
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().expect(program);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mounts.lines().filter(|line| line.contains(&root)).map(str::to_owned);
        let namespaces = run("ip", &["netns"]);
        let namespaces = namespaces.lines().filter(|line| line.contains(id)).map(str::to_owned);
        let devices = run("losetup", &["-a"]);
        let devices = devices.lines().filter(|line| line.contains(&root)).map(str::to_owned);
        let mark = format!("LEDGERMQ_CHAOS_NODE={id}/");
        let marked = |pid: &str| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|window| window == mark.as_bytes())
        };
        let processes = std::fs::read_dir("/proc").unwrap();
        let names = processes.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let processes = names.filter(|name| marked(name)).map(|pid| format!("process {pid}"));
        mounts.chain(namespaces).chain(devices).chain(processes).collect()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let output = self.run(&["heal"]);
        assert!(output.status.success() || std::thread::panicking(), "{output:?}");
    }
}

fn template() -> String {
    format!("{} {{address}} {{directory}}", env!("CARGO_BIN_EXE_chaos-probe"))
}

/// Kill -9: no handler, no drop.
fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("gone");
}

fn address(status: &Value, node: usize) -> std::net::IpAddr {
    status["nodes"][node - 1]["address"].as_str().unwrap().parse().unwrap()
}

fn has_machines() -> bool {
    chaos::machines().inspect_err(|why| skipped(why)).is_ok()
}

#[test]
fn a_cluster_goes_through_a_plan_and_down_in_one_command_each() {
    let tool = Tool::new();
    let status = tool.json(&tool.up("loopback", &template()));
    let before = answers(address(&status, 2));
    assert_eq!(status["nodes"][1]["pid"], before);

    let killed = tool.json(&["inject", "kill", "--target", "role:leader", "--role", "leader=2"]);
    assert_eq!(killed["nodes"], serde_json::json!([2]));
    let status = tool.json(&["cluster", "status"]);
    assert_eq!(status["nodes"][1]["faults"][0]["fault"], "kill", "it lasts, without --for");
    assert!(tool.run(&["heal", "--faults-only"]).status.success());
    assert_ne!(answers(address(&status, 2)), before);

    assert!(tool.run(&["cluster", "stop", "3"]).status.success());
    assert_eq!(tool.json(&["cluster", "status"])["nodes"][2]["pid"], Value::Null);
    assert!(tool.run(&["cluster", "start", "3"]).status.success());
    answers(address(&status, 3));

    let plan = ["plan", "--seed", "7", "--seconds", "12", "--fault", "pause", "--target", "one"];
    let made = tool.json(&plan);
    assert_eq!(made, tool.json(&plan), "the same seed gives the same plan");
    let mut quick = made.clone();
    for step in quick["steps"].as_array_mut().unwrap() {
        step["at_ms"] = (step["at_ms"].as_u64().unwrap() / 20).into();
        step["lasting_ms"] = (step["lasting_ms"].as_u64().unwrap() / 20).into();
    }
    let path = tool.root.path().join("plan.json");
    std::fs::write(&path, quick.to_string()).unwrap();
    let ran = tool.run(&["run", "--plan", path.to_str().unwrap(), "-o", "json"]);
    assert!(ran.status.success(), "{ran:?}");
    let lines = String::from_utf8(ran.stdout).unwrap();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    let steps = made["steps"].as_array().unwrap().len();
    assert_eq!((count("installed"), count("healed")), (steps, steps), "{lines}");

    let id = tool.id().unwrap();
    assert_eq!(tool.json(&["cluster", "down"])["processes"], serde_json::json!([]), "SIGTERM was enough");
    assert_eq!(tool.leftovers(&id), Vec::<String>::new());
    assert_eq!(tool.run(&["cluster", "status"]).status.code(), Some(1));
}

#[test]
fn what_does_not_happen_says_why_and_has_its_exit_code() {
    let tool = Tool::new();
    tool.json(&tool.up("loopback", &template()));
    for (arguments, code, text) in [
        (&["inject", "partition"][..], 3, "use namespaces"),
        (&["inject", "kil"], 2, "is no fault"),
        (&["inject", "kill", "--target", "4"], 2, "nodes 1 to 3"),
        (&["inject", "kill", "--target", "role:leader"], 2, "no node is known"),
        (&["plan", "--seed", "1", "--seconds", "2", "--fault", "kill"], 2, "no fault fits"),
        (&["cluster", "up", "--backend", "loopback"], 2, "heal --state"),
    ] {
        let output = tool.run(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complaint}");
        assert!(complaint.contains(text), "{arguments:?}: {complaint}");
    }
    assert_eq!(tool.json(&["detect"]).as_array().unwrap().len(), 16);
}

#[test]
fn a_tool_that_is_killed_anywhere_on_the_way_up_leaves_nothing_that_heal_does_not_find() {
    if !has_machines() {
        return;
    }
    for moment_ms in (0..=600).step_by(40) {
        let tool = Tool::new();
        let child = tool.spawn(&tool.up("namespaces", &template()));
        let id = until("the state file is there", || tool.id());
        std::thread::sleep(Duration::from_millis(moment_ms));
        kill(child);
        let healed = tool.run(&["heal", "-o", "json"]);
        assert!(healed.status.success(), "after {moment_ms} ms: {healed:?}");
        assert_eq!(tool.leftovers(&id), Vec::<String>::new(), "after {moment_ms} ms: {healed:?}");
        let healed = String::from_utf8_lossy(&healed.stdout).into_owned();
        assert!(moment_ms == 0 || healed.contains("namespace"), "nothing was there to be healed: {healed}");
    }
}

#[test]
fn a_tool_that_is_killed_with_faults_installed_leaves_nothing_either() {
    if !has_machines() {
        return;
    }
    let tool = Tool::new();
    tool.json(&tool.up("namespaces", &template()));
    let id = tool.id().unwrap();
    let faults = [
        ("disk-stall", "1"),
        ("disk-slow", "2"),
        ("partition", "2"),
        ("disk-full", "3"),
        ("pause", "2"),
        ("delay", "3"),
    ];
    let injecting: Vec<Child> = faults
        .iter()
        .map(|(fault, target)| {
            tool.spawn(&["inject", fault, "--target", target, "--for", "60s", "-o", "json"])
        })
        .collect();
    let there = || {
        let status = tool.json(&["cluster", "status"]);
        let nodes = status["nodes"].as_array().unwrap();
        nodes.iter().map(|node| node["faults"].as_array().unwrap().len()).sum::<usize>()
    };
    until("all faults are there", || (there() == faults.len()).then_some(()));
    injecting.into_iter().for_each(kill);
    assert_eq!(there(), faults.len(), "who was killed heals nothing");
    assert_ne!(tool.leftovers(&id), Vec::<String>::new());
    let healed = tool.run(&["heal"]);
    assert!(healed.status.success(), "{healed:?}");
    assert_eq!(tool.leftovers(&id), Vec::<String>::new());
}

#[test]
fn ctrl_c_heals_and_leaves_the_cluster_up() {
    let tool = Tool::new();
    let status = tool.json(&tool.up("loopback", &template()));
    let pid = answers(address(&status, 1));
    let mut child = tool.spawn(&["inject", "pause", "--target", "1", "--for", "60s"]);
    until("node 1 is paused", || {
        (tool.json(&["cluster", "status"])["nodes"][0]["paused"] == true).then_some(())
    });
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert!(child.wait().unwrap().success());
    assert_eq!(answers(address(&status, 1)), pid);
    assert_eq!(tool.json(&["cluster", "status"])["nodes"][0]["faults"], serde_json::json!([]));
}

#[test]
fn completions_are_scripts() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Tool::new().run(&["completion", shell]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("ledgermq-chaos"), "{shell}");
    }
}
