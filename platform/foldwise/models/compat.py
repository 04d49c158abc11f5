"""What the Keras estimators rely on of the private parts of TensorFlow and scikit-learn, each with its reason.

A test of each fails when a version changes it. A worker lives through thousands of fits, and TensorFlow keeps something of
each: gradients of graphs that are gone, kernels of variables that are gone. Nothing public frees them. Where another version
has no such place, nothing is done.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

_EVERY = 32
"""Models after which cached kernels are dropped."""

_built = itertools.count(1)
_lock = threading.RLock()


@contextmanager
def gradients_forgotten() -> Iterator[None]:
    """Drop the gradients that are registered meanwhile; one thread at a time may be inside.

    A function with a gradient of its own (a swish, the sum over devices) registers it under a new name whenever a graph with
    it is made, and with it the graph. A graph that is made has its gradients in it and asks for none again.
    """
    from tensorflow.python.framework import ops  # lazily: TensorFlow takes seconds

    registry: dict[str, Any] = getattr(getattr(ops, "gradient_registry", None), "_registry", {})
    with _lock:
        before = set(registry)
        try:
            yield
        finally:
            for name in registry.keys() - before:
                if name.startswith("CustomGradient-"):
                    del registry[name]


def count_model() -> None:
    """Drop cached kernels now and then: each variable has one of its own, which outlives it."""
    from tensorflow.python.eager import context  # lazily: TensorFlow takes seconds

    if next(_built) % _EVERY == 0:
        clear = getattr(context.context(), "clear_kernel_cache", None)
        if clear is not None:
            clear()


def checked_weights(sample_weight: Any, X: Any) -> np.ndarray:
    """Return sample weights as scikit-learn's estimators check them: one finite number per row; ones for None.

    scikit-learn has no public function that does so.
    """
    return np.asarray(_check_sample_weight(sample_weight, X, dtype=np.float64))
