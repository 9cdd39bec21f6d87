"""Runs the five official clients against three nodes while the leader is killed again and again, with access control on;
and what else they can do with access control off as well.

    python3 run.py [--binary PATH] [--language NAME]... [--kills N] [--rolling-restarts N] [--keep]

Exit 0: everything held. 1: a check found something. 2: the run itself could not be done.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import checks
import clients
import features
from cluster import Cluster, ClusterError

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))
from free_ports import free_base_port  # pylint: disable=wrong-import-position

BEGAN = time.monotonic()
NODES = 3
# Few enough for two cores to carry nodes and clients, often enough that a gap shows.
RATE = 40
KILLS_PER_LANGUAGE = 6
# Every node in turn is told to stop (SIGTERM) and started again, as in an upgrade: no client of any language may see it.
ROLLING_RESTARTS_PER_LANGUAGE = 1
DOWN_SECONDS = 1.5
BETWEEN_KILLS_SECONDS = 1.5
SHOWN_PER_CHECK = 5
SHOWN_CHARACTERS = 300


def streams(language):
    """What a language runs: (topics, groups, producing streams, consuming streams, audit streams)."""
    name = language.name
    normal, fifo = f"{name}-normal", f"{name}-fifo"
    topics = {normal: "normal", fifo: "fifo"}
    producing = [f"produce:{mode}:normal:{normal}" for mode in language.modes] + [f"produce:sync:fifo:{fifo}"]
    groups = {}
    consuming = []

    def consumer(how, kind, topic, suffix, filter_="*"):
        group = f"{name}-{suffix}"
        groups[group] = kind == "fifo"
        return f"{how}:{kind}:{topic}:{group}:{filter_}"

    for how in language.consumers:
        consuming.append(consumer(how, "normal", normal, how))
        consuming.append(consumer(how, "fifo", fifo, f"fifo-{how}"))
    consuming.append(consumer(language.consumers[0], "normal", normal, "filter", checks.TAG_FILTER))
    for how in language.consumers:
        consuming.append(consumer(how, "normal", normal, f"sql-{how}", checks.SQL_FILTER))
    if language.priorities:
        priority = f"{name}-priority"
        topics[priority] = "priority"
        producing.append(f"produce:sync:priority:{priority}")
        for how in language.consumers:
            consuming.append(consumer(how, "priority", priority, f"priority-{how}"))
    audit = [consumer("simple", "normal", topic, f"audit-{kind}") for topic, kind in topics.items()]
    return topics, groups, producing, consuming, audit


def wait_until(condition, timeout):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def is_ready(program):
    settled = {event["stream"] for event in program.events() if event["op"] in ("ready", "died")}
    return settled.issuperset(program.streams) or program.process.poll() is not None


def say(text):
    print(f"[{time.monotonic() - BEGAN:4.0f} s] {text}", flush=True)


def run_language(language, cluster, work, options, slow, user):
    """Returns (events, kills, restarts, expected streams)."""
    topics, groups, producing, consuming, audit = streams(language)
    for topic, kind in topics.items():
        cluster.create_topic(topic, kind)
    for group, fifo in groups.items():
        cluster.create_group(group, fifo)

    programs = []

    def start(name, specs):
        programs.append(clients.Program(language, name, work, cluster.endpoint, RATE, specs, user))
        wait_until(lambda: is_ready(programs[-1]), 30 * slow)
        return programs[-1]

    try:
        consumers = start("consumers", consuming)
        producers = start("producers", producing)
        kills, restarts = [], []
        status = cluster.settle()
        say(f"{language.name}: {len(producing)} producers and {len(consuming)} consumers run")
        for number in range(options.kills):
            time.sleep(BETWEEN_KILLS_SECONDS)
            kill, status = cluster.fail_over(status, DOWN_SECONDS)
            kills.append(kill)
            gap = max(checks.gaps_ms(producers.events(), [kill])[0].values(), default=float("nan"))
            say(f"{language.name}: kill {number + 1} of {options.kills}: {kill.node}, longest gap {gap:.0f} ms")
        for _ in range(options.rolling_restarts):
            time.sleep(BETWEEN_KILLS_SECONDS)
            restarts += cluster.rolling_restart(status)
            names = ", ".join(restart.node for restart in restarts)
            say(f"{language.name}: told to stop, and started again: {names}")
        time.sleep(BETWEEN_KILLS_SECONDS)
        sent = producers.close(60 * slow)
        auditors = start("audit", audit)
        say(f"{language.name}: reading everything again")

        def missing():
            return any(checks.acked_is_delivered(sent + consumers.events() + auditors.events()))

        wait_until(lambda: not missing(), 60 * slow)
        events = sent + consumers.close(60 * slow) + auditors.close(60 * slow)
    finally:
        for program in programs:
            if program.process.poll() is None:
                program.process.kill()
                program.process.wait()
    return events, kills, restarts, producing + consuming + audit


def report(language, events, kills, found):
    gaps = [max(gap.values()) for gap in checks.gaps_ms(events, kills) if gap]
    sends, delivered = checks.of(events, "send"), checks.of(events, "deliver")
    failed = sum(not event["ok"] for event in sends)
    polls = sum(not event.get("ok", True) for op in ("receive", "ack") for event in checks.of(events, op))
    figures = f"p50 {statistics.median(gaps):.0f} ms, max {max(gaps):.0f} ms" if gaps else "none measured"
    print(f"{language.name}: {len(kills)} kills, {len(sends)} sends ({failed} failed), {len(delivered)} deliveries, "
          f"{polls} polls or acks met a dead node; longest gap between acks: {figures}")
    for name, sentences in found.items():
        print(f"  VIOLATED: {name}: {len(sentences)}")
        for sentence in sentences[:SHOWN_PER_CHECK]:
            print(f"    {sentence[:400]}")


def prepare(wanted, required):
    """Builds what the machine can; returns the languages that can run and the ones that cannot."""
    ready, skipped = [], []
    for language in clients.LANGUAGES:
        if wanted and language.name not in wanted:
            continue
        absent = clients.missing(language)
        if absent:
            skipped.append(language)
            print(f"{'MISSING' if required else 'SKIPPED'}: {language.name}: not on this machine: {', '.join(absent)}")
            continue
        say(f"preparing the official {language.name} client")
        clients.prepare(language)
        ready.append(language)
    return ready, skipped


def compare_descriptors():
    """The recorded facts of the protocol still are those of the installed package."""
    here = pathlib.Path(__file__).resolve().parent
    facts = here.parent / "proto" / "tests" / "official_client.facts"
    return subprocess.run([clients.PYTHON, here / "descriptors.py", "--check", facts], check=False).returncode == 0


def run_all(languages, cluster, work, options, slow):
    """Runs the languages one after the other; returns how many passed, and for each failure a sentence."""
    passed, failures, gaps = 0, [], []
    cluster.start(NODES)
    for language in languages:
        directory = work / language.name
        directory.mkdir()
        user = cluster.client_environment(language.name)
        lacking = features.problems(language, cluster, directory, slow, user)
        for sentence in lacking:
            print(f"VIOLATED: {sentence}")
        events, kills, restarts, expected = run_language(language, cluster, directory, options, slow, user)
        found = checks.violations(events, kills, restarts, expected, language.never_retries, options.kills)
        report(language, events, kills, found)
        gaps += checks.gaps_ms(events, kills)
        if found or lacking:
            sentences = lacking + [f"{name}: {each[0]}" for name, each in found.items()]
            failures.append(f"{language.name}: {'; '.join(sentence[:SHOWN_CHARACTERS] for sentence in sentences)}")
        else:
            passed += 1
    sentences = list(checks.gaps_are_short(gaps, slow)) if options.kills else []
    for sentence in sentences:
        print(f"VIOLATED: gaps are short: {sentence}")
    worst = sorted(max(gap.values()) for gap in gaps if gap)
    if worst:
        print(f"all languages: {len(worst)} kills, longest gap between acks: p50 {statistics.median(worst):.0f} ms, "
              f"max {worst[-1]:.0f} ms")
    if sentences:
        failures.append(f"gaps are short: {sentences[0]}")
    else:
        passed += 1
    return passed, failures


def run_open(languages, cluster, work, slow):
    """The features once more where access is not controlled, with clients that have no credentials; what did not hold."""
    failures = []
    cluster.start(NODES)
    for language in languages:
        directory = work / f"{language.name}-open"
        directory.mkdir()
        say(f"{language.name}: features, without access control")
        lacking = features.problems(language, cluster, directory, slow, {})
        failures += [f"{language.name} without access control: {sentence[:SHOWN_CHARACTERS]}" for sentence in lacking]
    return failures


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the ledgermq binary (default: the release build)")
    parser.add_argument("--language", action="append", help="only this one; may be repeated")
    parser.add_argument("--kills", type=int, default=KILLS_PER_LANGUAGE, help="leader kills a language")
    parser.add_argument("--rolling-restarts", type=int, default=ROLLING_RESTARTS_PER_LANGUAGE,
                        help="restarts of every node in turn, a language")
    parser.add_argument("--keep", action="store_true", help="keep histories and data also when all is well")
    parser.add_argument("--prepare-only", action="store_true", help="fetch and build the clients, run nothing")
    return parser.parse_args()


def default_binary():
    target = os.environ.get("CARGO_TARGET_DIR") or pathlib.Path(__file__).resolve().parent.parent / "target"
    return pathlib.Path(target) / "release" / "ledgermq"


def main():
    options = parse()
    slow = float(os.environ.get("LEDGERMQ_SLOW", "1"))
    required = os.environ.get("CI") == "true" and not options.language
    languages, skipped = prepare(options.language, required)
    if required and skipped:
        return 2
    if options.prepare_only:
        return 0
    if not compare_descriptors():
        return 1

    binary = pathlib.Path(options.binary or default_binary()).resolve()
    if not binary.exists():
        print(f"{binary} is not there: run `make build` first", file=sys.stderr)
        return 2
    work = pathlib.Path(tempfile.mkdtemp(prefix="ledgermq-interop-"))
    cluster = Cluster(binary, work / "data", free_base_port(NODES), slow, access=True)
    failures = ["not run to its end"]
    try:
        passed, failures = run_all(languages, cluster, work, options, slow)
        cluster.stop()
        cluster = Cluster(binary, work / "open", free_base_port(NODES), slow)
        lacking = run_open(languages, cluster, work, slow)
        passed, failures = passed + (not lacking), failures + lacking
        # Again, at the end: whoever has only the last lines of a log shall know what failed.
        for failure in failures:
            print(f"FAILED: {failure}")
        print(f"interop: {passed} passed, {len(failures)} failed, {len(skipped)} skipped")
        return 1 if failures else 0
    except (ClusterError, subprocess.SubprocessError) as error:
        print(f"the run could not be done: {error}", file=sys.stderr)
        return 2
    finally:
        cluster.stop()
        if failures or options.keep:
            print(f"histories and data are in {work}")
        else:
            subprocess.run(["rm", "-rf", "--", str(work)], check=False)


if __name__ == "__main__":
    sys.exit(main())
