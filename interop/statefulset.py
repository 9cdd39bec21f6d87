"""Plays the life of a StatefulSet under the load of official clients: nothing fails, nothing is lost, nothing stands still.

    python3 statefulset.py [--binary PATH] [--previous PATH] [--language NAME]... [--keep]

All pods start at once; one is killed, one is told to end, one comes back at another address, one without its volume; three
become five, all are restarted in turn, five become three. With --previous the cluster begins with that binary, and is
upgraded while it works. Needs root, `ip` and `dnsmasq`. Exit 0: everything held. 1: a check found something. 2: the run
itself could not be done.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import checks
import clients
from cluster import ClusterError
from pods import Network, Pods
from run import default_binary, is_ready, say, streams, wait_until

PODS = 5
# Few enough for simple consumers, which take messages one by one, to keep up for minutes.
RATE = 12
# What nobody may have to wait for longer, whatever is done to the cluster on purpose (milliseconds).
GAP_MAX_MS = 300
# A crash is noticed and mended within this.
CRASH_GAP_MAX_MS = 700
# A node without its volume is whole again after its data at 100 MB/s and this.
REBUILT_SECONDS = 30
# gRPC looks a name up again no sooner than this after the last time, whatever happens to its connections. So whoever moves
# all pods must let so much time pass between two (`minReadySeconds` of a StatefulSet), and so do we.
NAME_KEPT_SECONDS = 31
INSIDE = "LEDGERMQ_STATEFULSET_INSIDE"


class Life:
    """What happens, step by step; each is remembered with its time."""

    def __init__(self, pods, previous):
        self.pods, self.previous, self.steps, self.size = pods, previous, [], 3
        self.killed_ns = None

    def step(self, name, is_crash, action):
        begun, at_ns = time.monotonic(), time.time_ns()
        action()
        at_ns = self.killed_ns if is_crash else at_ns
        self.steps.append((name, is_crash, checks.Kill(name, at_ns, time.time_ns())))
        say(f"{name}: {time.monotonic() - begun:.1f} s")
        time.sleep(1.5)

    def whole(self):
        self.pods.until_whole(range(self.size))

    def found(self):
        """All at once, as Parallel management starts them."""
        for number in range(self.size):
            self.pods.start(number, binary=self.previous)
        for number in range(self.size):
            self.pods.until_ready(number)
        self.whole()

    def again(self, number, anew=False):
        """Starts a pod, and waits as long as a StatefulSet does before it goes on."""
        self.pods.start(number, anew)
        self.pods.until_ready(number)
        self.whole()
        if anew:
            time.sleep(NAME_KEPT_SECONDS)

    def kill(self, number):
        self.killed_ns = time.time_ns()
        self.pods.kill(number)

    def killed(self):
        leader = self.pods.leader()
        self.kill(leader)
        time.sleep(1.5)
        self.again(leader)

    def terminated(self):
        leader = self.pods.leader()
        self.pods.terminate(leader)
        self.again(leader)

    def moved(self):
        leader = self.pods.leader()
        self.pods.terminate(leader)
        self.again(leader, anew=True)

    def volume_lost(self):
        number = self.pods.leader()
        before = {node["id"] for node in self.pods.status()["nodes"]}
        held = sum(file.stat().st_blocks * 512 for file in self.pods.volume(number).rglob("*") if file.is_file())
        self.kill(number)
        self.pods.lose_volume(number)
        begun = time.monotonic()
        self.again(number, anew=True)
        took, bound = time.monotonic() - begun - NAME_KEPT_SECONDS, held / 100e6 + REBUILT_SECONDS
        after = {node["id"] for node in self.pods.status()["nodes"]}
        say(f"a full voter again after {took:.1f} s with {held / 1e6:.0f} MB; at most {bound:.0f} s were set")
        if took > bound * self.pods.slow:
            raise ClusterError(f"a node that lost {held} bytes took {took:.1f} s to be whole")
        if len(after - before) != 1 or len(before - after) != 1:
            raise ClusterError(f"the lost node was not replaced by a new one: {before} became {after}")

    def grown(self):
        self.size = 5
        for number in (3, 4):
            self.pods.start(number)
        for number in (3, 4):
            self.pods.until_ready(number)
            self.pods.run("cluster", "add-node", self.pods.name(number), timeout=120)
        self.whole()

    def rolled(self):
        for number in reversed(range(self.size)):
            self.pods.terminate(number)
            self.again(number, anew=True)

    def shrunk(self):
        for number in (4, 3):
            self.pods.run("cluster", "remove-node", self.pods.name(number), "--yes", timeout=120)
            self.size -= 1
            self.pods.forget(number)
            self.pods.processes.pop(number).wait(30 * self.pods.slow)
        self.whole()

    def live(self):
        if self.previous:
            self.step("rolling upgrade", False, self.rolled)
        self.step("leader killed", True, self.killed)
        self.step("leader told to end", False, self.terminated)
        self.step("leader at another address", False, self.moved)
        self.step("leader without its volume", True, self.volume_lost)
        self.step("three to five", False, self.grown)
        self.step("rolling restart of five", False, self.rolled)
        self.step("five to three", False, self.shrunk)


def run_language(language, life, work):
    topics, groups, producing, consuming, audit = streams(language)
    pods = life.pods
    for topic, kind in topics.items():
        pods.create_topic(topic, kind)
    for group, fifo in groups.items():
        pods.create_group(group, fifo)
    programs = []

    def start(name, specs):
        programs.append(clients.Program(language, name, work, pods.endpoint, RATE, specs, {}))
        wait_until(lambda: is_ready(programs[-1]), 30 * pods.slow)
        return programs[-1]

    try:
        consumers, producers = start("consumers", consuming), start("producers", producing)
        say(f"{language.name}: {len(producing)} producers and {len(consuming)} consumers run")
        life.live()
        sent = producers.close(60 * pods.slow)
        auditors = start("audit", audit)
        wait_until(lambda: not any(checks.acked_is_delivered(sent + consumers.events() + auditors.events())), 120 * pods.slow)
        events = sent + consumers.close(60 * pods.slow) + auditors.close(60 * pods.slow)
    finally:
        for program in programs:
            if program.process.poll() is None:
                program.process.kill()
                program.process.wait()
    return events, producing + consuming + audit


def gaps(events, life):
    """The longest gap between acknowledged sends of any stream in each step, and what is too long."""
    too_long = []
    for name, is_crash, kill in life.steps:
        acked = sorted(event["end_ns"] for event in checks.acked(events))
        worst = longest_gap_ms(acked, kill)
        bound = (CRASH_GAP_MAX_MS if is_crash else GAP_MAX_MS) * life.pods.slow
        print(f"  {name}: longest gap between acknowledged sends {worst:.0f} ms (at most {bound:.0f})")
        if worst > bound:
            too_long.append(f"{name}: {worst:.0f} ms without an acknowledged send, at most {bound:.0f}")
    return too_long


def longest_gap_ms(times, kill):
    within = [at for at in times if kill.at_ns - 200_000_000 <= at <= kill.up_ns]
    return max(((later - earlier) / 1e6 for earlier, later in zip(within, within[1:])), default=float("nan"))


def live_inside(options, network, slow):
    work = pathlib.Path(tempfile.mkdtemp(prefix="ledgermq-statefulset-"))
    failed = 1
    pods = None
    try:
        pods = Pods(network, pathlib.Path(options.binary).resolve(), work, slow)
        passed = 0
        languages = [language for language in clients.LANGUAGES if language.name in (options.language or ["python"])]
        failed = 0
        for language in languages:
            life = Life(pods, options.previous)
            if not passed and not failed:
                life.step("parallel first start", False, life.found)
            life.steps.clear()
            events, expected = run_language(language, life, work)
            crashes = [kill for _, is_crash, kill in life.steps if is_crash]
            restarts = [checks.Restart(name, kill.at_ns, kill.up_ns) for name, is_crash, kill in life.steps if not is_crash]
            found = checks.violations(events, crashes, restarts, expected, language.never_retries, len(crashes))
            sentences = [f"{name}: {sentence}" for name, all_ in found.items() for sentence in all_]
            sends = checks.of(events, "send")
            print(f"{language.name}: {len(sends)} sends, {sum(not send['ok'] for send in sends)} failed, "
                  f"{len(checks.of(events, 'deliver'))} deliveries")
            sentences += gaps(events, life)
            for sentence in sentences[:20]:
                print(f"  VIOLATED: {sentence[:400]}")
            passed, failed = (passed, failed + 1) if sentences else (passed + 1, failed)
        print(f"statefulset: {passed} passed, {failed} failed")
        return 1 if failed else 0
    except (ClusterError, subprocess.SubprocessError) as error:
        failed = 1
        print(f"the run could not be done: {error}", file=sys.stderr)
        return 2
    finally:
        if pods:
            pods.stop()
        if failed or options.keep:
            print(f"histories and data are in {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(default_binary()), help="the ledgermq binary (default: the release build)")
    parser.add_argument("--previous", help="begin with this binary, and upgrade")
    parser.add_argument("--language", action="append", help="clients of this language (default: python); may be repeated")
    parser.add_argument("--keep", action="store_true", help="keep histories and data also when all is well")
    return parser.parse_args()


def main():
    options = parse()
    slow = float(os.environ.get("LEDGERMQ_SLOW", "1"))
    if not pathlib.Path(options.binary).exists():
        print(f"{options.binary} is not there: run `make build` first", file=sys.stderr)
        return 2
    inside = os.environ.get(INSIDE)
    if inside:
        network = Network(PODS)
        network.prefix = inside
        network.switch, network.client = f"{inside}-sw", f"{inside}-cl"
        network.pods = [f"{inside}-{number}" for number in range(PODS)]
        return live_inside(options, network, slow)
    lacking = [tool for tool in ("ip", "dnsmasq") if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None]
    if os.geteuid() != 0 or lacking:
        print(f"\n*** SKIPPED: the life of a StatefulSet: {'no ' + ', '.join(lacking) if lacking else 'not root'}\n", file=sys.stderr)
        return 2 if os.environ.get("CI") == "true" else 0
    for language in clients.LANGUAGES:
        if language.name in (options.language or ["python"]):
            clients.prepare(language)
    network = Network(PODS)
    try:
        network.make()
        # Everything else happens where the clients are: names mean there what they mean to pods.
        command = ["ip", "netns", "exec", network.client, sys.executable, "-B", *sys.argv]
        return subprocess.run(command, env={**os.environ, INSIDE: network.prefix}, check=False).returncode
    finally:
        network.remove()


if __name__ == "__main__":
    sys.exit(main())
