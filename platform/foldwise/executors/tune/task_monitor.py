"""Tasks while actors run them: when each gave its last sign of life, and how often it lost its process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from foldwise.errors import Failure
from foldwise.executors.losses import Loss
from foldwise.executors.tune.tasks import FitTask, Task
from foldwise.trial import count_epochs
from foldwise.worker.guard import FitGuard

_SPARE = 30.0
"""Seconds that an actor may take to end itself, or to import what a fit asks for, before the driver ends it."""
_LONGEST_REASON = 300


class TaskMonitor:
    """Monitors tasks, by the ids of their trials in Tune.

    Parameters
    ----------
    seconds : float or None
        ``limits.fit_seconds``.
    is_open : callable
        Tells whether an actor has opened the job, of what `on_start` was given.
    clock : callable, optional
        Monotonic seconds.
    """

    def __init__(self, seconds: float | None, is_open: Callable[[Any], bool], clock: Callable[[], float] = time.monotonic):
        self._seconds, self._is_open, self._clock = seconds, is_open, clock
        self._heard: dict[str, float] = {}
        self._opening: dict[str, Any] = {}
        self._epochs: dict[str, int] = {}
        self._suspected: dict[str, int] = {}
        self._ended: set[str] = set()
        self._losses: dict[str, list[Loss]] = {}
        self.last_sign_of_life = clock()

    def on_start(self, name: str, opening: Any) -> None:
        """Note that an actor begins; to open the job, which imports the estimator's module, is no part of a fit's time."""
        self._opening[name] = opening
        self._hear(name)

    def on_result(self, name: str, epochs: int) -> None:
        """Note that an actor has reported what its task came to after some epochs."""
        self._opening.pop(name, None)
        self._epochs[name] = epochs
        self._hear(name)

    def on_end(self, name: str) -> None:
        """Note that a task has ended."""
        for known in (self._heard, self._opening, self._epochs, self._suspected, self._losses):
            known.pop(name, None)
        self._ended.discard(name)
        self.last_sign_of_life = self._clock()

    def n_losses(self, name: str) -> int:
        """Return how often a task has lost its process."""
        return len(self._losses.get(name, ()))

    def is_overdue(self, name: str, task: Task) -> bool:
        """Tell whether an actor has overrun its time and is to be ended, and note it. A stopped process does not end itself."""
        if self._seconds is None or name not in self._heard:
            return False
        if self._silence(name) <= FitGuard(self._seconds * _n_epochs(task)).patience + _SPARE:
            return False
        self._ended.add(name)
        return True

    def after_loss(self, name: str, task: Task, loss: Loss, reason: str) -> Failure | None:
        """Return None if a task that lost its actor goes on from its state, or why it does not."""
        losses = self._losses.setdefault(name, [])
        losses.append(loss)
        if loss is Loss.WORKER and self._is_late(name, task):
            late = f"it took longer than {self._seconds:g} s (limits.fit_seconds), and its process was ended"
            return Failure("TimeLimitExceeded", late)
        n = sum(one.kind == loss.kind for one in losses)
        if n < loss.most:
            return None
        words = " ".join(reason.split())[-_LONGEST_REASON:]
        return Failure(loss.kind, f"{loss.words} {n} times while it ran this alone: {words}")

    def _is_late(self, name: str, task: Task) -> bool:
        """Tell whether a process was ended for its time, by the driver or by the watchdog in it.

        The watchdog may have ended any fold of a trial's epoch, and a process that is lost by chance late in an epoch has been
        silent for as long. So a trial goes on once, and is late if it is lost in the very epoch again.
        """
        if name in self._ended:
            return True
        if self._seconds is None or name not in self._heard:
            return False
        silence = self._silence(name)
        if isinstance(task, FitTask):
            return silence > self._seconds * _n_epochs(task)
        if silence < FitGuard(self._seconds).patience:
            return False
        epochs = self._epochs.get(name, 0)
        was_suspected = self._suspected.get(name) == epochs
        self._suspected[name] = epochs
        return was_suspected

    def _silence(self, name: str) -> float:
        if name in self._opening:
            if not self._is_open(self._opening[name]):
                return 0.0
            self._opening.pop(name, None)
            self._hear(name)
        return self._clock() - self._heard[name]

    def _hear(self, name: str) -> None:
        self.last_sign_of_life = self._heard[name] = self._clock()


def _n_epochs(task: Task) -> int:
    """Return how many epochs an actor may train before it says something."""
    fits = (task.fit,) if isinstance(task, FitTask) else task.fits
    return sum(max(1, count_epochs(fit.lineage)) for fit in fits)
