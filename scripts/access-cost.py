#!/usr/bin/env python3
"""What access control costs: processor time for a single send, and sends a second.

Two nodes of one replica stand side by side, one of which controls access; they are loaded in turn, in short rounds. The user
has as many rules as are asked for, and the one that counts is the last. Example:

    scripts/access-cost.py --binary target/release/ledgermq --rounds 20
    scripts/access-cost.py --binary target/release/ledgermq --rounds 6 --seconds 6 --perf

Machines are noisy. With --perf (Linux perf, as root) it also tells how much of the time of a send is spent in what looks at headers
and rules, which is the same in a noisy round.
"""

import argparse
import json
import os
import re
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


# What finds out who signed and what he may, by the names of its functions; headers are found by `as_header_name`.
GATE = re.compile(r"api::access|raft::access|ring::|Caller::source|EdgeState::admit_client")
HEADERS = re.compile(r"as_header_name|MetadataValue|hpack|header::map|header::name")
PERF_HZ = 999


class Profile:
    """Where a process spends its time, by `perf`, over several rounds."""

    def __init__(self, pid, directory):
        self.pid, self.directory, self.files, self.sends = pid, directory, [], 0

    def record(self, seconds):
        self.files.append(f"{self.directory}/perf-{self.pid}-{len(self.files)}")
        command = ["perf", "record", "-q", "-F", str(PERF_HZ), "-p", str(self.pid), "-o", self.files[-1], "--", "sleep", str(seconds)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def per_send(self, pattern):
        """Microseconds of processor for a send in functions of such names."""
        samples = 0
        for file in self.files:
            command = ["perf", "report", "-i", file, "--stdio", "-F", "sample,sym", "--percent-limit", "0"]
            told = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True).stdout
            rows = re.findall(r"^\s*(\d+)\s+\[.\]\s+(.*)$", told, re.MULTILINE)
            samples += sum(int(count) for count, name in rows if pattern.search(name))
        return samples * 1e6 / PERF_HZ / self.sends


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

    def round(self, seconds, profile=None):
        """Microseconds of processor that the node used for a send, and sends a second."""
        recording = profile.record(seconds) if profile else None
        used = cpu_seconds(self.pid)
        report = self.run_on(CLIENT, "bench", "send", "--topic", "bench", "--seconds", str(seconds), "--warm-up", "0", "--endpoint", self.endpoint)
        used = cpu_seconds(self.pid) - used
        if recording:
            recording.wait()
            profile.sends += report["messages"]
        return used * 1e6 / report["messages"], report["messages"] / seconds

    def stop(self):
        subprocess.run([self.binary, "local", "stop", "--data", self.data], stdout=subprocess.DEVNULL, check=False)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=5, help="of one round")
    arguments.add_argument("--rules", type=int, default=20, help="of the user that sends")
    arguments.add_argument("--port", type=int, default=28281)
    arguments.add_argument("--perf", action="store_true", help="tell where the time of a send goes, too")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledgermq-access-cost-") as data:
        nodes = []
        try:
            for access in (False, True):
                port = options.port + 100 * len(nodes)
                nodes.append(Node(options.binary, f"{data}/{port}", port, access, options.rules))
                nodes[-1].round(options.seconds)
            found = ([], [])
            profiles = [Profile(node.pid, data) if options.perf else None for node in nodes]
            for number in range(options.rounds):
                for which in (0, 1) if number % 2 else (1, 0):
                    found[which].append(nodes[which].round(options.seconds, profiles[which]))
                print(f"round {number + 1}: {found[0][-1][0]:.1f} and {found[1][-1][0]:.1f} us a send", file=sys.stderr, flush=True)
            for name, pattern in (("signature and rules", GATE), ("headers", HEADERS), ("all", re.compile(""))) if options.perf else ():
                without, with_it = (profile.per_send(pattern) for profile in profiles)
                print(f"perf, {name}: {without:.2f} us a send without, {with_it:.2f} with")
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
