"""The Ray executor: fits as Ray tasks, on the cores of this machine or across a cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from foldwise.errors import ClusterError, Failure
from foldwise.executors.address import check_address
from foldwise.executors.base import Executor
from foldwise.executors.ray_session import SESSION, check_feasible, check_locally, count_slots
from foldwise.fit import Workshop, failure_of
from foldwise.imports import add_import_paths, added_import_paths
from foldwise.plan import Plan
from foldwise.resources import Resources
from foldwise.trial import Fit, FitResult

_MOST_LOSSES = 3
_PATIENCE = 5.0  # seconds without a first worker after which a wait is worth a word

_opened: dict[str, Workshop] = {}
"""On a worker: the workshop it last ran in, by its id in the object store."""


def run_chunk(boxed: list[Any], paths: Sequence[str], chunk: Sequence[Fit]) -> list[FitResult]:
    """Run fits on a worker. The workshop's reference comes boxed, so that Ray does not fetch it again each time."""
    import ray  # lazily: this runs on workers, and the driver imports Ray late

    (reference,) = boxed
    name = reference.hex()
    if name not in _opened:
        _opened.clear()
        add_import_paths(*paths)
        _opened[name] = ray.get(reference)
    return _opened[name].run(chunk)


@dataclass
class _Flight:
    """A chunk that is with Ray, and how often its worker was lost."""

    chunk: tuple[Fit, ...]
    losses: int = 0


class RayExecutor(Executor):
    """Runs fits as Ray tasks.

    Parameters
    ----------
    address : str, optional
        A running Ray ("auto" or "host:port"); None takes ``RAY_ADDRESS`` and, without it, starts a
        private Ray on this machine's cores, which serves later calls of this process and stops with it.
    """

    def __init__(self, address: str | None = None) -> None:
        check_address(address, "address")
        self._address = address
        self._ray: Any = None
        self._task: Any = None
        self._workshop: Any = None
        self._flights: dict[Any, _Flight] = {}
        self._n_jobs: int | None = None
        self._n_fit = 1
        self._resources = Resources()
        self._opened_at = 0.0
        self._heard = False

    def __reduce__(self) -> tuple[type[RayExecutor], tuple[str | None]]:
        return RayExecutor, (self._address,)  # where it runs; what it runs stays here

    def check(self, resources: Resources) -> None:  # noqa: D102
        check_address(os.environ.get("RAY_ADDRESS") or None, "RAY_ADDRESS")
        if self._is_private:
            check_locally(resources)

    def foresee(self, resources: Resources) -> int | None:  # noqa: D102
        if not self._is_private or resources.gpu or resources.custom:
            return None
        return max(1, int((os.cpu_count() or 1) / (resources.cpu or 1)))

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        ray = self._ray = SESSION.ensure(self._address)
        resources = self._resources = plan.problem.resources
        nodes = ray.nodes()
        check_feasible(resources, nodes)
        self._n_jobs = n_jobs
        self._n_fit = count_slots(resources, nodes)
        self._workshop = ray.put(Workshop.of(plan))
        # A lost worker's fits are retried here, where losses are counted; GPUs are asked for by options, since in the
        # decorator they make workers exit after each task.
        self._task = ray.remote(max_retries=0)(run_chunk).options(
            num_cpus=resources.cpu, num_gpus=resources.gpu, memory=resources.memory, resources=dict(resources.custom)
        )
        self._opened_at, self._heard = time.monotonic(), False

    @property
    def n_at_once(self) -> int:  # noqa: D102
        return self._n_fit if self._n_jobs is None else min(self._n_jobs, self._n_fit)

    @property
    def slots(self) -> int:  # noqa: D102
        # Twice the running ones, so that a worker finds its next chunk waiting.
        return 2 * self._n_fit if self._n_jobs is None else min(self._n_jobs, 2 * self._n_fit)

    @property
    def _is_private(self) -> bool:
        return not (self._address or os.environ.get("RAY_ADDRESS") or SESSION.is_joined)

    def submit(self, chunk: Sequence[Fit]) -> None:  # noqa: D102
        self._launch(_Flight(tuple(chunk)))

    def results(self, timeout: float | None = None) -> list[FitResult]:  # noqa: D102
        if not self._flights:
            return []
        ready, _ = self._ray.wait(list(self._flights), num_returns=1, timeout=timeout)
        if ready:
            ready, _ = self._ray.wait(list(self._flights), num_returns=len(self._flights), timeout=0)
        return [result for reference in ready for result in self._land(reference)]

    def cancel(self, keys: Collection[str]) -> None:  # noqa: D102
        for reference, flight in list(self._flights.items()):
            if all(fit.key in keys for fit in flight.chunk):
                del self._flights[reference]
                self._ray.cancel(reference, force=True)

    def close(self) -> None:  # noqa: D102
        for reference in self._flights:
            self._ray.cancel(reference, force=True)
        self._flights.clear()
        self._workshop = self._task = None

    def waits_for(self) -> str | None:  # noqa: D102
        if self._heard or not self._flights or time.monotonic() - self._opened_at < _PATIENCE:
            return None
        free = self._ray.available_resources()
        short = [
            f"{name} {amount:g} (free: {free.get(name, 0):g})"
            for name, amount in self._resources.amounts().items()
            if free.get(name, 0) < amount
        ]
        return f"waiting for a node with {', '.join(short)}" if short else None

    def _launch(self, flight: _Flight) -> None:
        self._flights[self._task.remote([self._workshop], added_import_paths(), flight.chunk)] = flight

    def _land(self, reference: Any) -> list[FitResult]:
        """Take the results of a chunk; send it again if its worker was lost."""
        flight = self._flights.pop(reference)
        exceptions = self._ray.exceptions
        try:
            results: list[FitResult] = self._ray.get(reference)
        except (
            exceptions.WorkerCrashedError,
            exceptions.OutOfMemoryError,
            exceptions.NodeDiedError,
            exceptions.ObjectLostError,
        ) as lost:
            if len(flight.chunk) > 1:  # one of them may have done it: each is tried alone, where a loss counts
                for fit in flight.chunk:
                    self._launch(_Flight((fit,)))
                return []
            flight.losses += 1
            if flight.losses < _MOST_LOSSES:
                self._launch(flight)
                return []
            reason = " ".join(str(lost).split())[:300]
            failure = Failure("WorkerLost", f"the worker was lost {flight.losses} times: {reason}")
            return [FitResult(fit.key, {}, time.time(), error=failure) for fit in flight.chunk]
        except exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            if any(fit.keep_model for fit in flight.chunk):  # a model that cannot be sent back
                return [FitResult(fit.key, {}, time.time(), error=failure_of(cause)) for fit in flight.chunk]
            words = " ".join(str(cause).split())[-500:]  # fits do not raise: the worker could not even begin
            raise ClusterError(f"expected workers that can open the job, got {type(cause).__name__}: {words}") from error
        self._heard = True
        return results
