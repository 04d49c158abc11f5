"""Thread pools of BLAS and OpenMP, as threadpoolctl finds them: one for each library that is loaded."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from typing import Any

from threadpoolctl import ThreadpoolController

from foldwise.process.environment import Changes

_VARIABLES = {
    "openblas": ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
    "mkl": ("MKL_NUM_THREADS", "OMP_NUM_THREADS"),
    "blis": ("BLIS_NUM_THREADS", "OMP_NUM_THREADS"),
    "openmp": ("OMP_NUM_THREADS",),
}
"""What a pool takes its number of threads from when it is loaded; otherwise it takes all cores."""


@contextlib.contextmanager
def limited_pools(threads: int, environment: Changes) -> Iterator[None]:
    """Limit all pools for a time; those that are loaded meanwhile then get what ``environment`` would have given them."""
    controller = _controller(len(sys.modules))
    try:
        with controller.limit(limits=threads):
            yield
    finally:
        after = _controller(len(sys.modules))
        if after is not controller:
            known = {library.filepath for library in controller.lib_controllers}
            for library in after.lib_controllers:
                if library.filepath not in known:
                    library.set_num_threads(_usual(library, environment))


@functools.lru_cache(maxsize=1)
def _controller(n_modules: int) -> ThreadpoolController:
    """Find the pools once, and again whenever modules were loaded since: finding them takes milliseconds."""
    return ThreadpoolController()


def _usual(library: Any, environment: Changes) -> int:
    """Return the threads that a pool has where nobody limits it."""
    for name in _VARIABLES.get(library.internal_api, ()):
        first = (environment.get(name) or "").partition(",")[0].strip()
        if first.isdigit() and int(first):
            return int(first)
    return cores(environment)


def cores(environment: Changes) -> int:
    """Return the cores that this process may use, as joblib counts them in an environment."""
    said = environment.get("LOKY_MAX_CPU_COUNT") or ""
    most = int(said) if said.isdigit() else os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else most
    return max(1, min(most, allowed))
