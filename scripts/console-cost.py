#!/usr/bin/env python3
"""What open consoles cost: sends a second, and processor time for a send, with five of them over without.

A cluster of three nodes is loaded in short rounds, in every other one of which so many consoles are open: each reads the events and
asks what the pages ask by themselves (the overview, a topic, a consumer group). Browsers would take the processors that the nodes
share with them, so the requests come without any. Example:

    scripts/console-cost.py --binary target/release/ledgermq --rounds 30
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# What pages ask, and how often, in seconds.
ASKED = (("/api/v1/topics/bench", 2), ("/api/v1/groups/billing", 2), ("/api/v1/lags", 5), ("/api/v1/clients", 10), ("/api/v1/traffic", 30))


def cpu_seconds(pid):
    """What the process used of the processors, since it started."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Console:
    """Requests of one open console."""

    def __init__(self, port):
        self.port, self.closed, self.events = port, threading.Event(), 0
        self.threads = [threading.Thread(target=self.read, daemon=True), threading.Thread(target=self.ask, daemon=True)]
        for thread in self.threads:
            thread.start()

    def read(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/api/v1/events")
        answer = connection.getresponse()
        while not self.closed.is_set():
            if answer.readline().startswith(b"event:"):
                self.events += 1
        connection.close()

    def ask(self):
        due = {path: 0.0 for path, _ in ASKED}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self.closed.wait(0.2):
            for path, every in ASKED:
                if time.monotonic() >= due[path]:
                    due[path] = time.monotonic() + every
                    connection.request("GET", path)
                    connection.getresponse().read()
        connection.close()

    def close(self):
        self.closed.set()
        for thread in self.threads:
            thread.join()


class Cluster:
    """`ledgermq local` with three nodes."""

    def __init__(self, binary, data, port):
        self.binary, self.data, self.port = binary, data, port
        self.environment = {**os.environ, "LEDGERMQ_DISK__SPARE_BYTES": "0"}
        started = self.run("local", "start", "--nodes", "3", "--detach", "--data", data, "--base-port", str(port))
        self.pids = [node["pid"] for node in started["nodes"]]
        self.client("topic", "create", "bench")
        self.client("group", "create", "billing")

    def run(self, *arguments):
        command = [self.binary, *arguments, "-o", "json"]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=self.environment).stdout)

    def client(self, *arguments):
        return self.run(*arguments, "--endpoint", f"127.0.0.1:{self.port}")

    def round(self, seconds):
        """Sends a second, and microseconds of processor that the nodes used for one."""
        used = sum(map(cpu_seconds, self.pids))
        report = self.client("bench", "send", "--topic", "bench", "--seconds", str(seconds), "--warm-up", "0")
        used = sum(map(cpu_seconds, self.pids)) - used
        return report["messages"] / seconds, used * 1e6 / report["messages"]

    def stop(self):
        subprocess.run([self.binary, "local", "stop", "--data", self.data], stdout=subprocess.DEVNULL, check=False)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--rounds", type=int, default=30)
    arguments.add_argument("--seconds", type=int, default=2, help="of one round")
    arguments.add_argument("--consoles", type=int, default=5)
    arguments.add_argument("--port", type=int, default=28581)
    options = arguments.parse_args()
    found = ([], [])
    with tempfile.TemporaryDirectory(prefix="ledgermq-console-cost-") as data:
        cluster = Cluster(options.binary, f"{data}/cluster", options.port)
        try:
            cluster.round(options.seconds)
            for number in range(options.rounds):
                for opened in (0, 1) if number % 2 else (1, 0):
                    consoles = [Console(options.port + 1) for _ in range(options.consoles * opened)]
                    found[opened].append(cluster.round(options.seconds))
                    for console in consoles:
                        console.close()
                        assert console.events > 0, "a console that hears nothing costs nothing"
                print(f"round {number + 1}: {found[0][-1][0]:.0f} and {found[1][-1][0]:.0f} sends a second", file=sys.stderr, flush=True)
        finally:
            cluster.stop()
    for what, name in enumerate(("sends a second", "processor time a send")):
        ratios = [opened[what] / closed[what] for closed, opened in zip(*found)]
        low, median, high = statistics.quantiles(ratios, n=4)
        print(f"{name}, with {options.consoles} consoles over without: median {median:.4f}, quartiles {low:.4f} to {high:.4f}, of {len(ratios)} pairs")


if __name__ == "__main__":
    main()
