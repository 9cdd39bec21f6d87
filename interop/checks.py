"""What must hold over a run's history. Each check returns sentences, one a violation.

A check is a function of events (the lines that the clients wrote, see README.md) and, where the
faults matter, of kills and restarts. `test_checks.py` plants a violation for each.
"""

import collections
import dataclasses
import statistics

TAG_FILTER = "a||b"
# The same messages, by SQL92. Clients take what follows "sql " as the expression.
SQL_FILTER = "sql TAGS IN ('a', 'b') AND n >= 0 AND origin IS NOT NULL"
GAP_P50_MS = 300
GAP_MAX_MS = 700
# A connection to a dead process is known as such after this: on loopback the reset comes at once.
NOTICED_NS = 50_000_000
# A client that has no core to run on learns of it later: when the first call fails that it had in flight then or
# began before that time, if that is within this.
NOTICED_MAX_NS = 1_000_000_000
# From that first failure until the client has let go of its other connections to the process.
LET_GO_NS = 5_000_000
# How a Rust client names a call that it did not send: its connection had just closed; or had just been told
# GOAWAY with NO_ERROR, after which h2 opens no further stream and hyper has not yet heard of it.
TAKEN_BACK = (
    "operation was canceled: connection closed",
    "http2 error: connection error received: not a result of an error",
)
# How far after the last kill its gap is looked for; a tenth of it before a kill.
WINDOW_NS = 10_000_000_000


@dataclasses.dataclass(frozen=True)
class Kill:
    """A leader's process, killed at `at_ns`; the node answered again at `up_ns` (wall clock)."""

    node: str
    at_ns: int
    up_ns: int


@dataclasses.dataclass(frozen=True)
class Restart:
    """A node that was told to stop at `from_ns`, and served again, with all settled, at `until_ns` (wall clock)."""

    node: str
    from_ns: int
    until_ns: int


def of(events, op):
    return [event for event in events if event["op"] == op]


def acked(events):
    return [event for event in of(events, "send") if event["ok"]]


def deliveries_by_stream(events):
    streams = collections.defaultdict(list)
    for event in of(events, "ready"):
        if not event["stream"].startswith("produce"):
            streams[event["stream"]]
    for event in of(events, "deliver"):
        streams[event["stream"]].append(event)
    return streams


def key_of(delivery):
    return delivery["keys"][0] if delivery["keys"] else None


def topic_of(stream):
    return stream.split(":")[3 if stream.startswith("produce") else 2]


def wants(stream, tag):
    """Whether a consumer stream subscribed to a tag."""
    filter_ = stream.split(":")[4]
    if filter_ == SQL_FILTER:
        filter_ = TAG_FILTER
    return filter_ == "*" or tag in filter_.split("||")


def noticed(events, kills):
    """For each kill: when it happened, and from when on the clients knew of it."""
    calls = [event for op in ("send", "receive", "ack") for event in of(events, op) if not event.get("ok", True)]
    windows = []
    for kill in kills:
        known_ns = kill.at_ns + NOTICED_NS
        first = min((call["end_ns"] for call in calls if call["start_ns"] <= known_ns and kill.at_ns <= call["end_ns"]),
                    default=0)
        if first <= kill.at_ns + NOTICED_MAX_NS:
            known_ns = max(known_ns, first + LET_GO_NS)
        windows.append((kill.at_ns, known_ns))
    return windows


def met_a_kill(event, windows):
    """Whether a call was in flight when a process died, or began before the client knew."""
    return any(event["start_ns"] <= known_ns and event["end_ns"] >= at_ns for at_ns, known_ns in windows)


def taken_back(event, restarts):
    """Whether a client took a call back, unsent, because the connection under it was closed in a graceful stop.

    Rust's tonic does, and tries it on no other connection. A node that stops cannot help that; nobody
    else may be the cause.
    """
    unsent = any(words in (event.get("error") or "") for words in TAKEN_BACK)
    return unsent and any(event["start_ns"] <= restart.until_ns and event["end_ns"] >= restart.from_ns
                          for restart in restarts)


