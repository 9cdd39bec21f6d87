"""Each check of checks.py is silent on a good history and speaks on one planted violation."""

import copy
import itertools
import unittest

import checks

MS = 1_000_000
PUSH = "push:normal:t:g:*"
FILTERED = "simple:normal:t:f:a||b"
FIFO = "push:fifo:q:h:*"
STREAMS = ("produce:sync:normal:t", "produce:sync:fifo:q", PUSH, FILTERED, FIFO)


def send(n, kind="normal", at_ms=None):
    at_ms = n * 50 if at_ms is None else at_ms
    topic = "q" if kind == "fifo" else "t"
    return {
        "client": "x", "op": "send", "stream": f"produce:sync:{kind}:{topic}", "topic": topic,
        "key": f"x-sync-{kind}-{n}", "tag": "abc"[n % 3],
        "message_group": f"group-{n % 4}" if kind == "fifo" else None,
        "start_ns": at_ms * MS, "end_ns": (at_ms + 10) * MS, "ok": True, "error": None,
        "message_id": f"{kind}-id-{n}", "offset": n,
    }


def deliver(sent, stream, attempt=1):
    return {
        "client": "x", "op": "deliver", "stream": stream, "group": stream.split(":")[3], "topic": sent["topic"],
        "start_ns": sent["end_ns"] + 5 * MS, "body": f"body of {sent['key']}", "tag": sent["tag"],
        "keys": [sent["key"]], "properties": {"origin": "x", "n": sent["key"].rsplit("-", 1)[1]},
        "message_group": sent["message_group"], "message_id": sent["message_id"], "attempt": attempt,
    }


def good_history():
    events = [{"client": "x", "op": "ready", "stream": stream} for stream in STREAMS]
    for n in range(40):
        normal, fifo = send(n), send(n, "fifo")
        events += [normal, fifo, deliver(normal, PUSH), deliver(fifo, FIFO)]
        if normal["tag"] != "c":
            events += [deliver(normal, FILTERED)]
    events += [{"client": "x", "op": "ack", "stream": FILTERED, "group": "f", "start_ns": 60 * MS, "end_ns": 61 * MS,
                "ok": True, "message_id": "normal-id-0"}]
    return events


KILLS = [checks.Kill("n1", 1000 * MS, 1400 * MS)]
RESTARTS = [checks.Restart("n2", 1600 * MS, 1700 * MS)]


