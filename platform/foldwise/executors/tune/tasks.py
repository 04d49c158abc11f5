"""Tasks of Tune's actors, and their outcomes. Knows nothing of Ray."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from foldwise.errors import Failure
from foldwise.trial import Fit, FitResult, Params, Segment, Trial, TrialEnd, TrialState
from foldwise.worker.lockstep import Progress

AS_ASKED = ""
"""The origin of a trial that has not taken another one's place."""


@dataclass(frozen=True, slots=True)
class TrialTask:
    """A scheduled trial.

    Parameters
    ----------
    study : str
        Name of its study.
    trial : Trial
        As its search asked it.
    key : str
        The plan's name of it.
    fits : tuple of Fit
        One per inner fold.
    horizon : int
        ``schedule.max_epochs``.
    params : mapping
        What it trains with from here on; population based training changes them.
    origin : str
        Names the takeover that it goes back to. A state that it kept before that is void.
    ended : Progress or None
        How it ended, where that is known already, and only Tune is still to be told.
    """

    study: str
    trial: Trial
    key: str
    fits: tuple[Fit, ...]
    horizon: int
    params: Params = field(default_factory=dict)
    origin: str = AS_ASKED
    ended: Progress | None = None

    def __str__(self) -> str:
        return f"{self.study}-{self.trial.number}"

    @property
    def file(self) -> str:
        """Where its state is kept, below the run's folder; another trial by that number has another key."""
        return f"{self}-{self.key[:12]}"

    def fail(self, failure: Failure, last: Progress | None) -> TrialTask:
        """Return the task of telling that it failed."""
        lineage = (Segment(self.trial.params, 0),) if last is None else last.lineage
        started = [time.time()] * len(self.fits) if last is None else [result.started for result in last.results]
        results = tuple(
            FitResult(fit.key, {}, began, error=failure) for fit, began in zip(self.fits, started, strict=True)
        )  # fmt: skip
        return replace(self, ended=Progress(float("nan"), results, lineage, () if last is None else last.curve))

    def end(self, progress: Progress, retries: int) -> TrialEnd:
        """Return the end of the trial."""
        state = TrialState.PRUNED if progress.epochs < self.horizon else TrialState.COMPLETE
        results = tuple(replace(result, retries=retries) for result in progress.results) if retries else progress.results
        return TrialEnd(
            self.study, self.trial.number, TrialState.FAILED if progress.has_failed else state, results, progress.lineage,
            progress.curve,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FitTask:
    """A plain fit: a choice that is judged, or the final model.

    Parameters
    ----------
    fit : Fit
        What to fit.
    ended : FitResult or None
        How it ended, where that is known already.
    """

    fit: Fit
    ended: FitResult | None = None

    def __str__(self) -> str:
        return f"fit-{self.fit.key[:12]}"

    def fail(self, failure: Failure) -> FitTask:
        """Return the task of telling that it failed."""
        return replace(self, ended=FitResult(self.fit.key, {}, time.time(), error=failure))


Task = TrialTask | FitTask


def task_of(trial: Any) -> Task:
    """Return the task of a trial of Tune, which stands in its config."""
    task: Task = trial.config["task"]
    return task
