#!/usr/bin/env python3
"""Throws at the HTTP API what its description allows and what it does not: no answer may be the server's own fault.

A cluster of its own is started; Schemathesis reads /api/v1/openapi.json from it and tries every call, also with names of things that
are there. Afterwards every node must still live, and take messages.

    scripts/check-http-api.py --binary target/release/ledgermq --schemathesis schemathesis
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from free_ports import free_base_port

# What is there when it begins; calls with these names get beyond "there is no such thing".
NAMES = {"name": "orders", "topic": "orders", "group": "billing", "node": "node9", "user": "eve"}
CALLS_NOT_TRIED = "/events"  # a stream does not end


class Cluster:
    """`ledgermq local` with three nodes."""

    def __init__(self, binary, data, port):
        self.binary, self.data, self.port = binary, data, port
        self.environment = {**os.environ, "LEDGERMQ_DISK__SPARE_BYTES": "0"}
        self.run("local", "start", "--nodes", "3", "--detach", "--data", data, "--base-port", str(port))
        for command in (["topic", "create", "orders"], ["group", "create", "billing"], ["send", "orders", "--body", "x"]):
            self.run(*command, "--endpoint", f"127.0.0.1:{port}")

    def run(self, *arguments):
        command = [self.binary, *arguments, "-o", "json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=self.environment)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def is_well(self):
        """Whether all nodes live, and a message goes through."""
        nodes = self.run("local", "status", "--data", self.data)["nodes"]
        dead = [node["name"] for node in nodes if not node["alive"]]
        if dead:
            print(f"dead afterwards: {', '.join(dead)}; see {self.data}", file=sys.stderr)
            return False
        endpoint = ["--endpoint", f"127.0.0.1:{self.port}"]
        self.run("topic", "create", "afterwards", *endpoint)
        self.run("send", "afterwards", "--body", "x", *endpoint)
        return True

    def stop(self):
        self.run("local", "stop", "--data", self.data)


def configuration(directory):
    """Names of things that are there."""
    lines = ["[parameters]", *(f'"path.{key}" = "{value}"' for key, value in NAMES.items())]
    path = pathlib.Path(directory) / "schemathesis.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tried(options, url, directory, *flags, last=()):
    """Whether no call failed by the server's fault. What Schemathesis remembers stays in the directory."""
    command = [os.path.abspath(options.schemathesis), *flags, "run", f"{url}/api/v1/openapi.json", "--checks", "not_a_server_error",
               "--max-examples", str(options.examples), "--seed", str(options.seed), "--exclude-path", CALLS_NOT_TRIED, "--no-color", *last]
    return subprocess.run(command, check=False, cwd=directory).returncode == 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--schemathesis", required=True)
    arguments.add_argument("--port", type=int, help="of the first node [default: one that is free]")
    arguments.add_argument("--examples", type=int, default=6, help="of each call")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    port = options.port or free_base_port()
    with tempfile.TemporaryDirectory(prefix="ledgermq-http-api-") as data:
        cluster = Cluster(options.binary, f"{data}/cluster", port)
        try:
            url = f"http://127.0.0.1:{port + 1}"
            # First what is there, and stays there.
            named = ["--config-file", str(configuration(data))]
            went_well = tried(options, url, data, *named, last=["--exclude-method", "DELETE"]) and tried(options, url, data) and cluster.is_well()
        finally:
            cluster.stop()
    sys.exit(0 if went_well else 1)


if __name__ == "__main__":
    main()
