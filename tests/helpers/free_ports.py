"""Ports that nothing listens on, for servers that tests start a moment later.

They lie below those that the system gives to outgoing connections, which could take one of them meanwhile.
"""

import contextlib
import random
import socket

_RANGE = range(20_000, 32_000)


def free_ports(n):
    """Return n different ports of the loopback address."""
    draw = random.SystemRandom()  # two processes of a test run must not try the same ones
    with contextlib.ExitStack() as held:
        found = []
        while len(found) < n:
            one = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", draw.choice(_RANGE)))
                found.append(one.getsockname()[1])
        return found
