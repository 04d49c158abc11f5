"""What Ray tasks do on workers: they open the run's fit context, once a worker, and run chunks of fits in it."""

from __future__ import annotations

import pickle
import re
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from foldwise.errors import ClusterError
from foldwise.executors.code import packed
from foldwise.executors.devices import leave_process, run_until_spent
from foldwise.executors.own_modules import forget_changed_modules, note_own_modules
from foldwise.inputs.imports import ImportPaths, take_import_paths
from foldwise.process.world import World
from foldwise.safety.masking import masked
from foldwise.trial import Fit, FitResult
from foldwise.worker.fit import FitContext
from foldwise.worker.threads import limited_threads

_LONGEST_REASON = 300
_MISSING = re.compile(r"No module named '([^']+)'")

_opened: dict[str, FitContext] = {}
"""On a worker: the fit context that it used last, by its id in the object store."""


def run_chunk(references: list[Any], paths: ImportPaths, chunk: Sequence[Fit]) -> list[FitResult]:
    """Run fits on a worker. The references come in a list, so that Ray does not fetch what they name with each task."""
    results = [packed(result) for result in open_context(references, paths).run(chunk)]
    note_own_modules()
    return results


def open_context(references: list[Any], paths: ImportPaths) -> FitContext:
    """Return the fit context that references name, if this world is the driver's. A worker keeps the last one open.

    Raises
    ------
    ClusterError
        If versions or code differ here.
    """
    import ray  # lazily: this runs on workers, and the driver imports Ray late

    surroundings, reference = references
    name = reference.hex()
    note_own_modules()
    if name not in _opened:
        _opened.clear()
        take_import_paths(paths)
        forget_changed_modules()
        world: World
        world, threads = ray.get(surroundings)
        world.check_versions()
        with world.applied(), limited_threads(threads):  # what it imports reads the environment, and counts cores
            world.check_code()
            _opened[name] = _fetched(ray, reference)
    return _opened[name]


def _fetched(ray: Any, reference: Any) -> FitContext:
    try:
        context: FitContext = ray.get(reference)
    except Exception as error:  # Ray's own kind of error, which quotes the one of unpickling
        missing = _MISSING.search(str(error))
        if missing is None:
            raise
        raise ClusterError(
            f"expected the module {missing[1]} on node {socket.gethostname()}, got none; send the folder that it is in "
            "(code: in a job), or install it there"
        ) from error
    return context


def run_watched(references: list[Any], paths: ImportPaths, chunk: Sequence[Fit]) -> Iterator[list[FitResult] | None]:
    """Tell that a worker has begun, and that it is ready; then run fits.

    So the driver can tell a chunk that waits for a worker from one that hangs on it. To open the job, which imports the
    estimator's module, is no part of a fit's time.
    """
    yield None
    make_ready(open_context(references, paths), chunk)
    yield None
    yield run_chunk(references, paths, chunk)


def make_ready(context: FitContext, chunk: Sequence[Fit]) -> None:
    """Load what fits need, in the surroundings in which they will run."""
    with context.surroundings():
        context.prepare(*(fit.params for fit in chunk))


def run_on_gpu(references: list[Any], paths: ImportPaths, chunk: Sequence[Fit]) -> Iterator[list[FitResult] | None]:
    """Run fits likewise, until the GPU's memory is spent; then the worker tells what it has run, and ends."""
    yield None
    make_ready(open_context(references, paths), chunk)
    yield None
    results, is_spent = run_until_spent(open_context(references, paths), chunk)
    yield [packed(result) for result in results]
    if is_spent:
        leave_process()


def put_context(ray: Any, context: FitContext) -> list[Any]:
    """Put a fit context, and before it the world that it needs, into the object store, where workers open it.

    Raises
    ------
    ClusterError
        If there is no room for it, or it cannot be sent.
    """
    try:
        return [ray.put((context.world, context.threads)), ray.put(context)]
    except (TypeError, pickle.PicklingError) as error:
        raise ClusterError(
            "expected an estimator, data and scorers that can be sent to workers, got "
            f"{type(error).__name__}: {short_reason(error)}"
        ) from error
    except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError) as full:
        raise ClusterError(
            "expected room for the data in Ray's object store and the disk behind it, got "
            f"{type(full).__name__}: {short_reason(full)}; start Ray with more object_store_memory, or free its temporary "
            "folder"
        ) from full


def short_reason(error: BaseException) -> str:
    """Return the end of a message: Ray's begin with a traceback."""
    return " ".join(masked(str(error)).split())[-_LONGEST_REASON:] or "no message"
