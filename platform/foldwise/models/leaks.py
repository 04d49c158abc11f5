"""What TensorFlow would keep for ever of models and graphs that are gone, and how it is let go. This module imports it.

A worker lives through thousands of fits. Nothing public frees what stands here, so these few lines reach into TensorFlow,
which the extra pins; where another version has no such place, nothing is done, and a test of memory tells.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tensorflow.python.eager import context
from tensorflow.python.framework import ops

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
    if next(_built) % _EVERY == 0:
        clear = getattr(context.context(), "clear_kernel_cache", None)
        if clear is not None:
            clear()
