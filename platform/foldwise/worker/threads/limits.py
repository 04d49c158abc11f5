"""All means together: a fit uses as many threads as it holds cores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import joblib

from foldwise.process.environment import changed
from foldwise.worker.threads.pools import cores, limited_pools
from foldwise.worker.threads.runtimes import limited_runtimes

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",  # what joblib counts as all cores, and LightGBM by it
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
"""Read by libraries as they are loaded or first used, by joblib each time, and by the processes that a fit starts."""


@contextlib.contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit what runs in this thread to so many threads, unless an estimator asks for another number itself.

    It holds for libraries that are loaded and for those that are loaded meanwhile. In joblib one job is the default, and all
    cores are as many. When it ends, everything has the threads that it had before.

    Parameters
    ----------
    threads : int
        At least 1.
    """
    with (
        changed(dict.fromkeys(_VARIABLES, str(threads))) as before,
        limited_pools(threads, before),
        limited_runtimes(threads, lambda: cores(before)),
        joblib.parallel_config(n_jobs=1),
    ):
        yield