def clients_lived(events, expected_streams):
    """Every role started, none died, every program ended by itself."""
    ready = {event["stream"] for event in of(events, "ready")}
    for stream in expected_streams:
        if stream not in ready:
            yield f"{stream} never started"
    for event in of(events, "died"):
        yield f"{event['stream']} died: {event['error']}"


def sends_succeeded(events, kills, restarts, never_retries):
    """No send fails.

    A client that never retries may lose the calls that were in flight on a connection to the
    killed process, and those that it takes back itself. Not the ones after that: the address of a
    dead node is answered by another.
    """
    windows = noticed(events, kills)
    for event in of(events, "send"):
        if event["ok"] or never_retries and (taken_back(event, restarts) or met_a_kill(event, windows)):
            continue
        yield f"send of {event['key']} failed at {event['end_ns']}: {event['error']}"


def polls_succeeded(events, kills, restarts):
    """Receives and acks of simple consumers fail only in flight at a kill: no client retries those."""
    windows = noticed(events, kills)
    for op in ("receive", "ack"):
        for event in of(events, op):
            if not (event.get("ok", True) or met_a_kill(event, windows) or taken_back(event, restarts)):
                yield (f"{op} of {event['stream']} failed away from any kill, from {event['start_ns']} "
                       f"to {event['end_ns']}: {event['error']}")


def acked_is_delivered(events):
    """Every acked send reaches every consumer that subscribed to its topic and tag."""
    for stream, deliveries in deliveries_by_stream(events).items():
        delivered = {key_of(delivery) for delivery in deliveries}
        for event in acked(events):
            if event["topic"] == topic_of(stream) and wants(stream, event["tag"]):
                if event["key"] not in delivered:
                    yield f"{event['key']} was acked and never delivered to {stream}"


def nothing_else_is_delivered(events):
    """No phantom, and nothing past a filter."""
    sent = {event["key"]: event for event in of(events, "send")}
    for stream, deliveries in deliveries_by_stream(events).items():
        for delivery in deliveries:
            event = sent.get(key_of(delivery))
            if event is None:
                yield f"{stream} was given {delivery['message_id']}, which nobody sent"
            elif not wants(stream, event["tag"]):
                yield f"{stream} was given {event['key']} with tag {event['tag']}"


def content_is_intact(events):
    """Body, tag, keys, properties, message group, priority and id arrive as they were sent."""
    sent = {event["key"]: event for event in of(events, "send")}
    for delivery in of(events, "deliver"):
        key = key_of(delivery)
        event = sent.get(key)
        if event is None:
            continue
        expected = {
            "body": f"body of {key}",
            "keys": [key],
            "tag": event["tag"],
            "message_group": event["message_group"],
            "properties": {"origin": event["client"], "n": key.rsplit("-", 1)[1]},
        }
        # Not every client can tell it.
        if event.get("priority") is not None and "priority" in delivery:
            expected["priority"] = event["priority"]
        if event["ok"] and event.get("message_id"):
            expected["message_id"] = event["message_id"]
        for field, value in expected.items():
            if delivery[field] != value:
                yield f"{key}: {field} is {delivery[field]!r}, sent as {value!r}"


def stored_once(events):
    """One send is stored once, however often the client retried it.

    Retries carry the same message id. Each stored copy is delivered with attempt 1 of its own, a
    redelivery never is; and two ids under one key would be two sends.
    """
    first_deliveries = collections.Counter()
    ids = collections.defaultdict(set)
    for delivery in of(events, "deliver"):
        ids[key_of(delivery)].add(delivery["message_id"])
        if delivery["attempt"] == 1:
            first_deliveries[delivery["stream"], delivery["message_id"], key_of(delivery)] += 1
    for (stream, message_id, key), count in first_deliveries.items():
        if count > 1:
            yield f"{key} ({message_id}) was delivered {count} times as a first attempt to {stream}"
    for key, found in ids.items():
        if len(found) > 1:
            yield f"{key} is stored under {len(found)} message ids: {sorted(found)}"


def offsets_are_not_shared(events):
    """Two answers of one queue never name the same message id at two offsets."""
    offsets = collections.defaultdict(set)
    for event in acked(events):
        if event.get("offset") is not None and event.get("message_id"):
            offsets[event["message_id"]].add(event["offset"])
    for message_id, found in offsets.items():
        if len(found) > 1:
            yield f"{message_id} was answered with offsets {sorted(found)}"


