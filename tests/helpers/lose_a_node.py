"""Run a search on a simulated cluster of three nodes, one of which is lost in mid-fit; prints the report.

usage: lose_a_node.py N_BIASES SECONDS_PER_FIT FILE
"""

import contextlib
import json
import os
import secrets
import sys
import threading
import time
from pathlib import Path

import psutil
from placed import Placed, hold, is_held, release

from foldwise import RayExecutor, Run
from foldwise.report import Report
from foldwise.testing import small_plan


def set_environment():
    """Close a cluster by a token of its own, and have it miss a node that is lost within seconds, but not one that is slow."""
    os.environ.update(
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ENABLE_UV_RUN_RUNTIME_ENV="0",
        RAY_health_check_initial_delay_ms="500",
        RAY_health_check_period_ms="500",
        RAY_health_check_timeout_ms="10000",
        RAY_health_check_failure_threshold="3",
    )


def lose(node):
    """Kill all of a node at once, as a loss of power does; on their own its workers would finish."""
    raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
    for process in [raylet, *raylet.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            process.kill()


def wait_until(holds, run=None):
    """Wait for something that comes about while a run, in a thread, goes on."""
    while not holds():
        if run is not None and not run.is_alive():
            raise SystemExit("the run has ended before its time")
        time.sleep(0.01)


def main(n_biases, seconds, file):
    set_environment()
    import ray  # once its environment is set
    from ray.cluster_utils import Cluster

    quiet = {"include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **quiet})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes(timeout=120)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    plan = small_plan(Placed("sleep", counter=str(file), seconds=seconds), {"bias": [i / 1000 for i in range(n_biases)]})
    hold(file, plan.n_fits // 4)
    reports = []
    run = threading.Thread(target=lambda: reports.append(Report(Run(plan, RayExecutor()).execute())), daemon=True)
    run.start()
    wait_until(lambda: is_held(file, nodes[0].node_id), run)
    lose(nodes[0])
    release(file)
    run.join()
    print(json.dumps({"report": reports[0].to_dict()}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
