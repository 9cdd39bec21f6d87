"""The official Python client, unchanged. See ../README.md for arguments and events."""

import argparse
import json
import os
import sys
import threading
import time

from configuration import configuration
from rocketmq import (
    ConsumeResult,
    FilterExpression,
    Message,
    MessageListener,
    Producer,
    PushConsumer,
    SimpleConsumer,
)
from rocketmq.grpc_protocol import FilterType

TAGS = ("a", "b", "c")
MESSAGE_GROUPS = 4
PRIORITIES = 4
INVISIBLE_SECONDS = 15
AWAIT_SECONDS = 5


class History:
    """One JSON line an event; several threads write."""

    def __init__(self, path, client):
        self._file = open(path, "a", encoding="utf-8", buffering=1)
        self._client = client
        self._lock = threading.Lock()

    def write(self, **event):
        with self._lock:
            self._file.write(json.dumps({"client": self._client, **event}) + "\n")


def build_message(client, mode, kind, topic, n):
    message = Message()
    message.topic = topic
    key = f"{client}-{mode}-{kind}-{n}"
    message.body = f"body of {key}".encode()
    message.tag = TAGS[n % len(TAGS)]
    message.keys = key
    message.add_property("origin", client)
    message.add_property("n", str(n))
    if kind == "fifo":
        message.message_group = f"group-{n % MESSAGE_GROUPS}"
    if kind == "priority":
        message.priority = 1 + n % PRIORITIES
    return key, message


def expression(filter_):
    if filter_.startswith("sql "):
        return FilterExpression(filter_.removeprefix("sql "), FilterType.SQL)
    return FilterExpression(filter_)


def record_send(history, stream, key, message, start_ns, receipt, error):
    history.write(
        op="send",
        stream=stream,
        topic=message.topic,
        key=key,
        tag=message.tag,
        message_group=message.message_group,
        priority=message.priority,
        start_ns=start_ns,
        end_ns=time.time_ns(),
        ok=error is None,
        error=None if error is None else f"{type(error).__name__}: {error}",
        message_id=receipt.message_id if receipt else message.message_id,
        offset=receipt.offset if receipt else None,
    )


def produce(options, history, stop, stream, mode, kind, topic):
    producer = Producer(configuration(options), (topic,))
    producer.startup()
    history.write(op="ready", stream=stream)
    in_flight = []
    n = 0
    while not stop.is_set():
        key, message = build_message(options.client, mode, kind, topic, n)
        n += 1
        start_ns = time.time_ns()
        if mode == "async":
            in_flight.append(send_async(producer, history, stream, key, message, start_ns))
        else:
            receipt = error = None
            try:
                receipt = producer.send(message)
            except Exception as failure:
                error = failure
            record_send(history, stream, key, message, start_ns, receipt, error)
        stop.wait(1 / options.rate)
    for done in in_flight:
        done.wait(30)
    producer.shutdown()


def send_async(producer, history, stream, key, message, start_ns):
    done = threading.Event()

    def settled(future):
        error = future.exception()
        record_send(history, stream, key, message, start_ns, None if error else future.result(), error)
        done.set()

    try:
        producer.send_async(message).add_done_callback(settled)
    except Exception as failure:
        record_send(history, stream, key, message, start_ns, None, failure)
        done.set()
    return done


def record_delivery(history, stream, group, message):
    history.write(
        op="deliver",
        stream=stream,
        group=group,
        topic=message.topic,
        start_ns=time.time_ns(),
        body=message.body.decode(),
        tag=message.tag,
        keys=list(message.keys),
        properties=dict(message.properties),
        message_group=message.message_group,
        priority=message.priority,
        message_id=message.message_id,
        attempt=message.delivery_attempt,
    )


class Listener(MessageListener):
    def __init__(self, history, stream, group):
        self._record = lambda message: record_delivery(history, stream, group, message)

    def consume(self, message):
        self._record(message)
        return ConsumeResult.SUCCESS


def push(options, history, stop, stream, kind, topic, group, filter_):
    consumer = PushConsumer(
        configuration(options), group, Listener(history, stream, group), {topic: expression(filter_)}
    )
    consumer.startup()
    history.write(op="ready", stream=stream)
    stop.wait()
    consumer.shutdown()


def simple(options, history, stop, stream, kind, topic, group, filter_):
    consumer = SimpleConsumer(
        configuration(options), group, {topic: expression(filter_)}, await_duration=AWAIT_SECONDS
    )
    consumer.startup()
    history.write(op="ready", stream=stream)
    while not stop.is_set():
        start_ns = time.time_ns()
        try:
            messages = consumer.receive(32, INVISIBLE_SECONDS) or []
        except Exception as failure:
            call_failed(history, "receive", stream, group, start_ns, None, failure)
            stop.wait(0.1)
            continue
        for message in messages:
            record_delivery(history, stream, group, message)
        for message in messages:
            ack(consumer, history, stream, group, message)
    consumer.shutdown()


def ack(consumer, history, stream, group, message):
    start_ns = time.time_ns()
    try:
        consumer.ack(message)
    except Exception as failure:
        call_failed(history, "ack", stream, group, start_ns, message.message_id, failure)
        return
    history.write(
        op="ack",
        stream=stream,
        group=group,
        start_ns=start_ns,
        end_ns=time.time_ns(),
        ok=True,
        message_id=message.message_id,
    )


def call_failed(history, op, stream, group, start_ns, message_id, failure):
    history.write(
        op=op,
        stream=stream,
        group=group,
        start_ns=start_ns,
        end_ns=time.time_ns(),
        ok=False,
        error=f"{type(failure).__name__}: {failure}",
        message_id=message_id,
    )


ROLES = {"produce": produce, "push": push, "simple": simple}


def run_role(history, role, *arguments):
    """A role that dies is an event, not silence."""
    try:
        ROLES[role](*arguments)
    except Exception as failure:
        history.write(op="died", stream=arguments[3], error=f"{type(failure).__name__}: {failure}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--history", required=True)
    parser.add_argument("--client", default="python")
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("specs", nargs="+")
    options = parser.parse_args()

    history = History(options.history, options.client)
    stop = threading.Event()
    threads = []
    for spec in options.specs:
        role, *rest = spec.split(":")
        thread = threading.Thread(
            target=run_role, args=(history, role, options, history, stop, spec, *rest), daemon=True
        )
        thread.start()
        threads.append(thread)

    if options.seconds > 0:
        threading.Timer(options.seconds, stop.set).start()
    else:
        threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    stop.wait()
    for thread in threads:
        thread.join(40)
    history.write(op="done")
    # The client leaves threads behind that would keep the process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
