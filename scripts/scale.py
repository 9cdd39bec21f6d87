#!/usr/bin/env python3
"""What a lot of something costs a broker: rates beside an empty one, memory, and the time to start.

Two nodes of one replica each run side by side, one empty and one that holds the lot. Their rates are
measured in turn, so that what else goes on in the machine hits both. Example:

    scripts/scale.py --binary target/release/ledgermq --data /var/tmp/scale timers leases
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

ROUNDS = 5
SECONDS = 5
START_SECONDS_MAX = 600
EXIT_NOTHING = 3
READY = "is ready"
MIB = 1 << 20


class Node:
    """One `ledgermq dev` with a data directory of its own."""

    def __init__(self, binary, data, port):
        self.binary, self.data, self.port = binary, data, port
        self.start_seconds = self.start()

    def start(self):
        """Starts the process; how long until it served, in seconds."""
        command = [self.binary, "dev", "--data", self.data, "--bind", f"127.0.0.1:{self.port}"]
        self.log = open(self.data + ".log", "ab")
        began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        for text in self.process.stdout:
            if READY in text:
                return time.monotonic() - began
        sys.exit(f"the node of {self.data} ended while it started: see {self.data}.log")

    def kill(self):
        """As a power failure of the process alone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def restart(self):
        self.kill()
        return self.start()

    def memory_mib(self):
        """Resident memory that belongs to no file."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            fields = dict(line.split(":", 1) for line in status)
        return int(fields["RssAnon"].split()[0]) / 1024

    def written_bytes(self):
        """What the process had the disk write, since it started."""
        with open(f"/proc/{self.process.pid}/io", encoding="ascii") as io:
            fields = dict(line.split(":", 1) for line in io)
        return int(fields["write_bytes"])

    def cpu_seconds(self):
        """What the process used of the CPU, since it started."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, *args, nothing=False):
        """A command of ours at this node; its JSON."""
        command = [self.binary, *args, "--endpoint", f"127.0.0.1:{self.port}", "-o", "json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0 and not (nothing and done.returncode == EXIT_NOTHING):
            sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def bench(self, what, *args):
        report = self.run("bench", what, *args)
        if report["errors"]:
            print(f"  {report['errors']} errors: {report.get('last_error')}", file=sys.stderr)
        return report

    def send_many(self, count, *args):
        """Fills at full speed, with progress."""
        say(f"  filling with {count:,} ...")
        began = time.monotonic()
        self.bench("send", "--messages", str(count), "--warm-up", "0", "--batch", "32", "--in-flight", "64", "--size", "100", *args)
        say(f"  filled in {time.monotonic() - began:.0f} s")


def say(text):
    print(text, file=sys.stderr, flush=True)


def rates(node, tag):
    """Single sends, batched sends, and receiving what was sent, with its acknowledgement: messages a second,
    and microseconds of CPU that the node used for each."""
    common = ["--topic", f"hot-{tag}", "--seconds", str(SECONDS), "--warm-up", "0"]
    runs = [["send"], ["send", "--batch", "32", "--size", "100", "--in-flight", "64"], ["receive"]]
    found = []
    for run in runs:
        used = node.cpu_seconds()
        report = node.bench(*run, *common)
        used = node.cpu_seconds() - used
        found.append((report["messages_per_second"], 1e6 * used / report["messages"]))
    return found


def compare(empty, full):
    """The rates of both in turn; means of each, and the share of the one in the other."""
    pairs = []
    for number in range(ROUNDS):
        order = [empty, full] if number % 2 == 0 else [full, empty]
        found = {id(node): rates(node, number) for node in order}
        pairs.append((found[id(empty)], found[id(full)]))
        show = lambda found: ", ".join(f"{rate:.0f}/s {cpu:.1f} us" for rate, cpu in found)
        say(f"  round {number + 1} of {ROUNDS}: empty {show(pairs[-1][0])}; full {show(pairs[-1][1])}")
    result = {}
    for at, name in enumerate(("single_send", "batched_send", "receive_ack")):
        mean = lambda side, figure: statistics.mean(pair[side][at][figure] for pair in pairs)
        result[name] = {
            "empty_per_second": round(mean(0, 0)),
            "full_per_second": round(mean(1, 0)),
            "share": round(mean(1, 0) / mean(0, 0), 3),
            "empty_cpu_us": round(mean(0, 1), 2),
            "full_cpu_us": round(mean(1, 1), 2),
        }
    return result


def queues(node, count):
    """Queues with a message in nearly each."""
    each = 4096
    topics = -(-count // each)
    for number in range(topics):
        node.run("topic", "create", f"wide-{number}", "--queues", str(each))
    for number in range(topics):
        node.bench("send", "--topic", f"wide-{number}", "--messages", str(4 * each), "--warm-up", "0", "--batch", "1", "--size", "100")


FILLS = {
    "queues": (100_000, queues),
    "backlog": (100_000_000, lambda node, count: node.send_many(count, "--topic", "backlog")),
    "timers": (1_000_000, lambda node, count: node.send_many(count, "--topic", "far", "--delay", "12h")),
    "half": (100_000, lambda node, count: node.send_many(count, "--transaction", "--topic", "half")),
    "lite": (1_000_000, lambda node, count: node.send_many(count, "--lite-topics", str(count), "--topic", "lite")),
    "leases": (100_000, lambda node, count: leases(node, count)),
}


def leases(node, count):
    """Messages that a consumer holds for an hour."""
    node.send_many(count, "--topic", "leased")
    node.bench("receive", "--topic", "leased", "--hold", "1h", "--messages", str(count), "--warm-up", "0")


HOLD_SECONDS = 15
SETTLE_SECONDS_MAX = 120


def way_of(kind, node, count, size):
    """Takes `count` messages of `size` bytes the whole way of their kind."""
    topic, common = f"way-{kind}", ["--topic", f"way-{kind}", "--warm-up", "0"]
    many = ["--messages", str(count), "--batch", "32", "--in-flight", "64", "--size", str(size)]
    drain = ["receive", "--seconds", "300", *common]
    hold = ["receive", "--hold", f"{HOLD_SECONDS}s", "--messages", str(count), *common]
    if kind == "delayed":
        node.bench("send", "--delay", f"{HOLD_SECONDS}s", *many, *common)
        time.sleep(HOLD_SECONDS)
    elif kind == "transactional":
        node.bench("send", "--transaction", "--commit", "--messages", str(count), "--size", str(size), *common)
    else:
        node.bench("send", *many, *common)
    if kind == "dead-lettered":
        node.run("group", "create", topic, "--max-attempts", "1")
        node.bench(*hold)
        time.sleep(HOLD_SECONDS)
        # A poll finds that their one attempt was in vain.
        node.run("receive", topic, "--group", topic, "--max", "1", "--wait", "1s", nothing=True)
        return letters(node, topic, count)
    if kind == "retried":
        node.bench(*hold)
        time.sleep(HOLD_SECONDS)
    return node.bench(*drain)["messages"]


def letters(node, group, count):
    """Waits until so many messages are dead letters; how many there are."""
    began = time.monotonic()
    while time.monotonic() - began < SETTLE_SECONDS_MAX:
        queues = node.run("topic", "describe", f"%DLQ%{group}")["queues"]
        found = sum(queue["next_offset"] - queue["first_offset"] for queue in queues)
        if found >= count:
            break
        time.sleep(1)
    return found


def log_bytes(binary, log):
    """How far a log goes."""
    done = subprocess.run([binary, "log", "inspect", log, "-o", "json"], stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)["logs"][0]["durable"]


def measure_bytes(args):
    """Bytes that the disk wrote for each byte of a body, sent, received and acknowledged; one replica."""
    count = args.count or 200_000
    for kind in ("normal", "delayed", "transactional", "retried", "dead-lettered"):
        shutil.rmtree(args.data, ignore_errors=True)
        os.makedirs(args.data)
        node = Node(args.binary, os.path.join(args.data, "node"), args.port)
        try:
            before = node.written_bytes()
            came = way_of(kind, node, count, args.size)
            # The tables are written behind the log, every few seconds.
            time.sleep(HOLD_SECONDS)
            written = node.written_bytes() - before
        finally:
            node.kill()
        log = log_bytes(args.binary, os.path.join(args.data, "node", "groups", "g1", "log"))
        result = {"what": "bytes", "kind": kind, "count": count, "came": came, "size": args.size,
                  "written_per_body_byte": round(written / (count * args.size), 3),
                  "log_per_body_byte": round(log / (count * args.size), 3)}
        print(json.dumps(result), flush=True)
    shutil.rmtree(args.data)


def measure(args, name):
    count, fill = FILLS[name]
    count = args.count or count
    say(f"{name}: {count:,}")
    shutil.rmtree(args.data, ignore_errors=True)
    os.makedirs(args.data)
    empty = Node(args.binary, os.path.join(args.data, "empty"), args.port)
    full = Node(args.binary, os.path.join(args.data, "full"), args.port + 10)
    try:
        began, before = time.monotonic(), full.memory_mib()
        fill(full, count)
        filled = time.monotonic() - began
        after = full.memory_mib()
        result = {"what": name, "count": count, "fill_seconds": round(filled), "memory_before_mib": round(before), "memory_mib": round(after)}
        result["start_after_kill_seconds"] = round(full.restart(), 2)
        result["memory_after_start_mib"] = round(full.memory_mib())
        if not args.no_rates:
            result |= compare(empty, full)
            result["memory_under_load_mib"] = {"empty": round(empty.memory_mib()), "full": round(full.memory_mib())}
    finally:
        empty.kill()
        full.kill()
    shutil.rmtree(args.data)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=sorted([*FILLS, "bytes"]), help="what there is a lot of; bytes: what the disk writes")
    parser.add_argument("--binary", required=True, help="ledgermq")
    parser.add_argument("--data", required=True, help="a directory that may be removed: it is, before and after")
    parser.add_argument("--port", type=int, default=28481, help="of the first node; the second has 10 more")
    parser.add_argument("--count", type=int, help="instead of the usual number")
    parser.add_argument("--size", type=int, default=1024, help="of a body, for `bytes`")
    parser.add_argument("--no-rates", action="store_true", help="memory and start only")
    args = parser.parse_args()
    for name in args.what:
        if name == "bytes":
            measure_bytes(args)
            continue
        print(json.dumps(measure(args, name)), flush=True)


if __name__ == "__main__":
    main()
