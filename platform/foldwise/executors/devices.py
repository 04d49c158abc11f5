"""What a worker tells estimators of its share of the machine, and how it notices that a GPU's memory is spent.

Estimators read it from the environment, before their library first touches a device: `foldwise.models` does so.
"""

from __future__ import annotations

import os
import re

from foldwise.errors import Failure
from foldwise.resources import Resources

CPUS = "FOLDWISE_CPUS"
"""Environment variable: threads of a fit."""
GPU_FRACTION = "FOLDWISE_GPU_FRACTION"
"""Environment variable: the share of each GPU that it sees which a fit may fill; not set without a GPU."""

_KINDS = {"ResourceExhaustedError", "OutOfMemoryError", "OutOfMemory"}
_WORDS = re.compile(r"\bOOM\b|CUDA_ERROR_OUT_OF_MEMORY|CUDA out of memory|RESOURCE_EXHAUSTED|CUDNN_STATUS_ALLOC_FAILED")


def share_of(resources: Resources) -> dict[str, str]:
    """Say in environment variables what a fit with these resources may use."""
    told = {CPUS: str(resources.threads)}
    return told | {GPU_FRACTION: f"{min(resources.gpu, 1.0):g}"} if resources.gpu else told


def tell_share(resources: Resources) -> None:
    """Set them, on a worker."""
    os.environ.pop(GPU_FRACTION, None)
    os.environ.update(share_of(resources))


def is_out_of_gpu_memory(failure: Failure | None) -> bool:
    """Tell whether a fit failed since its GPU's memory is spent: what its process holds of it is then not to be relied on."""
    return failure is not None and (failure.kind in _KINDS or _WORDS.search(failure.message) is not None)
