"""GPUs on workers: how a process is told its share, and how it ends once the memory is spent.

An estimator reads its share from the environment, before its library first touches the device: `foldwise.models` does so.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence

from foldwise.errors import Failure
from foldwise.plan.resources import Resources
from foldwise.trial import Fit, FitResult
from foldwise.worker.fit import FitContext

GPU_FRACTION = "FOLDWISE_GPU_FRACTION"
"""Environment variable: the share of a GPU that a process may fill; not set where it has whole ones, or none."""

_KINDS = {"ResourceExhaustedError", "OutOfMemoryError"}  # TensorFlow's, and PyTorch's
_WORDS = re.compile(r"\bOOM\b|CUDA_ERROR_OUT_OF_MEMORY|CUDA out of memory|RESOURCE_EXHAUSTED|CUDNN_STATUS_ALLOC_FAILED")
_DELIVERY = 1.0  # seconds that a result may take to leave the process


def share_of(resources: Resources) -> dict[str, str]:
    """Return environment variables that tell a process what it may use."""
    return {GPU_FRACTION: f"{resources.gpu:g}"} if 0 < resources.gpu < 1 else {}


def tell_share(resources: Resources) -> None:
    """Set them, on a worker."""
    os.environ.pop(GPU_FRACTION, None)
    os.environ.update(share_of(resources))


def is_out_of_gpu_memory(failure: Failure | None) -> bool:
    """Tell whether a fit failed since its GPU's memory is spent. Its process does not give back what it holds."""
    return failure is not None and (failure.kind in _KINDS or _WORDS.search(failure.message) is not None)


def run_until_spent(context: FitContext, chunk: Sequence[Fit]) -> tuple[list[FitResult], bool]:
    """Run fits until one runs out of the GPU's memory; returns what was run, and whether one did."""
    results: list[FitResult] = []
    for fit in chunk:
        results += context.run((fit,))
        if is_out_of_gpu_memory(results[-1].failure_on(*fit.held_out)):
            return results, True
    return results, False


def leave_process() -> None:
    """End this worker, once its results have left it."""
    time.sleep(_DELIVERY)
    os._exit(1)