def redelivery_counts_up(events):
    """The attempt of a redelivery is larger than the one before it."""
    last = {}
    for delivery in sorted(of(events, "deliver"), key=lambda event: event["start_ns"]):
        where = delivery["stream"], delivery["message_id"]
        if where in last and delivery["attempt"] <= last[where]:
            yield f"{key_of(delivery)} came to {where[0]} with attempt {delivery['attempt']} after {last[where]}"
        last[where] = delivery["attempt"]


def order_holds(events):
    """First deliveries within a message group are in the order of the acked sends."""
    failed = {event["key"] for event in of(events, "send") if not event["ok"]}
    last = {}
    seen = set()
    for delivery in sorted(of(events, "deliver"), key=lambda event: event["start_ns"]):
        key = key_of(delivery)
        if delivery["message_group"] is None or key in failed or (delivery["stream"], key) in seen:
            continue
        seen.add((delivery["stream"], key))
        line, n = delivery["stream"], int(key.rsplit("-", 1)[1])
        where = line, key.rsplit("-", 1)[0], delivery["message_group"]
        if n < last.get(where, -1):
            yield f"{key} was first delivered to {line} after {last[where]} of {delivery['message_group']}"
        last[where] = max(n, last.get(where, -1))


def gaps_ms(events, kills):
    """For each kill: the longest time that a producing stream went without an ack, in ms."""
    ends = collections.defaultdict(list)
    for event in acked(events):
        ends[event["stream"]].append(event["end_ns"])
    gaps = []
    for index, kill in enumerate(kills):
        until = kills[index + 1].at_ns if index + 1 < len(kills) else kill.at_ns + WINDOW_NS
        longest = {}
        for stream, times in ends.items():
            around = sorted(time for time in times if kill.at_ns - WINDOW_NS // 10 <= time < until)
            between = [(b - a) / 1e6 for a, b in zip(around, around[1:]) if b >= kill.at_ns]
            if between:
                longest[stream] = max(between)
        gaps.append(longest)
    return gaps


def gaps_are_short(gaps, slow):
    """Median and maximum over all kills, with the bounds multiplied by `slow`."""
    worst = [max(gap.values()) for gap in gaps if gap]
    if not worst:
        yield "no acks around any kill: there is nothing to measure"
        return
    median = statistics.median(worst)
    if median >= GAP_P50_MS * slow:
        yield f"the median of the longest gaps is {median:.0f} ms, not under {GAP_P50_MS * slow:.0f}"
    for index, gap in enumerate(gaps):
        for stream, length in gap.items():
            if length >= GAP_MAX_MS * slow:
                yield f"kill {index}: {stream} had no ack for {length:.0f} ms, not under {GAP_MAX_MS * slow:.0f}"


def faults_happened(events, kills, wanted):
    """A run without its faults proves nothing."""
    if len(kills) < wanted:
        yield f"only {len(kills)} of {wanted} kills happened"
    for index, kill in enumerate(kills):
        if not any(event["end_ns"] >= kill.at_ns - 1_000_000_000 and event["start_ns"] <= kill.at_ns
                   for event in of(events, "send")):
            yield f"nothing was being sent at kill {index}"


def violations(events, kills, restarts, expected_streams, never_retries, wanted_kills):
    """All checks but the gap, which is judged over all languages together."""
    found = {
        "clients lived": clients_lived(events, expected_streams),
        "faults happened": faults_happened(events, kills, wanted_kills),
        "sends succeeded": sends_succeeded(events, kills, restarts, never_retries),
        "polls succeeded": polls_succeeded(events, kills, restarts),
        "acked is delivered": acked_is_delivered(events),
        "nothing else is delivered": nothing_else_is_delivered(events),
        "content is intact": content_is_intact(events),
        "stored once": stored_once(events),
        "offsets are not shared": offsets_are_not_shared(events),
        "redelivery counts up": redelivery_counts_up(events),
        "order holds": order_holds(events),
    }
    return {name: sentences for name, sentences in ((name, list(each)) for name, each in found.items()) if sentences}
