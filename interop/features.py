"""What the official clients can do beyond sending and receiving: delays, recall, transactions with checks, lite
topics.

No node is killed here: what waits through the loss of a leader is tested with processes of our own
(`api/tests/cli_waiting.rs`). A program ends with 0, or says what did not hold.
"""

import os
import subprocess

import clients

TIMEOUT_SECONDS = 180
SHOWN_LINES = 15

# The command of each language, given its home directory.
PROGRAMS = {
    "python": lambda _: [clients.PYTHON, "-u", clients.HERE / "python" / "features.py"],
    "go": lambda _: [clients.CACHE / "interop-go" / "client"],
    "java": lambda home: [*clients.java(), f"-Duser.home={home}", "ledgermq.interop.Features"],
    "rust": lambda _: [clients.CACHE / "interop-rust" / "release" / "interop"],
    "node": lambda _: ["node", clients.HERE / "node" / "features.js"],
}


def problems(language, cluster, work, slow, user):
    """Runs the program of a language, if it has one, as a user (an environment). A sentence for each thing that did not hold."""
    if language.name not in PROGRAMS:
        return []
    delay, transaction, lite = (f"{language.name}-{kind}" for kind in ("delay", "transaction", "lite"))
    cluster.create_topic(delay, "delay")
    cluster.create_topic(transaction, "transaction")
    cluster.create_topic(lite, "lite")
    group = f"{language.name}-features"
    for topic in (delay, transaction):
        cluster.create_group(f"{group}-{topic}", False)
    # RocketMQ reads lite topics in order, so its users make such groups.
    cluster.create_group(f"{group}-lite-push", True)
    cluster.create_group(f"{group}-lite-simple", False)
    home = work / "home"
    home.mkdir(exist_ok=True)
    command = [*PROGRAMS[language.name](home), "--endpoint", cluster.endpoint, "--delay", delay,
               "--transaction", transaction, "--lite", lite, "--group", group]
    environment = {**os.environ, **user, "HOME": str(home),
                   "INTEROP_NODE_MODULES": str(clients.CACHE / "interop-node" / "node_modules")}
    try:
        ended = subprocess.run(list(map(str, command)), cwd=work, env=environment, check=False, text=True,
                               stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS * slow)
    except subprocess.TimeoutExpired:
        return [f"the features of {language.name} did not end within {TIMEOUT_SECONDS * slow:.0f} s"]
    if ended.returncode == 0:
        return []
    said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-SHOWN_LINES:])
    return [f"the features of {language.name} ended with {ended.returncode}:\n{said}"]
