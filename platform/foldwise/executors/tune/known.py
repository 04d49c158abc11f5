"""Trials that ended in an earlier run: what the schedulers of this one are told of them, before they judge others."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from foldwise.trial import TrialEnd, TrialState


class Recalled:
    """Stands before a scheduler for a trial that has ended."""

    def __init__(self, end: TrialEnd) -> None:
        self.end, self.trial_id, self.status, self.is_saving = end, f"{end.study}-{end.number}-recalled", "TERMINATED", False

    def tell(self, judge: Any, view: Any) -> None:
        """Tell a scheduler of the trial's curve, as it was told at the time, and of its end."""
        judge.on_trial_add(view, self)
        last: dict[str, Any] = {}
        for epoch, value in self.end.curve:
            last = as_seen(epoch, value, 1)
            judge.on_trial_result(view, self, last)
        if last and self.end.state is not TrialState.FAILED:
            judge.on_trial_complete(view, self, last)
        else:
            judge.on_trial_error(view, self)


class Known:
    """Ends of trials, on their way from the run's thread to Tune's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[str, list[TrialEnd]] = {}

    def add(self, ends: Iterable[TrialEnd]) -> None:
        """Leave ends."""
        with self._lock:
            for end in ends:
                self._ends.setdefault(end.study, []).append(end)

    def take(self, study: str) -> list[TrialEnd]:
        """Take those of a study; each is taken once."""
        with self._lock:
            return self._ends.pop(study, [])


def as_seen(epochs: int, value: float, grace_epochs: int) -> dict[str, Any]:
    """Return what schedulers need of a result; some keep all that they are given."""
    return {"epochs": epochs, "rounds": epochs / grace_epochs, "value": value, "training_iteration": epochs}
