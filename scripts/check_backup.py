"""Backs up a cluster of three real nodes under load, to a directory and to a server that speaks S3, restores it into new
clusters, and compares them message by message.

    python3 check_backup.py --binary PATH --tools DIR [--keep]

`make check-backup` runs it. DIR gets a Python environment with moto's S3 server, unless it is there. Exit 0: everything
held. 1: a check found something. 2: the run itself could not be done.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import venv

BEGAN = time.monotonic()
S3_PACKAGE = "moto[s3,server]==5.2.5"
BUCKET = "backups"
SOURCE_PORT, DIRECTORY_PORT, S3_PORT, ONE_NODE_PORT = 9281, 9381, 9481, 9581
QUEUES = 4
BULK_BYTES, BULK_LOG_BYTES = 65536, 140 << 20
# Wide enough for a message to wait still when the backups are taken, on two cores that have more to do.
DUE_SECONDS = 200


class Failed(Exception):
    """A check found something."""


def say(text):
    print(f"{time.monotonic() - BEGAN:6.1f} s  {text}", flush=True)


def check(holds, what):
    if not holds:
        raise Failed(what)


# However full the disk of this machine is.
ENVIRONMENT = {"LEDGERMQ_DISK__SPARE_BYTES": "0"}


class Cluster:
    """A cluster of `ledgermq local`."""

    def __init__(self, binary, data, port):
        self.binary, self.data, self.port = binary, data, port

    def run(self, *arguments, code=0, environment=None):
        """Runs a command and returns what it printed; its exit code must be `code`."""
        command = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT, **(environment or {})})
        if done.returncode != code:
            raise Failed(f"{' '.join(command)} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
        return done.stdout if code == 0 else done.stderr

    def ask(self, *arguments, **how):
        """The same against this cluster, as JSON; a list if it prints several lines."""
        said = self.run(*arguments, "--endpoint", f"127.0.0.1:{self.port}", "-o", "json", **how)
        values = [json.loads(line) for line in said.splitlines()]
        return values[0] if len(values) == 1 else values

    def start(self, *arguments):
        self.run("local", "start", "--data", self.data, "--detach", "-o", "json", *arguments)

    def stop(self):
        subprocess.run([self.binary, "local", "stop", "--data", self.data], capture_output=True)

    def messages(self, topic):
        """Every message of every queue: {queue: [(offset, id, body), ...]}."""
        found = {}
        for state in self.ask("topic", "describe", topic)["queues"]:
            queue, offset, end = state["queue"], state["first_offset"], state["next_offset"]
            listed = []
            while offset < end:
                page = self.ask("message", "query", topic, "--queue", queue, "--offset", offset, "--limit", 500)
                listed += [(it["offset"], it["message_id"], it["body"]) for it in page["messages"]]
                check(listed and listed[-1][0] >= offset, f"{topic}: nothing at queue {queue} offset {offset}")
                offset = listed[-1][0] + 1
            found[queue] = listed
        return found

    def progress(self, group):
        """Where a consumer group is: {(topic, queue): (settled, next, in flight)}."""
        queues = self.ask("group", "describe", group)["queues"]
        return {
            (it["topic"], it["queue"]): (it["settled_offset"], it["next_offset"], it["in_flight"]) for it in queues
        }

    def transactions(self):
        return sorted(it["message_id"] for it in self.ask("transaction", "list")["transactions"])


class Load:
    """Sends and receives until it is told to stop; what was acknowledged is written down."""

    def __init__(self, cluster):
        self.cluster, self.stopping, self.sent, self.failure = cluster, threading.Event(), {}, None
        self.threads = [threading.Thread(target=self.keep, args=(work,)) for work in (self.send, self.receive)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def keep(self, work):
        round_ = 0
        while not self.stopping.is_set():
            round_ += 1
            try:
                work(round_)
            except Failed as error:
                self.failure = error
                return

    def send(self, round_):
        # Topics are made all the time: whatever messages are in a backup, their topics must be in it too.
        self.cluster.ask("topic", "create", f"made-{round_}", "--queues", 1)
        self.cluster.ask("send", f"made-{round_}", "--body", f"of made-{round_}")
        answer = self.cluster.ask("send", "orders", "--body", f"load {round_} of {{i}}", "--count", 40)
        self.sent[round_] = answer

    def receive(self, _):
        endpoint = ["--endpoint", f"127.0.0.1:{self.cluster.port}"]
        command = [self.cluster.binary, "receive", "orders", "--group", "loaded", "--max", "50", "--wait", "1s"]
        subprocess.run([*command, *endpoint], capture_output=True)


class S3Server:
    """moto's, as a process of its own."""

    def __init__(self, tools):
        self.python = tools / "bin" / "python"
        if not (tools / "bin" / "moto_server").exists():
            say("installing a server that speaks S3")
            venv.create(tools, with_pip=True)
            subprocess.run([self.python, "-m", "pip", "install", "-q", S3_PACKAGE], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [tools / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "check", "AWS_SECRET_ACCESS_KEY": "check",
        }
        for _ in range(300):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    break
            except OSError:
                time.sleep(0.1)
        script = (
            "import boto3\n"
            f"boto3.client('s3', endpoint_url='http://127.0.0.1:{self.port}').create_bucket(Bucket='{BUCKET}')\n"
        )
        environment = {**os.environ, **self.environment, "AWS_DEFAULT_REGION": "us-east-1"}
        subprocess.run([self.python, "-c", script], check=True, env=environment)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def hold(source):
    """Leases some messages for an hour, and ends without settling them or giving them back."""
    endpoint = ["--endpoint", f"127.0.0.1:{source.port}"]
    command = [source.binary, "receive", "orders", "--group", "holder", "--max", "1000", "--invisible", "1h", "--no-ack"]
    process = subprocess.Popen([*command, "--wait", "60s", *endpoint], stdout=subprocess.DEVNULL)
    deadline = time.time() + 30
    while time.time() < deadline and not any(it[2] for it in source.progress("holder").values()):
        time.sleep(0.1)
    process.kill()
    process.wait()


def fill(source):
    """More than one part of a log has, and than goes to a bucket in one piece."""
    source.ask("topic", "create", "bulk", "--queues", 1)
    while end_of(source, "bulk") * BULK_BYTES < BULK_LOG_BYTES:
        source.ask("bench", "send", "--topic", "bulk", "--size", BULK_BYTES, "--in-flight", 16, "--seconds", 2)


def end_of(cluster, topic):
    return sum(it["next_offset"] for it in cluster.ask("topic", "describe", topic)["queues"])


def prepare(source):
    """Messages of every kind, some of them on their way."""
    fill(source)
    for topic, kind in (("orders", "mixed"), ("later", "delay"), ("halves", "transaction")):
        source.ask("topic", "create", topic, "--queues", QUEUES, "--type", kind)
    for group in ("reader", "loaded", "holder"):
        source.ask("group", "create", group)
    source.ask("send", "orders", "--body", "first {i}", "--count", 300)
    source.run("receive", "orders", "--group", "reader", "--max", 120, "--wait", "5s", "--endpoint", f"127.0.0.1:{source.port}")
    hold(source)
    due = time.time() + DUE_SECONDS
    source.ask("send", "later", "--body", "due soon", "--delay", f"{DUE_SECONDS}s")
    source.ask("send", "later", "--body", "due tomorrow", "--delay", "24h")
    source.ask("send", "halves", "--body", "undecided", "--transaction", "leave-open")
    return {"due": due, "holder": source.progress("holder"), "reader": source.progress("reader"),
            "transactions": source.transactions(), "bulk": end_of(source, "bulk")}


def compare(name, source_messages, before, restored, known):
    """The restored cluster holds what was there before the backup, and what it holds besides is what came next."""
    found = restored.messages("orders")
    check(found.keys() == source_messages.keys(), f"{name}: queues {sorted(found)}")
    more = 0
    for queue, listed in found.items():
        source = source_messages[queue]
        check(listed == source[: len(listed)], f"{name}: queue {queue} does not hold what the source has")
        check(len(listed) >= before[queue], f"{name}: queue {queue} has {len(listed)} of {before[queue]} messages")
        more += len(listed) - before[queue]
    check(restored.progress("reader") == known["reader"], f"{name}: the reader is elsewhere")
    holder = restored.progress("holder")
    check(holder == known["holder"], f"{name}: leases are {holder}, not {known['holder']}")
    check(any(flight for _, _, flight in holder.values()), f"{name}: nothing is leased")
    check(end_of(restored, "bulk") == known["bulk"], f"{name}: bulk ends at {end_of(restored, 'bulk')}")
    check(restored.transactions() == known["transactions"], f"{name}: half messages {restored.transactions()}")
    total = sum(map(len, found.values()))
    say(f"{name}: {total} messages are equal, {more} of them sent while the backup was taken")


def goes_on(name, restored, known):
    """Delayed messages come when they are due and not before; what is sent comes behind what was there."""
    early = time.time() < known["due"] - 1
    states = {it["queue"]: it["next_offset"] for it in restored.ask("topic", "describe", "later")["queues"]}
    check(not (early and any(states.values())), f"{name}: a delayed message is early")
    deadline = time.time() + max(0, known["due"] - time.time()) + 60
    while time.time() < deadline:
        bodies = [body for listed in restored.messages("later").values() for _, _, body in listed]
        if bodies:
            break
        time.sleep(0.5)
    check(bodies == ["due soon"], f"{name}: of the delayed messages came {bodies}")
    ends = {it["queue"]: it["next_offset"] for it in restored.ask("topic", "describe", "orders")["queues"]}
    restored.ask("send", "orders", "--body", "after the restore", "--count", 8)
    restored.ask("topic", "create", "made-afterwards")
    after = {it["queue"]: it["next_offset"] for it in restored.ask("topic", "describe", "orders")["queues"]}
    check(sum(after.values()) == sum(ends.values()) + 8, f"{name}: 8 messages went from {ends} to {after}")
    digest = restored.ask("cluster", "digest", "--wait", "30s")
    check(all(it["verdict"] == "equal" for it in digest["groups"]), f"{name}: {digest}")
    say(f"{name}: it goes on, and its replicas are equal")


def ids_are_fresh(name, restored, made):
    """No topic that is made now gets an id that messages in the backup have."""
    for topic in (f"fresh-{number}" for number in range(made + 2)):
        restored.ask("topic", "create", topic, "--queues", 1)
        ends = restored.ask("topic", "describe", topic)["queues"]
        check(not any(it["next_offset"] for it in ends), f"{name}: the new topic {topic} has messages: {ends}")


def made_topics(name, restored, made):
    """Every topic that a restored cluster knows holds what was sent to it, or nothing yet."""
    known = {it["name"] for it in restored.ask("topic", "list")["topics"]}
    held = 0
    for topic in (f"made-{round_}" for round_ in range(1, made + 2)):
        bodies = [it[2] for listed in restored.messages(topic).values() for it in listed] if topic in known else []
        check(bodies in ([], [f"of {topic}"]), f"{name}: {topic} holds {bodies}")
        held += len(bodies)
    say(f"{name}: {held} topics that were made under load hold their message")


def with_older_meta(early, late, to):
    """A backup in which meta was taken before the messages: what a wrong order of the groups would make."""
    shutil.copytree(late, to)
    shutil.rmtree(to / "groups" / "meta")
    shutil.copytree(early / "groups" / "meta", to / "groups" / "meta")

    def manifest(of):
        return json.loads((of / "manifest.json").read_text().splitlines()[0])

    mixed = manifest(late)
    mixed["groups"][-1] = manifest(early)["groups"][-1]
    first = json.dumps(mixed)
    seal = json.dumps({"sha256": hashlib.sha256(first.encode()).hexdigest()})
    (to / "manifest.json").write_text(f"{first}\n{seal}\n")
    return to


def wrong_order_is_found(binary, scratch, early, late, made):
    """That the comparison would find a wrong order of the groups."""
    mixed = with_older_meta(early, late, scratch / "mixed")
    restored = Cluster(binary, scratch / "restored-mixed", ONE_NODE_PORT)
    restored.run("cluster", "restore", mixed, "--data", restored.data, "--nodes", 1, "--base-port", ONE_NODE_PORT)
    restored.start()
    try:
        ids_are_fresh("wrong order", restored, made)
    except Failed as found:
        say(f"found, as it must be: {found}")
        return
    finally:
        restored.stop()
    raise Failed("a backup whose meta is older than its messages looks like any other")


def flip(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def refusals(source, scratch, backup):
    """What must not be restored is refused in words, and changes nothing."""
    target = scratch / "refused"

    def refused(from_, words, code=1):
        said = source.run("cluster", "restore", from_, "--data", target, code=code)
        check(words in said, f"{words!r} is not in {said!r}")
        check(not any(target.glob("*/data/groups")), f"{words}: something was restored")
        say(f"refused: {said.strip()[:150]}")

    cut = scratch / "cut"
    shutil.copytree(backup, cut)
    (cut / "manifest.json").unlink()
    refused(cut, "was cut short")
    for pattern in ("groups/g1/log/*", "groups/g1/tables/*.sst", "groups/meta/tables/MANIFEST*", "manifest.json"):
        flipped = scratch / "flipped"
        shutil.rmtree(flipped, ignore_errors=True)
        shutil.copytree(backup, flipped)
        flip(sorted(flipped.glob(pattern))[0])
        refused(flipped, "is damaged")
    old = scratch / "old"
    shutil.copytree(backup, old)
    text = (old / "manifest.json").read_text().replace('"format":1', '"format":0', 1)
    (old / "manifest.json").write_text(text)
    refused(old, "has format 0, and this build reads format 1 only")
    (scratch / "nothing").mkdir()
    refused(scratch / "nothing", "there is no backup", code=3)

    said = source.run("cluster", "restore", backup, "--data", source.data, code=2)
    check("a cluster runs in" in said, said)
    config = source.data / "node1" / "node.toml"
    said = source.run("cluster", "restore", backup, "--config", config, code=1)
    check("is in use by another process" in said, said)
    (target / "node1" / "data" / "groups").mkdir(parents=True)
    said = source.run("cluster", "restore", backup, "--data", target, code=2)
    check("is not empty" in said, said)
    say("refused: a live cluster, and a directory that is not empty")
    said = source.run("cluster", "backup", backup, "--endpoint", f"127.0.0.1:{source.port}", code=2)
    check("holds a whole backup already" in said, said)


def cut_short_and_go_on(source, scratch):
    """A backup that is killed goes on where it stopped."""
    to = scratch / "resumed"
    command = [source.binary, "cluster", "backup", to, "--rate", "20MiB", "--endpoint", f"127.0.0.1:{source.port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 60
    while time.time() < deadline and len([it for it in to.glob("groups/*/log/*") if it.suffix == ""]) < 2:
        check(process.poll() is None, "the slow backup ended before it could be cut short")
        time.sleep(0.02)
    process.kill()
    process.wait()
    check(not (to / "manifest.json").exists(), "a backup that was killed has a manifest")
    saved = source.ask("cluster", "backup", to)
    check(saved["kept_bytes"] > 0, f"nothing of the first attempt was used: {saved}")
    check((to / "manifest.json").exists(), "no manifest")
    say(f"cut short and gone on: {saved['kept_bytes']} bytes were there, {saved['sent_bytes']} were sent")


def run(binary, tools, scratch):
    source = Cluster(binary, scratch / "source", SOURCE_PORT)
    clusters = [source]
    server = S3Server(tools)
    try:
        source.start("--nodes", 3, "--groups", 2, "--base-port", SOURCE_PORT)
        known = prepare(source)
        say("the source runs, with messages of every kind")
        directory, bucket, early = scratch / "backup", f"s3://{BUCKET}/nightly/one", scratch / "early"
        source.ask("cluster", "backup", early)
        with Load(source) as load:
            while len(load.sent) < 2 and not load.failure:
                time.sleep(0.1)
            before = {queue: len(listed) for queue, listed in source.messages("orders").items()}
            for place in (directory, bucket):
                saved = source.ask("cluster", "backup", place, "--rate", "40MiB", environment=server.environment)
                check([it["name"] for it in saved["groups"]][-1] == "meta", f"meta is not last: {saved}")
                check(all(it["node"] for it in saved["groups"]), f"{saved}")
                check(saved["bytes"] > BULK_LOG_BYTES, f"{place}: only {saved['bytes']} bytes")
                say(f"{place}: {saved['files']} files, {saved['bytes']} bytes in {saved['took_ms']} ms under load")
            rounds = len(load.sent)
        check(time.time() < known["due"], "the backups took so long that the delayed message did not wait any more")
        check(load.failure is None, f"the load met an error: {load.failure}")
        check(rounds > 2, "no load was there while the backup was taken")
        source_messages = source.messages("orders")
        cut_short_and_go_on(source, scratch)
        refusals(source, scratch, directory)
        source.stop()
        for name, place, port, nodes in (
            ("directory", directory, DIRECTORY_PORT, 3), ("bucket", bucket, S3_PORT, 3),
            ("one node", directory, ONE_NODE_PORT, 1),
        ):
            restored = Cluster(binary, scratch / f"restored-{port}", port)
            clusters.append(restored)
            restored.run(
                "cluster", "restore", place, "--data", restored.data, "--nodes", nodes, "--base-port", port,
                environment=server.environment,
            )
            restored.start()
            compare(name, source_messages, before, restored, known)
            made_topics(name, restored, rounds)
            ids_are_fresh(name, restored, rounds)
            goes_on(name, restored, known)
            restored.stop()
            for node in range(1, nodes + 1):
                restored.run("log", "check", restored.data / f"node{node}" / "data")
            say(f"{name}: every byte of its logs is as it was written")
        wrong_order_is_found(binary, scratch, early, directory, rounds)
    finally:
        server.stop()
        for cluster in clusters:
            cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, required=True)
    parser.add_argument("--tools", type=pathlib.Path, required=True)
    parser.add_argument("--keep", action="store_true", help="leave the directories")
    arguments = parser.parse_args()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="ledgermq-check-backup-"))
    try:
        run(arguments.binary.absolute(), arguments.tools.absolute(), scratch)
    except Failed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        print(f"the run could not be done: {error}", file=sys.stderr)
        return 2
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    say("everything held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
