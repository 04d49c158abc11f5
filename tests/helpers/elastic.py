"""Run a search on a cluster whose nodes come and go; prints the report, and which node ran how many fits.

usage: elastic.py N_BIASES SECONDS_PER_FIT FILE [WAIT_SECONDS]

The head has no cores. The first node is joined by a second, and then lost; once the second has gone too, the job waits for
a third. With WAIT_SECONDS no third one comes, and the job fails.
"""

import json
import sys
import threading
from pathlib import Path

from lose_a_node import lose, set_environment, wait_until
from placed import Placed, hold, is_held, places, release

from foldwise import RayExecutor, Run, RunError
from foldwise.events import RunWaits
from foldwise.report import Report
from foldwise.testing import small_plan


def main(n_biases, seconds, file, wait_seconds=None):
    set_environment()
    import ray  # once its environment is set
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    first = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes(timeout=120)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    space = {"bias": [i / 1000 for i in range(n_biases)]}
    plan = small_plan(Placed("sleep", counter=str(file), seconds=seconds), space, limits={"wait_seconds": wait_seconds})
    said = {"report": None, "error": None, "waits": []}

    def listen(event):
        if isinstance(event, RunWaits):
            said["waits"].append(event.reason)

    def execute():
        try:
            said["report"] = Report(Run(plan, RayExecutor(), listeners=[listen]).execute()).to_dict()
        except RunError as caught:
            said["error"] = str(caught)

    hold(file, plan.n_fits // 4)
    run = threading.Thread(target=execute, daemon=True)  # nodes live as long as the thread that starts them
    run.start()
    wait_until(lambda: places(file)[first.node_id] >= 3, run)
    nodes = [first, second := cluster.add_node(num_cpus=1)]
    wait_until(lambda: is_held(file, first.node_id) and places(file)[second.node_id] >= 3, run)
    lose(first)
    wait_until(lambda: is_held(file, second.node_id), run)
    cluster.remove_node(second)
    release(file)
    if wait_seconds is None:
        wait_until(lambda: said["waits"], run)
        nodes.append(cluster.add_node(num_cpus=1))
    run.join()
    used = [places(file)[node.node_id] for node in nodes]
    print(json.dumps({**said, "used": used, "elsewhere": places(file).total() - sum(used)}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), *map(float, sys.argv[4:]))
