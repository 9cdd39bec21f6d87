#!/usr/bin/env python3
"""What it costs a node to be scraped once a second: processor time for a single send, and sends a second.

One node of one replica is loaded in short rounds, in every second one of which its metrics are scraped. Rounds of a pair
stand side by side, so that what else goes on in the machine hits both. Example:

    scripts/scrape-cost.py --binary target/release/ledgermq --rounds 20
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

READY = "is ready"


def cpu_seconds(pid):
    """What the process used of the processors, since it started."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Scraper:
    """Asks once a second, as long as it is in use."""

    def __init__(self, url):
        self.url, self.over, self.bytes = url, threading.Event(), 0

    def __enter__(self):
        self.thread = threading.Thread(target=self.scrape)
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def scrape(self):
        while True:
            self.bytes = len(urllib.request.urlopen(self.url, timeout=10).read())
            if self.over.wait(1):
                return


def round_of(binary, port, pid, seconds):
    """Microseconds of processor that the node used for a send, and sends a second."""
    used = cpu_seconds(pid)
    command = [binary, "bench", "send", "--endpoint", f"127.0.0.1:{port}", "--seconds", str(seconds), "--warm-up", "0", "-o", "json"]
    report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    used = cpu_seconds(pid) - used
    return used * 1e6 / report["messages"], report["messages"] / seconds


def cost_of_a_scrape(scraper, pid, windows, seconds):
    """Seconds of processor in a second of scraping once, beyond those of a node that nobody asks anything."""
    costs = []
    for _ in range(windows):
        used = cpu_seconds(pid)
        time.sleep(seconds)
        idle = cpu_seconds(pid) - used
        scraper.over.clear()
        used = cpu_seconds(pid)
        with scraper:
            time.sleep(seconds)
        costs.append((cpu_seconds(pid) - used - idle) / seconds)
    return statistics.median(costs)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=int, default=5, help="of one round")
    arguments.add_argument("--port", type=int, default=28181)
    arguments.add_argument("--topics", type=int, default=0, help="as many more topics, each with a message and a reader")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledgermq-scrape-cost-") as data:
        command = [options.binary, "dev", "--data", data, "--bind", f"127.0.0.1:{options.port}"]
        node = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            next(line for line in node.stdout if READY in line)
            endpoint = ["--endpoint", f"127.0.0.1:{options.port}", "-o", "json"]
            for number in range(options.topics):
                for what in (["send", f"t{number}", "--body", "x"], ["receive", f"t{number}", "--group", f"g{number % 100}", "--no-ack"]):
                    subprocess.run([options.binary, *what, *endpoint], stdout=subprocess.DEVNULL, check=False)
            scraper = Scraper(f"http://127.0.0.1:{options.port + 1}/metrics")
            round_of(options.binary, options.port, node.pid, options.seconds)
            plain, scraped = [], []
            for number in range(options.rounds):
                order = [True, False] if number % 2 else [False, True]
                for scrapes in order:
                    if scrapes:
                        scraper.over.clear()
                        with scraper:
                            scraped.append(round_of(options.binary, options.port, node.pid, options.seconds))
                    else:
                        plain.append(round_of(options.binary, options.port, node.pid, options.seconds))
                print(f"round {number + 1}: {plain[-1][0]:.1f} and {scraped[-1][0]:.1f} us a send", file=sys.stderr, flush=True)
            scrape = cost_of_a_scrape(scraper, node.pid, 5, 20)
        finally:
            node.send_signal(signal.SIGTERM)
            node.wait()
    cpu = [with_it[0] / without[0] for with_it, without in zip(scraped, plain)]
    rate = [with_it[1] / without[1] for with_it, without in zip(scraped, plain)]
    for name, ratios in (("processor time a send", cpu), ("sends a second", rate)):
        low, median, high = (statistics.quantiles(ratios, n=4))
        print(f"{name}, scraped over not scraped: median {median:.4f}, quartiles {low:.4f} to {high:.4f}, of {len(ratios)} pairs")
    print(f"a scrape a second takes {scrape * 1000:.2f} ms of processor a second: {scrape * 100:.2f} % of one core")
    print(f"without: {statistics.median(it[0] for it in plain):.2f} us and {statistics.median(it[1] for it in plain):.0f} sends a second; the page has {scraper.bytes} bytes")


if __name__ == "__main__":
    main()
