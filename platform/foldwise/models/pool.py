"""Networks that wait for the next fit: their graphs are made once, and there are never many of them in a process."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

MOST = 12
"""Networks kept; folds of a trial share one, and a worker has few trials in work."""

MOST_BYTES = 256 * 2**20
"""Bytes of the kept networks' variables; the one in use may be larger."""


class Pool:
    """Keeps the networks used last, by what they are built from.

    Parameters
    ----------
    most, most_bytes : int
        Networks and bytes kept.
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._networks: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._networks)

    @contextmanager
    def lend(self, key: Hashable, make: Callable[[], Any]) -> Iterator[Any]:
        """Lend a network to one thread at a time; TensorFlow uses the process's cores for it as it is.

        Parameters
        ----------
        key : hashable
            What the network is built from.
        make : callable
            Builds it.

        Yields
        ------
        Network
            With weights of whoever had it before: load your own.
        """
        with self._lock:
            network = self._networks.pop(key, None)
            if network is None:
                self._make_room()
                network = make()
            self._networks[key] = network
            yield network

    def clear(self) -> None:
        """Drop all networks."""
        with self._lock:
            self._networks.clear()
            gc.collect()

    def _make_room(self) -> None:
        """Drop the older half at once: graphs refer to themselves, and collecting them takes a tenth of a second."""
        if len(self) < self.most and self._n_bytes() <= self.most_bytes:
            return
        while self._networks and (len(self) > self.most // 2 or self._n_bytes() > self.most_bytes // 2):
            self._networks.popitem(last=False)
        gc.collect()

    def _n_bytes(self) -> int:
        return sum(network.n_bytes for network in self._networks.values())


POOL = Pool()
