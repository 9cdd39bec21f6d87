"""Ports of this machine for nodes that a script starts."""

import random
import socket

PORTS_A_NODE = 10
# Above those of `ledgermq local` and of the tests, below the range from which Linux gives ports to connections: one of these may be
# taken by whoever connects to anything.
FIRST, END = 30_000, 32_700
TRIES = 200


def free_base_port(nodes=3):
    """What `--base-port` may be: the ports of all nodes are free."""
    for _ in range(TRIES):
        base = random.randrange(FIRST, END - nodes * PORTS_A_NODE)
        if all(_is_free(base + PORTS_A_NODE * node + offset) for node in range(nodes) for offset in range(3)):
            return base
    raise OSError("no free ports on loopback")


def _is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
