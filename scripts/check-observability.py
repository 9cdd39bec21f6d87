#!/usr/bin/env python3
"""Sees that the dashboards and alerts in deploy/ are true of a live cluster.

Starts three nodes and a real Prometheus that scrapes them with deploy/prometheus/alerts.yaml, sends and receives, and
then asks Prometheus: does every series exist that a panel or a rule names, does every expression run, is every alert
silent while all is well, and does each fire in the fault that it is for. So that this takes minutes, the durations in
the rules are divided (--factor); thresholds stay what they are. Alerts that are not provoked here must have a unit
test (deploy/prometheus/alerts_test.yaml), and are listed.

    scripts/check-observability.py --binary target/release/ledgermq
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RULES = os.path.join(ROOT, "deploy/prometheus/alerts.yaml")
UNIT_TESTS = os.path.join(ROOT, "deploy/prometheus/alerts_test.yaml")
DASHBOARDS = os.path.join(ROOT, "deploy/grafana")
NODES = 3
CLUSTER = "local"
MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
# A window holds so many scrapes at least, of one second each.
WINDOW_MS_MIN = 8_000
HEALTHY_SECONDS = 15
FIRES_WITHIN = 75
# What a busy or slow machine does to a healthy cluster. It is said, and no failure.
OF_THE_MACHINE = {"FsyncSlow", "DiskStalled", "ElectionStorm", "ApplyLag", "TimerLate"}
NAME = re.compile(r"\b((?:rocketmq|ledgermq|process)_[a-z0-9_]+|up)\b(?=\s*(?:\{|\[|\)|[<>=!+*/-]|offset|$))")


def say(text):
    print(text, flush=True)


def fail(text):
    say(f"FAILED: {text}")
    raise SystemExit(1)


def metric_names(expression):
    """The names of series in an expression, roughly: not what stands in braces or behind `by`."""
    bare = re.sub(r"\{[^}]*\}", " ", expression)
    bare = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", " ", bare)
    return set(NAME.findall(" ".join(bare.split())))


class Rules:
    """The rules, and the same with shorter durations."""

    def __init__(self, factor):
        with open(RULES, encoding="utf-8") as file:
            self.text = file.read()
        self.names = re.findall(r"^ +- alert: (\w+)$", self.text, re.M)

        def divided(ms_min):
            def short(match):
                ms = int(match[2]) * MS[match[3]] / factor
                return f"{match[1]}{max(int(ms), ms_min)}ms"
            return short

        short = re.sub(r"(\bfor: )(\d+)(ms|s|m|h)\b", divided(1_000), self.text)
        self.short = re.sub(r"(\[|offset )(\d+)(ms|s|m|h)\b", divided(WINDOW_MS_MIN), short)
        for alert in self.names:
            if f"runbook_url: docs/operations.md#alert-{alert}\n" not in self.text:
                fail(f"{alert} has no runbook")


class Prometheus:
    """A Prometheus that scrapes the cluster, on a port of its own."""

    def __init__(self, directory, port, targets, rules):
        self.url = f"http://127.0.0.1:{port}"
        with open(os.path.join(directory, "alerts.yaml"), "w", encoding="utf-8") as file:
            file.write(rules)
        with open(os.path.join(directory, "prometheus.yaml"), "w", encoding="utf-8") as file:
            file.write(
                "global: { scrape_interval: 1s, evaluation_interval: 1s, scrape_timeout: 1s }\n"
                "rule_files: [alerts.yaml]\n"
                "scrape_configs:\n"
                f"  - {{ job_name: ledgermq, static_configs: [{{ targets: {json.dumps(targets)} }}] }}\n"
            )
        self.log = open(os.path.join(directory, "prometheus.log"), "wb")
        command = [
            "prometheus", f"--config.file={directory}/prometheus.yaml", f"--storage.tsdb.path={directory}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.url + "/-/ready", timeout=2).read()
                return
            except (urllib.error.URLError, OSError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    fail(f"Prometheus does not start: see {directory}/prometheus.log")
                time.sleep(0.2)

    def get(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            fail(f"{path} {parameters}: {error.read().decode(errors='replace')}")

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def names(self):
        return set(self.get("label/__name__/values"))

    def firing(self):
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


class Cluster:
    """`ledgermq local`, with options that make faults quick."""

    QUICK = {
        "LEDGERMQ_DISK__LOOK_EVERY_MS": "500",
        "LEDGERMQ_RETENTION__LOOK_EVERY_MS": "1000",
        "LEDGERMQ_LOG__SEGMENT_BYTES": "64MiB",
    }

    def __init__(self, binary, directory, base_port):
        self.binary, self.directory, self.base_port = binary, directory, base_port
        self.loads = []
        self.local("start", "--nodes", str(NODES), "--groups", "1", "--base-port", str(base_port), "--detach")

    def grpc(self, node):
        return f"127.0.0.1:{self.base_port + 10 * (node - 1)}"

    def http(self, node):
        return f"127.0.0.1:{self.base_port + 10 * (node - 1) + 1}"

    def local(self, *args, environment=None):
        command = [self.binary, "local", *args, "--data", self.directory, "-o", "json"]
        environment = {**os.environ, **self.QUICK, **(environment or {})}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            fail(f"{' '.join(command)}: {done.stderr}")

    def run(self, *args, node=1, may_fail=False):
        command = [self.binary, *args, "--endpoint", self.grpc(node), "-o", "json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0 and not may_fail:
            fail(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def load(self, *args, node=1):
        """Goes on beside everything else, until it is stopped."""
        command = [self.binary, "bench", *args, "--endpoint", self.grpc(node), "-o", "json"]
        load = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.loads.append(load)
        return load

    def used_bytes(self, node):
        used = 0
        for path, _, files in os.walk(os.path.join(self.directory, f"node{node}")):
            for file in files:
                try:
                    used += os.stat(os.path.join(path, file)).st_blocks * 512
                except FileNotFoundError:
                    pass
        return used

    def until_well(self):
        """Until every group is led, and every node lives."""
        deadline = time.monotonic() + 90
        for node in range(1, NODES + 1):
            while True:
                try:
                    urllib.request.urlopen(f"http://{self.http(node)}/readyz", timeout=5).read()
                    break
                except (urllib.error.URLError, OSError):
                    if time.monotonic() > deadline:
                        fail(f"node{node} is not ready")
                    time.sleep(0.3)

    def stop(self):
        for load in self.loads:
            if load.poll() is None:
                load.kill()
            load.wait()
        subprocess.run([self.binary, "local", "stop", "--data", self.directory], stdout=subprocess.DEVNULL, check=False)


class Check:
    """What was seen."""

    def __init__(self, cluster, prometheus, rules):
        self.cluster, self.prometheus, self.rules = cluster, prometheus, rules
        self.fired = {}

    def fires(self, *alerts, within=FIRES_WITHIN):
        """Waits until all of these have fired; others that do so meanwhile count too."""
        if missing := self.missing_after(within, *alerts):
            fail(f"{', '.join(missing)} did not fire within {within} s")

    def missing_after(self, within, *alerts):
        """Those of them that have not fired in so many seconds."""
        began = time.monotonic()
        while True:
            for alert in self.prometheus.firing():
                if alert not in self.fired:
                    self.fired[alert] = time.monotonic() - began
                    say(f"  {alert} fires after {self.fired[alert]:.0f} s")
            missing = [alert for alert in alerts if alert not in self.fired]
            if not missing or time.monotonic() - began > within:
                return missing
            time.sleep(0.5)

    def silent(self, seconds):
        """Nothing fires on a healthy cluster."""
        until, of_the_machine = time.monotonic() + seconds, set()
        while time.monotonic() < until:
            firing = self.prometheus.firing()
            if firing - OF_THE_MACHINE:
                fail(f"{', '.join(sorted(firing - OF_THE_MACHINE))} fires on a healthy cluster")
            of_the_machine |= firing
            time.sleep(0.5)
        for alert in sorted(of_the_machine):
            say(f"  *** {alert} fires: this machine is too busy or too slow for a healthy cluster")

    def everything_exists(self):
        known = self.prometheus.names()
        expressions = [("rule", expression) for expression in rule_expressions(self.prometheus)]
        for file in sorted(os.listdir(DASHBOARDS)):
            expressions += panel_expressions(os.path.join(DASHBOARDS, file))
        missing, empty = [], []
        for where, expression in expressions:
            names = metric_names(expression)
            if not names:
                fail(f"{where}: no series in {expression}")
            missing += [f"{name} ({where})" for name in sorted(names - known)]
            result = self.prometheus.query(expression)
            if where != "rule" and not result:
                empty.append(f"{where}: {expression}")
        if missing:
            fail("series that do not exist: " + "; ".join(missing))
        if empty:
            fail("panels that show nothing: " + "; ".join(empty))
        say(f"  {len(expressions)} expressions of rules and panels: every series exists, every panel shows something")


def rule_expressions(prometheus):
    groups = prometheus.get("rules")["groups"]
    bad = [rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "err"]
    if bad:
        fail(f"rules that cannot be evaluated: {bad}")
    return [rule["query"] for group in groups for rule in group["rules"]]


def panel_expressions(path):
    with open(path, encoding="utf-8") as file:
        dashboard = json.load(file)
    name = os.path.basename(path)
    found = []
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$cluster", CLUSTER).replace("$__rate_interval", "60s")
            found.append((f"{name} '{panel['title']}'", expression.replace("$group", ".*")))
    return found


def has_everything(cluster):
    """A little of everything, so that every series is there."""
    cluster.run("group", "create", "readers", "--from", "first")
    cluster.run("group", "create", "dying", "--from", "first", "--max-attempts", "1")
    cluster.run("topic", "create", "orders", "--type", "mixed", "--queues", "4")
    cluster.run("topic", "create", "doomed", "--queues", "1")
    for end in ("commit", "rollback", "leave-open"):
        cluster.run("send", "orders", "--body", end, "--transaction", end)
    cluster.run("send", "orders", "--body", "later", "--delay", "2s", "--count", "5")
    cluster.run("send", "orders", "--body", "{i}", "--count", "50", node=2)
    cluster.run("receive", "orders", "--group", "readers", "--max", "20", "--wait", "5s", node=3)
    cluster.run("receive", "orders", "--group", "readers", "--max", "5", "--no-ack", "--invisible", "12h")


def dead_letters(cluster):
    """A group that tries once does not settle what it got."""
    cluster.run("send", "doomed", "--body", "poison", "--count", "3")
    cluster.run("receive", "doomed", "--group", "dying", "--max", "3", "--wait", "5s", "--no-ack", "--invisible", "10s")
    time.sleep(10.5)
    cluster.run("receive", "doomed", "--group", "dying", "--wait", "1s", may_fail=True)


def behind_and_given_up(check):
    """Nobody consumes, nobody ends transactions, and retention is faster than a consumer group."""
    cluster = check.cluster
    cluster.run("topic", "create", "short", "--retention", "5s")
    cluster.run("group", "create", "late", "--from", "first")
    cluster.run("send", "short", "--body", "first", "--count", "10")
    cluster.run("receive", "short", "--group", "late", "--max", "1", "--wait", "5s")
    cluster.run("bench", "send", "--transaction", "--messages", "11000", "--batch", "32", "--in-flight", "64")
    growing = cluster.load("send", "--topic", "orders", "--rate", "400", "--seconds", "300", "--batch", "8")
    check.fires("HalfMessagesPileUp", "ConsumerLagGrowing", "MessagesSkipped")
    growing.kill()


def elections(check):
    """Leaderships go around."""
    for turn in range(9):
        check.cluster.run("cluster", "transfer-leader", "g1", "--to", f"node{1 + turn % NODES}", may_fail=True)
    check.fires("ElectionStorm")


def lead_from(cluster, node):
    for group in ("meta", "g1"):
        cluster.run("cluster", "transfer-leader", group, "--to", node)


def outages(check):
    """One node dies, then another."""
    cluster = check.cluster
    cluster.run("bench", "send", "--delay", "25s", "--messages", "200", "--topic", "later", "--batch", "8")
    # Node 1, which is left in the end, must have led nothing: who waits for a leader waits there.
    lead_from(cluster, "node3")
    cluster.local("kill", "node3")
    check.fires("NodeDown", "QuorumAtRisk", "NotScraped")
    lead_from(cluster, "node2")
    cluster.local("kill", "node2")
    load = cluster.load("send", "--rate", "50", "--seconds", "300", "--direct", "--in-flight", "16", "--topic", "orders")
    check.fires("NoLeader", "Parking", "TimerLate")
    load.kill()
    for node in ("node2", "node3"):
        cluster.local("restart", node)
    cluster.until_well()


def full_disks(check):
    """A quota that is nearly used up, and more so."""
    cluster = check.cluster
    for alert, used in (("DiskFilling", 0.80), ("DiskCleaning", 0.875), ("DiskRefusing", 0.95)):
        # The start itself makes and removes files, so the first quota may be off.
        for _ in range(4):
            quota = int(cluster.used_bytes(3) / used)
            cluster.local("restart", "node3", environment={"LEDGERMQ_DISK__QUOTA_BYTES": str(quota)})
            cluster.until_well()
            if not check.missing_after(25, alert):
                break
            level = check.prometheus.query('max(ledgermq_disk_level{node_id="node3"})')
            level = level[0]["value"][1] if level else "unknown"
            say(f"  level {level} with {cluster.used_bytes(3)} of {quota} bytes: not yet {alert}")
        else:
            fail(f"{alert} did not fire")
    cluster.local("restart", "node3")
    cluster.until_well()


def install():
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    why = "for the test of alerts and dashboards; it starts no service that this test needs"
    subprocess.run([os.path.join(HERE, "apt-install.sh"), why, "prometheus"], check=True)


def promtool():
    for command in (["check", "rules", RULES], ["test", "rules", UNIT_TESTS]):
        done = subprocess.run(["promtool", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        say(f"  promtool {command[0]} {command[1]}: {'ok' if done.returncode == 0 else done.stdout}")
        if done.returncode != 0:
            fail("promtool")


def verdict(check):
    with open(UNIT_TESTS, encoding="utf-8") as file:
        tested = file.read()
    fired = [alert for alert in check.rules.names if alert in check.fired]
    unit = [alert for alert in check.rules.names if alert not in check.fired and re.search(rf"\b{alert}\b", tested)]
    neither = [alert for alert in check.rules.names if alert not in fired and alert not in unit]
    say(f"\nfired in their faults ({len(fired)}): {', '.join(fired)}")
    say(f"*** NOT PROVOKED, only unit tests with promtool ({len(unit)}): {', '.join(unit)}")
    if neither:
        fail(f"neither provoked nor unit tested: {', '.join(neither)}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--factor", type=float, default=20, help="durations in the rules are divided by it")
    arguments.add_argument("--base-port", type=int, default=28081)
    arguments.add_argument("--prometheus-port", type=int, default=29090)
    arguments.add_argument("--keep", action="store_true", help="keep the data and the logs")
    options = arguments.parse_args()
    began = time.monotonic()
    install()
    promtool()
    rules = Rules(options.factor)
    directory = tempfile.mkdtemp(prefix="ledgermq-observability-")
    cluster = prometheus = None
    try:
        say(f"starting {NODES} nodes and a Prometheus in {directory}")
        cluster = Cluster(os.path.abspath(options.binary), os.path.join(directory, "cluster"), options.base_port)
        targets = [cluster.http(node) for node in range(1, NODES + 1)]
        prometheus = Prometheus(directory, options.prometheus_port, targets, rules.short)
        check = Check(cluster, prometheus, rules)
        has_everything(cluster)
        healthy = cluster.load("e2e", "--rate", "100", "--seconds", "300")
        say(f"a healthy cluster: nothing fires for {HEALTHY_SECONDS} s")
        check.silent(HEALTHY_SECONDS)
        say("messages that die")
        dead_letters(cluster)
        check.fires("DeadLetters")
        say("every series of every rule and panel")
        check.everything_exists()
        healthy.kill()
        for what, provoke in (
            ("consumers, transactions and retention", behind_and_given_up),
            ("elections", elections),
            ("one node dies, then another", outages),
            ("disks that fill up", full_disks),
        ):
            say(what)
            provoke(check)
        verdict(check)
        say(f"OK, in {time.monotonic() - began:.0f} s")
    finally:
        if prometheus:
            prometheus.stop()
        if cluster:
            cluster.stop()
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
