"""Run two searches at once, in processes of their own, on a node of two cores; prints the core seconds that each got.

usage: two_jobs.py CPUS_OF_FIRST CPUS_OF_SECOND SECONDS

The second starts some seconds after the first; what counts is the time in which both want to run.
"""

import json
import subprocess
import sys
import time

from lose_a_node import set_environment

from foldwise import RayExecutor, Run
from foldwise.events import FitEnded
from foldwise.testing import FaultyEstimator, small_plan

LATER = 8.0


def run(address, cpus, seconds):
    """Search until the time is over; prints when fits of how many cores ran."""
    space = {"bias": [i / 1e5 for i in range(100_000)]}
    plan = small_plan(
        FaultyEstimator("sleep", seconds=0.04), space, resources={"cpu": cpus}, limits={"seconds": seconds}, refit=False
    )
    spans = []

    def hear(event):
        if isinstance(event, FitEnded):
            spans.append((event.result.started, event.result.started + event.result.fit_seconds))

    Run(plan, RayExecutor(address), listeners=[hear]).execute()
    print(json.dumps(spans))


def start(address, cpus, seconds):
    command = [sys.executable, __file__, "run", address, str(cpus), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def main(cpus, seconds):
    set_environment()
    from ray.cluster_utils import Cluster  # once its environment is set

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=2, env_vars={"RAY_idle_worker_killing_time_threshold_ms": "60000"})
    first = start(cluster.address, cpus[0], seconds + LATER)
    time.sleep(LATER)
    began = time.time() + 5.0  # the second joins Ray meanwhile
    second = start(cluster.address, cpus[1], seconds)
    spans = [json.loads(job.communicate()[0].splitlines()[-1]) for job in (first, second)]
    ended = min(max(end for _, end in one) for one in spans)
    got = [
        n * sum(max(0.0, min(end, ended) - max(start, began)) for start, end in one) for n, one in zip(cpus, spans, strict=True)
    ]
    print(json.dumps({"seconds": ended - began, "got": got}))
    cluster.shutdown()


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        main((int(sys.argv[1]), int(sys.argv[2])), float(sys.argv[3]))
