"""The queue between a run's thread and Tune's: tasks go one way, outcomes the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable

from foldwise.errors import ClusterError
from foldwise.executors.tune.tasks import FitTask, Task, TrialTask
from foldwise.trial import FitResult, TrialEnd


class QueueClosed(Exception):  # noqa: N818  (it is no error)
    """The queue is closed: no task comes any more."""


class TaskQueue:
    """Tasks on their way from one thread to another, and results on their way back.

    Plain fits come first: they score a study, and take little time.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._fits: deque[FitTask] = deque()
        self._trials: deque[TrialTask] = deque()
        self._results: list[FitResult] = []
        self._ends: list[TrialEnd] = []
        self._out: set[str] = set()  # keys of the fits and trials that are expected back
        self._n_taken = 0
        self._failure: str | None = None
        self._is_closed = False

    # --- the run's side ---

    def submit(self, tasks: Iterable[Task]) -> None:
        """Add tasks, in their order."""
        with self._changed:
            for task in tasks:
                if isinstance(task, FitTask):
                    self._fits.append(task)
                    self._out.add(task.fit.key)
                else:
                    self._trials.append(task)
                    self._out.add(task.key)
            self._changed.notify_all()

    def cancel(self, keys: Collection[str]) -> None:
        """Forget plain fits. No result of them is returned any more."""
        with self._changed:
            self._fits = deque(task for task in self._fits if task.fit.key not in keys)
            self._results = [result for result in self._results if result.key not in keys]
            self._out -= set(keys)

    def take_results(self, timeout: float | None) -> list[FitResult]:
        """Wait until some plain fits are done, and return all that are."""
        with self._changed:
            self._changed.wait_for(lambda: self._results or self._failure or not self._out, timeout)
            self._raise_failure()
            done, self._results = self._results, []
            return done

    def take_ends(self, timeout: float | None) -> list[TrialEnd]:
        """Wait until some trials have ended, and return all that have."""
        with self._changed:
            self._changed.wait_for(lambda: self._ends or self._failure or not self._out, timeout)
            self._raise_failure()
            ended, self._ends = self._ends, []
            return ended

    def close(self) -> None:
        """Close the queue: no task is added, and no outcome is taken any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    @property
    def is_idle(self) -> bool:
        """Whether all tasks have an outcome."""
        return not self._out

    # --- Tune's side ---

    @property
    def is_closed(self) -> bool:
        """Whether the queue is closed, so that Tune is to end."""
        return self._is_closed

    def next_task(self) -> Task | None:
        """Return the next task; None if there is none now. Where no task is under way, wait for one.

        Raises
        ------
        QueueClosed
            If none will come.
        """
        with self._changed:
            if not self._n_taken:
                self._changed.wait_for(lambda: self._fits or self._trials or self._is_closed)
            if self._is_closed:
                raise QueueClosed
            task = self._fits.popleft() if self._fits else self._trials.popleft() if self._trials else None
            self._n_taken += task is not None
            return task

    def complete(self, key: str, outcome: FitResult | TrialEnd) -> None:
        """Add the outcome of a task; that of a fit that was cancelled is dropped."""
        with self._changed:
            self._n_taken -= 1
            if key not in self._out:
                return
            self._out.discard(key)
            if isinstance(outcome, FitResult):
                self._results.append(outcome)
            else:
                self._ends.append(outcome)
            self._changed.notify_all()

    def fail(self, reason: str) -> None:
        """Note why the run cannot go on; whoever waits for outcomes raises it."""
        with self._changed:
            self._failure = reason
            self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise ClusterError(self._failure)
