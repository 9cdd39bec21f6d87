"""How the programs of this language reach the broker, and who they are there."""

import os

from rocketmq import ClientConfiguration, Credentials


def configuration(options):
    """Signed if the environment has a user, else as a client without credentials."""
    key, secret = os.environ.get("INTEROP_ACCESS_KEY", ""), os.environ.get("INTEROP_SECRET_KEY", "")
    return ClientConfiguration(options.endpoint, Credentials(key, secret) if key else Credentials())
