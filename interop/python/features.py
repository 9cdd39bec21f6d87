"""What the official Python client can do beyond sending and receiving. See ../README.md, "Features"."""

import argparse
import sys
import time

import lite
from configuration import configuration
from rocketmq import (
    FilterExpression,
    Message,
    Producer,
    SimpleConsumer,
    TransactionChecker,
    TransactionResolution,
)

DELAY_SECONDS = 3
PATIENCE_SECONDS = 60
INVISIBLE_SECONDS = 15


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("endpoint", "delay", "transaction", "lite", "group"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def message(topic, body, due=None):
    made = Message()
    made.topic, made.body = topic, body.encode()
    if due is not None:
        made.delivery_timestamp = int(due)
    return made


def consumer(options, topic):
    made = SimpleConsumer(configuration(options), f"{options.group}-{topic}", {topic: FilterExpression()}, 5)
    made.startup()
    return made


def receive_into(arrived, source):
    try:
        received = source.receive(32, INVISIBLE_SECONDS)
    except Exception:  # this client has no other word for "nothing came"
        return
    for one in received or ():
        arrived[one.body.decode()] = time.time()
        source.ack(one)


def bodies(source, wanted):
    """When each body came, once all wanted ones did."""
    arrived = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not arrived.keys() >= wanted and time.monotonic() < deadline:
        receive_into(arrived, source)
    return arrived


def delays(options, producer):
    due = int(time.time()) + DELAY_SECONDS
    producer.send(message(options.delay, "later", due))
    far = producer.send(message(options.delay, "recalled", due + 2))
    assert far.recall_handle, "a delayed message has a recall handle"
    producer.recall_message(options.delay, far.recall_handle)
    source = consumer(options, options.delay)
    arrived = bodies(source, {"later"})
    assert "later" in arrived, "the delayed message did not come"
    assert arrived["later"] >= due, f"it came {due - arrived['later']:.3f} s early"
    receive_into(arrived, source)
    assert "recalled" not in arrived, "the recalled message came"
    source.shutdown()


class Checker(TransactionChecker):
    def __init__(self):
        self.asked = []

    def check(self, message):
        self.asked.append(message.body.decode())
        return TransactionResolution.COMMIT


def transactions(options, producer):
    def send(body):
        transaction = producer.begin_transaction()
        producer.send(message(options.transaction, body), transaction)
        return transaction

    send("committed").commit()
    send("rolled back").rollback()
    send("forgotten")
    source = consumer(options, options.transaction)
    arrived = bodies(source, {"committed", "forgotten"})
    assert sorted(arrived) == ["committed", "forgotten"], sorted(arrived)
    source.shutdown()


def main():
    options = parse()
    checker = Checker()
    topics = (options.delay, options.transaction, options.lite)
    producer = Producer(configuration(options), topics, checker=checker)
    producer.startup()
    delays(options, producer)
    transactions(options, producer)
    lite.run(options, producer)
    assert "forgotten" in checker.asked, "the producer was not asked about the transaction that it forgot"
    assert set(checker.asked) == {"forgotten"}, checker.asked
    producer.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
