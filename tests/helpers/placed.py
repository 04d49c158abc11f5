"""An estimator that writes down on which node it is fitted."""

from collections import Counter
from pathlib import Path

from foldwise.testing import FaultyEstimator


class Placed(FaultyEstimator):
    """Fails or sleeps as told; ``counter`` names a file that gets the node's id with each fit."""

    def fit(self, X, y):
        import ray  # it runs on workers

        with Path(self.counter).open("a") as file:
            file.write(ray.get_runtime_context().get_node_id() + "\n")
        return super().fit(X, y)

    def _count(self):
        return 0


def places(file):
    """Count the fits that were begun on each node."""
    return Counter(file.read_text().split() if file.exists() else [])
