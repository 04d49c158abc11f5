"""The Ray executor: fits as Ray tasks, on the cores of this machine or across a cluster."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from foldwise.errors import ClusterError
from foldwise.executors.address import check_address
from foldwise.executors.base import Executor
from foldwise.executors.capacity import Capacity
from foldwise.executors.code import SentCode, unpacked
from foldwise.executors.compat import waited_for
from foldwise.executors.devices import share_of
from foldwise.executors.local_resources import check_locally
from foldwise.executors.losses import InFlight, Loss, after_loss
from foldwise.executors.ray_session import SESSION
from foldwise.executors.ray_tasks import put_context, run_chunk, run_on_gpu, run_watched, short_reason
from foldwise.executors.resource_wait import ResourceWait
from foldwise.executors.turns import Turns
from foldwise.inputs.imports import ImportPaths, import_paths
from foldwise.plan.limits import Limits
from foldwise.plan.plan import Plan
from foldwise.plan.resources import Resources
from foldwise.trial import Fit, FitResult
from foldwise.worker.fit import FitContext, failure_of
from foldwise.worker.guard import FitGuard

_NODES_EVERY = 1.0  # seconds between counts of the nodes, which come and go
_COUNTING = 0.01  # share of the time that counting them may take, where they are many
_LATE = 30.0  # seconds that a worker may take to end itself, or to import what a fit asks for, before the driver ends it
_MOST_PUTS = 10


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
        self._tasks: Mapping[bool, Any] = {}
        self._context: FitContext | None = None
        self._references: list[Any] = []
        self._code: SentCode | None = None
        self._classes: list[type] = []
        self._paths = ImportPaths()
        self._n_puts = 0
        self._waiting: deque[InFlight] = deque()
        self._in_flight: dict[Any, InFlight] = {}
        self._watched: dict[Any, float | None] = {}
        self._n_jobs: int | None = None
        self._limits = Limits()
        self._capacity = Capacity(Resources())
        self._count_at = 0.0
        self._is_shared = False
        self._wait, self._turns = ResourceWait(None, self._capacity, has_free=False, now=0.0), Turns(0.0)

    def __reduce__(self) -> tuple[type[RayExecutor], tuple[str | None]]:
        return RayExecutor, (self._address,)  # where it runs; what it runs stays here

    def check(self, resources: Resources, limits: Limits | None = None) -> None:  # noqa: D102
        check_address(os.environ.get("RAY_ADDRESS") or None, "RAY_ADDRESS")
        if self._is_private:
            check_locally(resources)

    def foresee(self, resources: Resources) -> int | None:  # noqa: D102
        if not self._is_private or resources.gpu or resources.custom:
            return None
        return max(1, int((os.cpu_count() or 1) / (resources.cpu or 1)))

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        self._ray = SESSION.ensure(self._address)
        resources, self._limits = plan.problem.settings.resources, plan.problem.settings.limits
        self._n_jobs, self._n_puts, self._is_shared = n_jobs, 0, SESSION.is_joined
        self._count_nodes(resources)
        if not (self._is_shared and self._limits.wait_seconds is not None):
            self._capacity.check()
        self._code, self._classes = SentCode(self._ray), plan.identity.digester.own_classes
        self._paths = import_paths()
        world = self._code.agree(SESSION.world_for_workers(plan.world), self._paths)
        guard = FitGuard(self._limits.fit_seconds, may_exit=True)
        self._context = replace(FitContext.of(plan), guard=guard, world=world)
        self._put()
        now = time.monotonic()
        self._wait = ResourceWait(self._limits.wait_seconds, self._capacity, has_free=self._is_free(), now=now)
        self._turns = Turns(now)
        # A lost worker's fits are retried here, where losses are counted; GPUs are asked for by options, since in the
        # decorator they make workers exit after each task.
        options = {
            "num_cpus": resources.cpu, "num_gpus": resources.gpu, "memory": resources.memory,
            "resources": dict(resources.custom),
        }  # fmt: skip
        task = self._ray.remote(max_retries=0)
        self._tasks = {
            False: task(run_chunk).options(**options),
            True: task(run_watched).options(num_returns="streaming", **options),
        }
        if resources.gpu:  # workers of their own, which know their share before they touch the device
            told = {"env_vars": share_of(resources)}
            watched = task(run_on_gpu).options(num_returns="streaming", runtime_env=told, **options)
            self._tasks = {False: watched, True: watched}

    @property
    def n_at_once(self) -> int:  # noqa: D102
        n_fits = max(1, self._capacity.n_fits)  # where there is no room, something waits for it
        return n_fits if self._n_jobs is None else min(self._n_jobs, n_fits)

    @property
    def slots(self) -> int:  # noqa: D102
        # Twice the running ones, so that a worker finds its next chunk waiting.
        return 2 * self.n_at_once if self._n_jobs is None else min(self._n_jobs, 2 * self.n_at_once)

    @property
    def _is_private(self) -> bool:
        return not (self._address or os.environ.get("RAY_ADDRESS") or SESSION.is_joined)

    def submit(self, chunk: Sequence[Fit]) -> None:  # noqa: D102
        self._waiting.append(InFlight(tuple(chunk)))
        self._launch()

    def results(self, timeout: float | None = None) -> list[FitResult]:  # noqa: D102
        self._launch()
        results = [result for handle in self._ready(timeout) for result in self._take(handle)]
        self._look_after()
        return results

    def cancel(self, keys: Collection[str]) -> None:  # noqa: D102
        left = (in_flight.less(keys) for in_flight in self._waiting)
        self._waiting = deque(in_flight for in_flight in left if in_flight is not None)
        for handle, in_flight in list(self._in_flight.items()):
            if all(fit.key in keys for fit in in_flight.chunk):
                self._forget(handle)
                self._ray.cancel(handle, force=True)

    def close(self) -> None:  # noqa: D102
        for handle in list(self._in_flight):
            self._forget(handle)
            self._ray.cancel(handle, force=True)
        self._waiting.clear()
        self._context, self._references = None, []
        self._tasks = {}
        if self._code is not None:
            self._code.close()

    def waits_for(self) -> str | None:  # noqa: D102
        if not self._in_flight and not self._turns.is_ours:
            return "waiting for other jobs, whose turn it is"
        reason = self._reason(time.monotonic())
        return None if reason is None else f"{reason}; {self._wait.prospect()}"

    # --- sending ---

    def _launch(self) -> None:
        """Send what waits, as far as there is room; what must wait longer is passed over."""
        now = time.monotonic()
        for _ in range(len(self._waiting)):
            if len(self._in_flight) >= self.slots or not self._turns.is_ours:
                return
            in_flight = self._waiting.popleft()
            if in_flight.not_before > now:
                self._waiting.append(in_flight)
            else:
                self._send(in_flight)

    def _send(self, in_flight: InFlight) -> None:
        # Watching costs a millisecond, so it is kept for those that may hang, and those that may find no room: the first,
        # and all where other jobs may take it.
        may_hang = self._limits.fit_seconds is not None or self._capacity.resources.gpu > 0
        is_watched = may_hang or self._is_shared or not self._wait.has_begun
        handle = self._tasks[is_watched].remote(self._references, self._paths, in_flight.chunk)
        self._in_flight[handle] = in_flight
        if is_watched:
            self._watched[handle] = None

    def _put(self) -> None:
        assert self._context is not None
        self._references = put_context(self._ray, self._context)
        self._n_puts += 1

    # --- taking ---

    def _ready(self, timeout: float | None) -> list[Any]:
        """Wait until something is there, and return all that is."""
        if not self._in_flight:
            if self._waiting:  # for memory, or for other jobs
                time.sleep(min(0.1, timeout or 0.1))
            return []
        ready, _ = self._ray.wait(list(self._in_flight), num_returns=1, timeout=timeout)
        if ready:
            ready, _ = self._ray.wait(list(self._in_flight), num_returns=len(self._in_flight), timeout=0)
        return list(ready)

    def _take(self, handle: Any) -> list[FitResult]:
        """Take a chunk's message: that it has begun, its results, or that its worker was lost."""
        try:
            said: list[FitResult] | None = self._ray.get(next(handle) if handle in self._watched else handle)
        except self._ray.exceptions.RayError as error:
            return self._lose(handle, error)
        now = time.monotonic()
        self._wait.note_running(now)
        if said is None:  # first that it has begun, then that it is ready: from there on it is timed
            self._watched[handle] = math.inf if self._watched[handle] is None else now
            return []
        in_flight, said = self._forget(handle), [unpacked(result, self._classes) for result in said]
        if (left := in_flight.less({result.key for result in said})) is not None:
            self._waiting.appendleft(left)
        return in_flight.settle(said)

    def _forget(self, handle: Any) -> InFlight:
        self._watched.pop(handle, None)
        return self._in_flight.pop(handle)

    def _lose(self, handle: Any, error: BaseException) -> list[FitResult]:
        """Send a chunk again whose worker was lost, or say why not."""
        is_late, in_flight, cause = self._is_late(handle), self._forget(handle), getattr(error, "cause", None) or error
        loss = self._loss_of(cause)
        if isinstance(cause, ClusterError):  # the worker's world is not the driver's
            raise ClusterError(str(cause)) from error
        if loss is None:
            if any(fit.keep_model for fit in in_flight.chunk):  # a model that cannot be sent back
                failure = failure_of(cause)
                return in_flight.fail(failure.kind, failure.message)
            # Fits do not raise: the worker could not even begin.
            raise ClusterError(
                f"expected workers that can open the job, got {type(cause).__name__}: {short_reason(cause)}"
            ) from error
        if is_late and in_flight.is_alone:  # its time is over; another try would take as long
            limit = self._limits.fit_seconds
            return in_flight.fail(
                "TimeLimitExceeded", f"the fit took longer than {limit:g} s (limits.fit_seconds), and its worker was ended"
            )
        if loss is Loss.DATA and self._n_puts < _MOST_PUTS:
            self._put()
        again, given_up = after_loss(in_flight, loss, short_reason(cause), time.monotonic())
        if in_flight.is_alone:
            self._waiting.extend(again)  # behind others: what lost it may pass meanwhile
        else:
            self._waiting.extendleft(reversed(again))
        self._launch()
        return given_up

    def _loss_of(self, error: BaseException) -> Loss | None:
        exceptions = self._ray.exceptions
        if isinstance(error, exceptions.OutOfMemoryError):
            return Loss.MEMORY
        if isinstance(error, exceptions.WorkerCrashedError | exceptions.TaskCancelledError):
            return Loss.WORKER
        if isinstance(error, exceptions.NodeDiedError | exceptions.LocalRayletDiedError):
            return Loss.NODE
        return Loss.DATA if isinstance(error, exceptions.ObjectLostError) else None

    # --- looking after what runs ---

    def _is_late(self, handle: Any, spare: float = 0.0) -> bool:
        """Tell whether a chunk has run for longer than its fits may in all."""
        begun, limit = self._watched.get(handle), self._limits.fit_seconds
        if begun is None or limit is None:
            return False
        return time.monotonic() - begun > limit * len(self._in_flight[handle].chunk) + spare

    def _look_after(self) -> None:
        """End workers that hang, count the nodes, and give up on resources that never come."""
        if self._limits.fit_seconds is not None:
            self._end_late()
        now = time.monotonic()
        if now >= self._count_at:
            self._count_nodes(self._capacity.resources)
            self._wait.note_capacity(self._capacity, now)
        if self._n_running:
            self._wait.note_running(now)
        elif not self._in_flight:
            self._wait.reset(now)
        elif (reason := self._reason(now)) is not None:
            self._wait.check(reason, now)
        if self._is_shared:
            self._turns.look(self._n_running, self._capacity.n_fits, self._others_wait, self._is_free, now)

    def _end_late(self) -> None:
        guard = FitGuard(self._limits.fit_seconds)
        for handle, in_flight in self._in_flight.items():
            if self._is_late(handle, spare=_LATE + (guard.patience - (guard.seconds or 0.0)) * len(in_flight.chunk)):
                self._ray.cancel(handle, force=True)

    @property
    def _n_running(self) -> int:
        """Chunks that are known to have begun; where nothing is shared only the first are watched."""
        return sum(begun is not None for begun in self._watched.values())

    def _reason(self, now: float) -> str | None:
        """Say what keeps fits from running."""
        if not self._in_flight or self._n_running or not self._wait.is_silent(now):
            return None
        may_run_unseen = len(self._watched) < len(self._in_flight)
        free = None if may_run_unseen else self._ray.available_resources()
        return self._wait.reason(self._capacity, free, now)

    def _others_wait(self) -> bool:
        return self._capacity.others_in(waited_for(self._ray))

    def _is_free(self) -> bool:
        return self._capacity.has_free(self._ray.available_resources())

    def _count_nodes(self, resources: Resources) -> None:
        started = time.monotonic()
        self._capacity = Capacity.of(resources, self._ray.nodes())
        ended = time.monotonic()
        self._count_at = ended + max(_NODES_EVERY, (ended - started) / _COUNTING)
