"""A Ray cluster on this machine, each of whose nodes has processes of its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

_STORE = {"object_store_memory": 80 * 2**20}


@contextmanager
def simulated(n_nodes: int, cpus_per_node: int, *, head_cpus: int = 0) -> Iterator[str]:
    """Start a head and nodes, join them, and give the address."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray  # once its environment is set
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": head_cpus, "include_dashboard": False, **_STORE})
    try:
        for _ in range(n_nodes):
            cluster.add_node(num_cpus=cpus_per_node, **_STORE)
        cluster.wait_for_nodes()
        ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
        yield cluster.address
    finally:
        ray.shutdown()
        cluster.shutdown()
