#!/usr/bin/env python3
"""What access control costs: processor time for a single send, and sends a second.

Two nodes of one replica stand side by side, one of which controls access; they are loaded in turn, in short rounds. The user
has as many rules as are asked for, and the one that counts is the last. Example:

    scripts/access-cost.py --binary target/release/ledgermq --rounds 20
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

# The nodes have one processor, and their client has another one: so neither gets more of them when the other is busy.
PROCESSORS = sorted(os.sched_getaffinity(0))
NODES, CLIENT = {PROCESSORS[0]}, {PROCESSORS[-1]}

def cpu_seconds(pid):
    """What the process used of the processors, since it started."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Node:
    """`ledgermq local` with one node."""

    def __init__(self, binary, data, port, access, rules):
        self.binary, self.data, self.endpoint = binary, data, f"127.0.0.1:{port}"
        self.environment = {**os.environ, "LEDGERMQ_DISK__SPARE_BYTES": "0"}
        flags = ["--access"] if access else []
        started = self.run_on(NODES, "local", "start", "--nodes", "1", "--detach", "--data", data, "--base-port", str(port), *flags)
        self.pid = started["nodes"][0]["pid"]
        if access:
            self.environment["LEDGERMQ_ACCESS_KEY"] = "admin"
            self.environment["LEDGERMQ_SECRET_KEY_FILE"] = f"{data}/access/admin-secret"
        self.client("topic", "create", "bench")
        if access:
            secret = self.client("user", "create", "sender")["secret_key"]
            for number in range(rules - 1):
                self.client("acl", "create", "sender", "--resource", f"topic:other-{number}*", "--actions", "publish")
            self.client("acl", "create", "sender", "--resource", "topic:bench", "--actions", "publish,create")
            self.environment |= {"LEDGERMQ_ACCESS_KEY": "sender", "LEDGERMQ_SECRET_KEY": secret}
            del self.environment["LEDGERMQ_SECRET_KEY_FILE"]

    def run_on(self, processors, *arguments):
        """Runs the command, and what it starts, on these processors only."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, processors)
        try:
            return self.run(*arguments)
        finally:
            os.sched_setaffinity(0, before)

    def run(self, *arguments):
        command = [self.binary, *arguments, "-o", "json"]
        return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=self.environment).stdout)

    def client(self, *arguments):
        return self.run(*arguments, "--endpoint", self.endpoint)

    def round(self, seconds):
        """Microseconds of processor that the node used for a send, and sends a second."""
        used = cpu_seconds(self.pid)
        report = self.run_on(CLIENT, "bench", "send", "--topic", "bench", "--seconds", str(seconds), "--warm-up", "0", "--endpoint", self.endpoint)
        used = cpu_seconds(self.pid) - used
        return used * 1e6 / report["messages"], report["messages"] / seconds

    def stop(self):
        subprocess.run([self.binary, "local", "stop", "--data", self.data], stdout=subprocess.DEVNULL, check=False)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=5, help="of one round")
    arguments.add_argument("--rules", type=int, default=20, help="of the user that sends")
    arguments.add_argument("--port", type=int, default=38081)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledgermq-access-cost-") as data:
        nodes = []
        try:
            for access in (False, True):
                port = options.port + 100 * len(nodes)
                nodes.append(Node(options.binary, f"{data}/{port}", port, access, options.rules))
                nodes[-1].round(options.seconds)
            found = ([], [])
            for number in range(options.rounds):
                for which in (0, 1) if number % 2 else (1, 0):
                    found[which].append(nodes[which].round(options.seconds))
                print(f"round {number + 1}: {found[0][-1][0]:.1f} and {found[1][-1][0]:.1f} us a send", file=sys.stderr, flush=True)
        finally:
            for node in nodes:
                node.stop()
    for what, name in enumerate(("processor time a send", "sends a second")):
        ratios = [with_it[what] / without[what] for without, with_it in zip(*found)]
        low, median, high = statistics.quantiles(ratios, n=4)
        print(f"{name}, with access control over without: median {median:.4f}, quartiles {low:.4f} to {high:.4f}, of {len(ratios)} pairs")
    for which, name in enumerate(("without", "with")):
        print(f"{name}: {statistics.median(it[0] for it in found[which]):.2f} us and {statistics.median(it[1] for it in found[which]):.0f} sends a second")


if __name__ == "__main__":
    main()
