"""What several cases need of the peers."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import Any

import joblib

from benchmarks.machine import N_CORES


def start_ray() -> Any:
    """Return Ray, started here or by foldwise: all contestants of a case share one."""
    from foldwise.executors.ray_session import SESSION

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    return SESSION.ensure(None)


@contextlib.contextmanager
def joblib_on_ray() -> Iterator[None]:
    """Let joblib run on Ray."""
    from ray.util.joblib import register_ray

    start_ray()
    register_ray()
    with joblib.parallel_backend("ray", n_jobs=N_CORES):
        yield


class DaskCluster:
    """Worker processes of dask, one thread each, that stay up between calls."""

    def __init__(self) -> None:
        self.client: Any = None

    def start(self) -> Any:
        """Start the workers, if they are not up, and return their client."""
        from distributed import Client, LocalCluster

        if self.client is None:
            self._cluster = LocalCluster(
                n_workers=N_CORES, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
            )
            self.client = Client(self._cluster)
        return self.client

    def stop(self) -> None:
        """Stop them."""
        if self.client is not None:
            self.client.close()
            self._cluster.close()
