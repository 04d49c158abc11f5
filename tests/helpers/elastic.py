"""Run a search on a cluster whose nodes come and go; prints the report, and which node ran how many fits.

usage: elastic.py N_BIASES SECONDS_PER_FIT FILE [WAIT_SECONDS]

The head has no cores. The first node is joined by a second, and then lost; once the second has gone too, the job waits for
a third. With WAIT_SECONDS no third one comes, and the job fails.
"""

import json
import sys
import threading
from pathlib import Path

from lose_a_node import lose, set_environment
from placed import Placed, places

from foldwise import RayExecutor, Run, RunError
from foldwise.events import FitEnded, RunWaits
from foldwise.testing import small_plan


class Changes:
    """What happens to the nodes, as the run gets on."""

    def __init__(self, cluster, file, n_fits, *, comes_back):
        self._cluster, self._file, self._n_fits, self._comes_back = cluster, file, n_fits, comes_back
        self.nodes = [cluster.add_node(num_cpus=1)]
        self.waits = []
        self._left = 0

    def __call__(self, event):
        if isinstance(event, RunWaits):
            self.waits.append(event.reason)
        for due, change in [
            (len(self.nodes) == 1 and self._has_run(event, 1 / 6), self._join),
            (self._left == 0 and len(self.nodes) == 2 and self._is_used(1), self._lose),
            (self._left == 1 and self._has_run(event, 2 / 3), lambda: self._cluster.remove_node(self.nodes[1])),
            (self._left == 2 and self._comes_back and isinstance(event, RunWaits), self._join),
        ]:
            if due:
                self._left += change != self._join
                change()  # in the main thread, which alone may start nodes
                return

    def used(self):
        return [places(self._file)[node.node_id] for node in self.nodes]

    def _join(self):
        self.nodes.append(self._cluster.add_node(num_cpus=1))

    def _lose(self):
        threading.Thread(target=lose, args=[self.nodes[0]], daemon=True).start()  # it waits until the node is at work

    def _is_used(self, number):
        return self.used()[number] >= 3

    def _has_run(self, event, share):
        return isinstance(event, FitEnded) and event.counts.run > share * self._n_fits


def main(n_biases, seconds, file, wait_seconds=None):
    set_environment()
    import ray  # once its environment is set
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    limits = {"wait_seconds": wait_seconds}
    space = {"bias": [i / 1000 for i in range(n_biases)]}
    plan = small_plan(Placed("sleep", counter=str(file), seconds=seconds), space, limits=limits)
    changes = Changes(cluster, file, plan.n_fits, comes_back=wait_seconds is None)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    report = error = None
    try:
        report = Run(plan, RayExecutor(), listeners=[changes]).execute().to_dict()
    except RunError as caught:
        error = str(caught)
    used = changes.used()
    elsewhere = places(file).total() - sum(used)
    print(json.dumps({"report": report, "error": error, "used": used, "elsewhere": elsewhere, "waits": changes.waits}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), *map(float, sys.argv[4:]))
