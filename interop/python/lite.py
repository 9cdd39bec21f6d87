"""Lite topics with the official Python client: its simple consumer and its push consumer for them."""

import threading
import time

from configuration import configuration
from rocketmq import Message
from rocketmq.v5.consumer import LitePushConsumer, LiteSimpleConsumer
from rocketmq.v5.consumer.push.message_listener import ConsumeResult, MessageListener

PATIENCE_SECONDS = 60
INVISIBLE_SECONDS = 15
QUOTA = 1_000
SETTINGS_SECONDS = 10


def send(options, producer, name, body):
    message = Message()
    message.topic, message.body, message.lite_topic = options.lite, body.encode(), name
    producer.send(message)


class Simple:
    """What a simple consumer received, by lite topic and body."""

    def __init__(self, options):
        self.arrived = set()
        self.consumer = LiteSimpleConsumer(options.lite, configuration(options), f"{options.group}-lite-simple", 5)
        self.consumer.startup()

    def look(self):
        try:
            received = self.consumer.receive(32, INVISIBLE_SECONDS)
        except Exception:  # this client has no other word for "nothing came"
            return
        for message in received or ():
            self.arrived.add((message.lite_topic, message.body.decode()))
            self.consumer.ack(message)


class Push(MessageListener):
    """The same for a push consumer."""

    def __init__(self, options):
        self.arrived = set()
        self.consumer = LitePushConsumer(configuration(options), f"{options.group}-lite-push", options.lite, self)
        self.consumer.startup()
        self.came = threading.Event()

    def consume(self, message):
        self.arrived.add((message.lite_topic, message.body.decode()))
        self.came.set()
        return ConsumeResult.SUCCESS

    def look(self):
        self.came.wait(1)
        self.came.clear()


def exactly(source, wanted):
    """Waits until all that is wanted came, and then whether anything else does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not source.arrived >= wanted and time.monotonic() < deadline:
        source.look()
    source.look()
    assert source.arrived == wanted, f"{type(source).__name__}: {source.arrived}, not {wanted}"


def subscribe_first(consumer, name):
    """This client does not wait for the broker's settings at its start, and takes its quota for 0 until they have come."""
    deadline = time.monotonic() + SETTINGS_SECONDS
    while True:
        try:
            consumer.subscribe_lite(name)
            return
        except Exception as error:  # pylint: disable=broad-except
            if "Quota" not in type(error).__name__ or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def changes(options, producer, kind):
    first, second, third = (f"{kind.__name__}-{number}" for number in (1, 2, 3))
    for name in (first, second, third):
        send(options, producer, name, "begin")
    source = kind(options)
    subscribe_first(source.consumer, first)
    wanted = {(first, "begin")}
    exactly(source, wanted)
    source.consumer.subscribe_lite(second)
    wanted |= {(second, "begin")}
    exactly(source, wanted)
    source.consumer.unsubscribe_lite(first)
    for name in (first, second, third):
        send(options, producer, name, "end")
    wanted |= {(second, "end")}
    exactly(source, wanted)
    quota = 0
    try:
        for quota in range(QUOTA):
            source.consumer.subscribe_lite(f"more-{quota}")
        raise AssertionError(f"{QUOTA + 1} lite topics can be subscribed to")
    except Exception as error:  # pylint: disable=broad-except
        assert "Quota" in type(error).__name__ and quota == QUOTA - 1, f"{quota}: {error!r}"
    source.consumer.shutdown()


def run(options, producer):
    changes(options, producer, Simple)
    changes(options, producer, Push)
