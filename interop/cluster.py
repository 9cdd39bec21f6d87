"""A LedgerMQ cluster of processes on loopback, and its faults.

Everything goes through the `ledgermq` binary, as a user would do it; only the kill is ours, and it
goes only to processes that this cluster started.
"""

import json
import os
import pathlib
import signal
import subprocess
import time

from checks import Kill, Restart

POLL_SECONDS = 0.02


class ClusterError(Exception):
    """The cluster did not do what the run needs: not a violation, but no result either."""


# However full the disk of this machine is.
ENVIRONMENT = {"LEDGERMQ_DISK__SPARE_BYTES": "0"}


class Cluster:
    """With `access` every request must be signed, and the commands are those of the administrator."""

    def __init__(self, binary, data, base_port, slow, access=False):
        self.access = access
        self.binary = str(binary)
        self.data = pathlib.Path(data)
        self.base_port = base_port
        self.slow = slow
        self.endpoint = f"127.0.0.1:{base_port}"
        self.environment = dict(ENVIRONMENT)
        if access:
            self.environment["LEDGERMQ_ACCESS_KEY"] = "admin"
            self.environment["LEDGERMQ_SECRET_KEY_FILE"] = str(self.data / "access" / "admin-secret")

    def run(self, *arguments, timeout=30):
        done = subprocess.run(
            [self.binary, *map(str, arguments)], capture_output=True, text=True,
            timeout=timeout * self.slow, stdin=subprocess.DEVNULL, check=False, env={**os.environ, **self.environment},
        )
        if done.returncode != 0:
            raise ClusterError(f"ledgermq {' '.join(map(str, arguments))}: exit {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def start(self, nodes):
        flags = ["--access"] if self.access else []
        self.run("local", "start", "--nodes", nodes, "--detach", "--data", self.data, "--base-port", self.base_port,
                 *flags, timeout=60)
        return self.settle()

    def stop(self):
        if self.data.exists():
            self.run("local", "stop", "--data", self.data, timeout=60)

    def create_topic(self, name, kind):
        self.run("topic", "create", name, "--type", kind, "--endpoint", self.endpoint)

    def create_group(self, name, fifo):
        flags = ["--fifo"] if fifo else []
        self.run("group", "create", name, "--from", "first", *flags, "--endpoint", self.endpoint)

    def client_environment(self, prefix):
        """Makes a user that may use topics and consumer groups with this prefix and nothing else; what tells a client
        program who it is."""
        if not self.access:
            return {}
        made = json.loads(self.run("user", "create", prefix, "--endpoint", self.endpoint, "-o", "json"))
        for resource, actions in ((f"topic:{prefix}-*", "publish,subscribe"), (f"group:{prefix}-*", "subscribe")):
            self.run("acl", "create", prefix, "--resource", resource, "--actions", actions, "--endpoint", self.endpoint)
        return {"INTEROP_ACCESS_KEY": prefix, "INTEROP_SECRET_KEY": made["secret_key"]}

    def status(self):
        return json.loads(self.run("local", "status", "--data", self.data, "-o", "json"))

    @staticmethod
    def _settled(status):
        """Every node alive, every group led, every replica where its leader is."""
        if not status["nodes"] or not status["groups"] or not all(node["alive"] for node in status["nodes"]):
            return False
        for group in status["groups"]:
            if not group["leader"] or len(group["replicas"]) < len(status["nodes"]):
                return False
            if any(replica["applied_index"] < group["committed"] for replica in group["replicas"]):
                return False
        return True

    def settle(self, timeout=30):
        """Waits until the cluster is whole again; returns its status.

        "Where its leader is" moves on under load, so a status in which a follower is a few entries
        behind what was committed a moment before is compared again until it has caught up.
        """
        deadline = time.monotonic() + timeout * self.slow
        floor = {}
        last = None
        while time.monotonic() < deadline:
            try:
                last = self.status()
            except (ClusterError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
                last = error
                time.sleep(POLL_SECONDS)
                continue
            for group in last["groups"]:
                group["committed"] = floor.setdefault(group["name"], group["committed"])
            if self._settled(last):
                return last
            time.sleep(POLL_SECONDS)
        raise ClusterError(f"the cluster did not settle within {timeout * self.slow:.0f} s: {last}")

    def leader(self, status):
        """The node that leads the first broker group."""
        groups = [group for group in status["groups"] if group["name"] != "meta"] or status["groups"]
        leader = groups[0]["leader"]
        for node in status["nodes"]:
            if leader in (node["id"], node["name"]) or str(leader) == str(node["id"]):
                return node
        raise ClusterError(f"leader {leader!r} is not among the nodes {status['nodes']}")

    def kill_leader(self, status):
        """Kills with -9 the process that leads; returns its node and the time of the kill."""
        node = self.leader(status)
        self._assert_ours(node["pid"])
        at_ns = time.time_ns()
        os.kill(node["pid"], signal.SIGKILL)
        return node, at_ns

    def _assert_ours(self, pid):
        """A pid from a status may have been reused: look before killing."""
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        if "ledgermq" not in command or str(self.data) not in command.replace("\0", " "):
            raise ClusterError(f"pid {pid} is not a node of {self.data}: {command!r}")

    def restart(self, node):
        self.run("local", "restart", node["name"], "--data", self.data, timeout=60)

    def rolling_restart(self, status):
        """Stops every node as an upgrade would (SIGTERM) and starts it again, the last one first as Kubernetes does,
        each when the one before has settled; returns the restarts."""
        restarts = []
        for node in reversed(status["nodes"]):
            from_ns = time.time_ns()
            self.restart(node)
            self.settle()
            restarts.append(Restart(node["name"], from_ns, time.time_ns()))
        return restarts

    def fail_over(self, status, down_seconds):
        """One fault, whole: kill the leader, leave it down, start it, wait until all is well."""
        node, at_ns = self.kill_leader(status)
        time.sleep(down_seconds)
        self.restart(node)
        status = self.settle()
        return Kill(node["name"], at_ns, time.time_ns()), status
