"""How TensorFlow uses the machine: threads, a share of a GPU's memory, or several GPUs; settled before its first operation.

Whoever runs fits says what they may use: the limit on BLAS's threads, which every executor sets to the trial's cpus; the
GPUs that are visible; and ``FOLDWISE_GPU_FRACTION``, the share of one GPU.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from typing import Any

from threadpoolctl import threadpool_info

from foldwise.errors import InputError, MissingPackageError, ResourcesError

GPU_FRACTION = "FOLDWISE_GPU_FRACTION"
"""Environment variable: share of a GPU that this process may use; none: all of what is visible."""

_CONTEXT = 600
"""MiB that CUDA takes for a process besides what TensorFlow allots."""


@functools.cache
def strategy() -> Any:
    """Prepare TensorFlow, once in a process, and return how it spreads over devices: a ``tf.distribute.Strategy``.

    Raises
    ------
    MissingPackageError
        If TensorFlow is not installed.
    InputError
        If Keras runs on another backend, or the share of a GPU is none.
    """
    tf = _import_tensorflow()
    if not tf.executing_eagerly():
        raise InputError("tensorflow", "expected eager execution, which this process has disabled; leave it enabled")
    _set_threads(tf)
    gpus = tf.config.list_physical_devices("GPU")
    for number, gpu in enumerate(gpus):
        _limit_memory(tf, gpu, number)
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


def _import_tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # else it reports on features of the machine, to stderr
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        import keras  # lazily: TensorFlow takes seconds
        import tensorflow as tf
    except ImportError as error:
        raise MissingPackageError(
            "foldwise.models", f"expected TensorFlow and Keras ({error}); install foldwise[keras]"
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise InputError("KERAS_BACKEND", f"expected tensorflow, got {keras.backend.backend()!r}; unset it")
    return tf


def _set_threads(tf: Any) -> None:
    """Give TensorFlow the threads that BLAS has; they change the last bits, as BLAS's do."""
    threads = min((pool["num_threads"] for pool in threadpool_info()), default=os.cpu_count() or 1)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:  # this process used TensorFlow before: its owner has settled that
        return


def _limit_memory(tf: Any, gpu: Any, number: int) -> None:
    """Keep to the share of a GPU that was given; a whole one is taken as it is needed."""
    share = _fraction()
    try:
        if share is None or share >= 1:
            tf.config.experimental.set_memory_growth(gpu, True)
        else:
            limit = memory_limit(share, _total_memory(number))
            tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])
    except RuntimeError as error:
        if share is not None and share < 1:
            raise ResourcesError(
                GPU_FRACTION, f"expected a process in which TensorFlow has not used the GPU yet, got {error}"
            ) from error


def _fraction() -> float | None:
    text = os.environ.get(GPU_FRACTION)
    if not text:
        return None
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not share > 0:
        raise InputError(GPU_FRACTION, f"expected a number > 0, got {text!r}")
    return share


def memory_limit(share: float, total: int) -> int:
    """Return the MiB that TensorFlow may allot of a GPU with so many, which leaves room for each process's CUDA context.

    Examples
    --------
    >>> memory_limit(0.25, 81920)
    19880
    """
    limit = int(share * total) - _CONTEXT
    if limit <= 0:
        raise ResourcesError(
            "resources.gpu",
            f"expected a share of more than {_CONTEXT} MiB, got {share:g} of {total} MiB; ask for more of the GPU",
        )
    return limit


def _total_memory(number: int) -> int:
    """Ask the driver for a GPU's MiB: TensorFlow knows them only after it has begun to use it."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    name = visible.split(",")[number].strip() if visible else str(number)
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise ResourcesError(
            "resources.gpu", "expected nvidia-smi on the path, to tell a GPU's memory; install it, or ask for whole GPUs"
        )
    asked = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits", "-i", name]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    if answer.returncode or not answer.stdout.strip().isdigit():
        raise ResourcesError(
            "resources.gpu", f"expected the memory of GPU {name}, got {(answer.stdout + answer.stderr).strip()!r}"
        )
    return int(answer.stdout)
