"""The serial executor: in this process, one fit after the other. The oracle of all others."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from foldwise.errors import InputError, ResourcesError, Setting
from foldwise.executors.base import Executor
from foldwise.plan.limits import Limits
from foldwise.plan.plan import Plan
from foldwise.plan.resources import Resources
from foldwise.trial import Fit, FitResult
from foldwise.worker.fit import FitContext
from foldwise.worker.guard import FitGuard


class SerialExecutor(Executor):
    """Runs fits in this process, in the order submitted.

    An alarm stops a fit that takes longer than ``limits.fit_seconds``. It reaches Python code only; code in C stops when it
    returns. A fit that ends its process ends the search.
    """

    def __init__(self) -> None:
        self._context: FitContext | None = None
        self._waiting: deque[tuple[Fit, ...]] = deque()
        self._done: list[FitResult] = []

    def check(self, resources: Resources, limits: Limits | None = None) -> None:  # noqa: D102
        if limits is not None and limits.fit_seconds is not None and not FitGuard.can_watch():
            raise InputError(
                "limits.fit_seconds",
                "expected none with the serial executor outside a process's main thread, where no alarm reaches a fit, got "
                f"{limits.fit_seconds:g}",
                fix=("use ", Setting("executor", "'ray'")),
            )
        if resources.gpu or resources.custom:
            asked = {name: amount for name, amount in resources.amounts().items() if name not in {"CPU", "memory"}}
            raise ResourcesError(
                "resources",
                f"expected cpu and memory only with the serial executor, got {asked}",
                fix=("use ", Setting("executor", "'ray'")),
            )

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        self._context = FitContext.of(plan)

    def foresee(self, resources: Resources) -> int | None:  # noqa: D102
        return 1

    @property
    def n_at_once(self) -> int:  # noqa: D102
        return 1

    @property
    def slots(self) -> int:  # noqa: D102
        return 1

    def submit(self, chunk: Sequence[Fit]) -> None:  # noqa: D102
        self._waiting.append(tuple(chunk))

    def results(self, timeout: float | None = None) -> list[FitResult]:  # noqa: D102
        assert self._context is not None
        if self._waiting:
            # Results are kept aside one by one: an interrupt can come within a chunk.
            self._context.run(self._waiting.popleft(), self._done)
        return self.finished()

    def finished(self) -> list[FitResult]:  # noqa: D102
        done, self._done = self._done, []
        return done

    def cancel(self, keys: Collection[str]) -> None:  # noqa: D102
        left = (tuple(fit for fit in chunk if fit.key not in keys) for chunk in self._waiting)
        self._waiting = deque(chunk for chunk in left if chunk)

    def close(self) -> None:  # noqa: D102
        self._waiting.clear()
        self._done.clear()
        self._context = None
