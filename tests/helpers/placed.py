"""An estimator that writes down on which node it is fitted, and can be held there."""

import contextlib
import time
from collections import Counter
from pathlib import Path

from foldwise.testing import FaultyEstimator


class Placed(FaultyEstimator):
    """Fails or sleeps as told; ``counter`` names a file that gets the node's id with each fit.

    As long as `hold` is in force, a node's fits beyond the number given there do not end.
    """

    def fit(self, X, y):
        import ray  # it runs on workers

        node, file = ray.get_runtime_context().get_node_id(), Path(self.counter)
        with file.open("a") as places_so_far:
            places_so_far.write(node + "\n")
        while is_held(file, node):
            time.sleep(0.01)
        return super().fit(X, y)

    def _count(self):
        return 0


def places(file):
    """Count the fits that were begun on each node."""
    return Counter(file.read_text().split() if file.exists() else [])


def hold(file, most):
    """Let each node end so many fits, and no more until they are released."""
    _held(file).write_text(str(most))


def release(file):
    """Let all go on."""
    _held(file).unlink()


def is_held(file, node):
    """Tell whether a node is in the middle of a fit that does not end."""
    with contextlib.suppress(FileNotFoundError):
        return places(file)[node] > int(_held(file).read_text())
    return False


def _held(file):
    return file.with_name(f"{file.name}-held")