class Planted(unittest.TestCase):
    def setUp(self):
        self.events = good_history()

    def find(self, op, key=None, stream=None):
        for event in self.events:
            named = event.get("key") or (event.get("keys") or [None])[0]
            if event["op"] == op and key in (None, named) and stream in (None, event["stream"]):
                return event
        raise LookupError((op, key, stream))

    def found(self, never_retries=False, wanted_kills=1):
        return set(checks.violations(self.events, KILLS, RESTARTS, STREAMS, never_retries, wanted_kills))

    def test_a_good_history_is_silent(self):
        self.assertEqual(self.found(), set())
        self.assertEqual(list(checks.gaps_are_short(checks.gaps_ms(self.events, KILLS), 1)), [])

    def test_a_consumer_that_never_started(self):
        self.events.remove(self.find("ready", stream=FIFO))
        self.assertEqual(self.found(), {"clients lived"})

    def test_a_role_that_died(self):
        self.events.append({"client": "x", "op": "died", "stream": PUSH, "error": "boom"})
        self.assertEqual(self.found(), {"clients lived"})

    def test_a_failed_send(self):
        event = self.find("send", "x-sync-normal-20")
        event.update(ok=False, error="UNAVAILABLE", start_ns=1000 * MS, end_ns=1001 * MS)
        self.assertEqual(self.found(), {"sends succeeded"})

    def test_a_failed_send_of_a_client_that_never_retries_must_be_in_flight_at_a_kill(self):
        event = self.find("send", "x-sync-normal-20")
        event.update(ok=False, error="UNAVAILABLE", start_ns=1000 * MS, end_ns=1001 * MS)
        self.assertEqual(self.found(never_retries=True), set())
        event.update(start_ns=1100 * MS, end_ns=1101 * MS)
        self.assertEqual(self.found(never_retries=True), {"sends succeeded"})

    def test_a_client_knows_of_a_kill_once_a_call_in_flight_has_failed(self):
        event = self.find("send", "x-sync-normal-20")
        event.update(ok=False, error="UNAVAILABLE", start_ns=990 * MS, end_ns=1150 * MS)
        other = self.find("send", "x-sync-fifo-21")
        other.update(ok=False, error="UNAVAILABLE", start_ns=1152 * MS, end_ns=1153 * MS)
        self.assertEqual(self.found(never_retries=True), set())
        other.update(start_ns=1160 * MS, end_ns=1161 * MS)
        self.assertEqual(self.found(never_retries=True), {"sends succeeded"})

    def test_what_a_client_learns_by_one_call_it_knows_in_all(self):
        later = self.find("ack")
        first = dict(later, op="receive")
        self.events.append(first)
        first.update(ok=False, error="UNAVAILABLE", start_ns=1030 * MS, end_ns=1120 * MS)
        later.update(ok=False, error="UNAVAILABLE", start_ns=1080 * MS, end_ns=1121 * MS)
        self.assertEqual(self.found(), set())
        later.update(start_ns=1126 * MS, end_ns=1127 * MS)
        self.assertEqual(self.found(), {"polls succeeded"})

    def test_a_failed_ack_away_from_a_kill(self):
        self.find("ack").update(ok=False, error="INTERNAL")
        self.assertEqual(self.found(), {"polls succeeded"})
        self.find("ack").update(start_ns=990 * MS, end_ns=1001 * MS)
        self.assertEqual(self.found(), set())

    def test_a_call_that_its_client_took_back_must_be_in_a_restart(self):
        closed = "transport error: operation was canceled: connection closed"
        told_to_go = "h2 protocol error: http2 error: connection error received: not a result of an error"
        for unsent, op in itertools.product((closed, told_to_go), ("send", "ack")):
            check = "sends succeeded" if op == "send" else "polls succeeded"
            event = self.find(op)
            was = dict(event)
            event.update(ok=False, error=unsent, start_ns=1610 * MS, end_ns=1611 * MS)
            self.assertEqual(self.found(never_retries=True), set())
            event.update(start_ns=1200 * MS, end_ns=1201 * MS)
            self.assertEqual(self.found(never_retries=True), {check})
            event.update(was)

    def test_a_lost_message(self):
        self.events.remove(self.find("deliver", "x-sync-normal-7", PUSH))
        self.assertEqual(self.found(), {"acked is delivered"})

    def test_a_consumer_that_got_nothing_at_all(self):
        self.events = [e for e in self.events if not (e["op"] == "deliver" and e["stream"] == PUSH)]
        self.assertEqual(self.found(), {"acked is delivered"})

    def test_a_message_past_the_filter(self):
        self.events.append(deliver(send(2), FILTERED))
        self.assertEqual(self.found(), {"nothing else is delivered"})

    def test_a_sql_filter_wants_what_its_tags_say(self):
        stream = f"push:normal:t:s:{checks.SQL_FILTER}"
        self.assertEqual([checks.wants(stream, tag) for tag in "abc"], [True, True, False])

    def test_an_altered_priority(self):
        sent = self.find("send", "x-sync-normal-5")
        delivery = self.find("deliver", "x-sync-normal-5", PUSH)
        sent["priority"], delivery["priority"] = 3, 3
        self.assertEqual(self.found(), set())
        delivery["priority"] = 2
        self.assertEqual(self.found(), {"content is intact"})

    def test_a_phantom(self):
        self.events.append(deliver(send(99), PUSH))
        self.assertEqual(self.found(), {"nothing else is delivered"})

    def test_an_altered_field(self):
        for field, value in (("body", "?"), ("tag", None), ("properties", {}), ("message_id", "other"),
                             ("message_group", "group-9")):
            with self.subTest(field):
                self.events = good_history()
                delivery = self.find("deliver", "x-sync-fifo-3")
                delivery[field] = value
                self.assertIn("content is intact", self.found())

    def test_a_send_stored_twice(self):
        self.events.append(copy.deepcopy(self.find("deliver", "x-sync-normal-5", PUSH)))
        self.assertIn("stored once", self.found())

    def test_a_retry_stored_under_another_id(self):
        delivery = deliver(send(5), PUSH, attempt=2)
        delivery["message_id"] = "another"
        self.events.append(delivery)
        self.assertIn("stored once", self.found())

    def test_a_redelivery_is_legal(self):
        again = deliver(send(5), PUSH, attempt=2)
        again["start_ns"] += 15_000 * MS
        self.events.append(again)
        self.assertEqual(self.found(), set())

    def test_a_redelivery_that_does_not_count(self):
        for extra_ms, attempt in ((15_000, 3), (30_000, 2)):
            again = deliver(send(5), PUSH, attempt)
            again["start_ns"] += extra_ms * MS
            self.events.append(again)
        self.assertEqual(self.found(), {"redelivery counts up"})

    def test_one_message_answered_with_two_offsets(self):
        self.events.append({**send(5), "offset": 77})
        self.assertEqual(self.found(), {"offsets are not shared"})

    def test_order_broken_within_a_message_group(self):
        early = self.find("deliver", "x-sync-fifo-8", FIFO)
        early["start_ns"] = self.find("deliver", "x-sync-fifo-4", FIFO)["start_ns"] - MS
        self.assertEqual(self.found(), {"order holds"})

    def test_kills_that_did_not_happen(self):
        self.assertEqual(self.found(wanted_kills=2), {"faults happened"})

    def test_a_kill_that_met_no_traffic(self):
        found = checks.violations(self.events, [checks.Kill("n1", 9000 * MS, 9100 * MS)], [], STREAMS, False, 1)
        self.assertEqual(set(found), {"faults happened"})

    def test_a_long_gap(self):
        self.events = [e for e in self.events if not (e["op"] == "send" and 1000 * MS < e["end_ns"] < 1800 * MS)]
        found = list(checks.gaps_are_short(checks.gaps_ms(self.events, KILLS), 1))
        self.assertTrue(any("median" in sentence for sentence in found), found)
        self.assertTrue(any("no ack for" in sentence for sentence in found), found)
        self.assertEqual(list(checks.gaps_are_short(checks.gaps_ms(self.events, KILLS), 4)), [])

    def test_gaps_without_acks(self):
        self.assertEqual(len(list(checks.gaps_are_short(checks.gaps_ms([], KILLS), 1))), 1)


if __name__ == "__main__":
    unittest.main()
