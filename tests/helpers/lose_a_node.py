"""Run a search on a simulated cluster of three nodes, one of which is lost in mid-run; prints the report and what was lost.

usage: lose_a_node.py N_BIASES SECONDS_PER_FIT
"""

import contextlib
import json
import os
import secrets
import sys
import threading
import time

import psutil

from foldwise import RayExecutor, Run
from foldwise.events import FitEnded
from foldwise.testing import FaultyEstimator, small_plan


def set_environment():
    """Close a cluster by a token of its own, and have it miss a node that is lost within seconds."""
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ENABLE_UV_RUN_RUNTIME_ENV="0",
        RAY_health_check_initial_delay_ms="500",
        RAY_health_check_period_ms="500",
        RAY_health_check_timeout_ms="1000",
        RAY_health_check_failure_threshold="3",
    )


def lose(node):
    """Kill all of a node at once, as a loss of power does, once it is at work; on their own its workers would finish."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    while not any(is_at_work(process) for process in raylet.children(recursive=True)):
        time.sleep(0.01)
    for process in [raylet, *raylet.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def is_at_work(process):
    with contextlib.suppress(psutil.Error):
        return process.cmdline()[0].startswith("ray::run_")
    return False


def main(n_biases, seconds):
    set_environment()
    import ray  # once its environment is set
    from ray.cluster_utils import Cluster

    quiet = {"include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **quiet})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    plan = small_plan(FaultyEstimator("sleep", seconds=seconds), {"bias": [i / 1000 for i in range(n_biases)]})
    lost = []

    def lose_one(event):
        if isinstance(event, FitEnded) and event.counts.run > plan.n_fits // 3 and not lost:
            lost.append(nodes[0].node_id)
            threading.Thread(target=lose, args=[nodes[0]], daemon=True).start()  # just now it may be between two chunks

    report = Run(plan, RayExecutor(), listeners=[lose_one]).execute()
    print(json.dumps({"report": report.to_dict(), "lost": len(lost)}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
