"""Trials that ended in an earlier run: what the schedulers of this run are told of them, before they judge others."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from foldwise.trial import TrialEnd, TrialState


class PastTrial:
    """A trial that ended in an earlier run, as Tune's schedulers see a trial.

    Parameters
    ----------
    end : TrialEnd
        How it ended.
    """

    def __init__(self, end: TrialEnd) -> None:
        self.end, self.trial_id, self.status, self.is_saving = end, f"{end.study}-{end.number}-recalled", "TERMINATED", False

    def replay(self, scheduler: Any, controller: Any) -> None:
        """Tell a scheduler the trial's curve, as it was told at the time, and the trial's end."""
        scheduler.on_trial_add(controller, self)
        last: dict[str, Any] = {}
        for epoch, value in self.end.curve:
            last = scheduler_result(epoch, value, 1)
            scheduler.on_trial_result(controller, self, last)
        if last and self.end.state is not TrialState.FAILED:
            scheduler.on_trial_complete(controller, self, last)
        else:
            scheduler.on_trial_error(controller, self)


class PastEnds:
    """Ends of earlier trials, on their way from the run's thread to Tune's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_study: dict[str, list[TrialEnd]] = {}

    def add(self, ends: Iterable[TrialEnd]) -> None:
        """Add ends."""
        with self._lock:
            for end in ends:
                self._by_study.setdefault(end.study, []).append(end)

    def take(self, study: str) -> list[TrialEnd]:
        """Take the ends of a study; each is taken once."""
        with self._lock:
            return self._by_study.pop(study, [])


def scheduler_result(epochs: int, value: float, grace_epochs: int) -> dict[str, Any]:
    """Return what a scheduler needs of a result. Some schedulers keep all that they are given, so it is little."""
    return {"epochs": epochs, "rounds": epochs / grace_epochs, "value": value, "training_iteration": epochs}
