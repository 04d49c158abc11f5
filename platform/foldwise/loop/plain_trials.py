"""Step 7, the loop's map of plain trials: each is expanded to one fit per inner fold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from foldwise.loop.fit_pool import FitPool
from foldwise.loop.trial_map import EndedTrial, TrialMap
from foldwise.plan.plan import Plan
from foldwise.plan.study import Study
from foldwise.trial import Fit, FitResult, Trial

_OWNER = "trials"
_LEAST_BLOCK = 32
"""Trials that a study which does not adapt is asked for at once, so that chunks find fits that share a prefix."""


@dataclass(eq=False)
class OpenTrial:
    """A trial whose fits are under way.

    Parameters
    ----------
    study : Study
        Whose it is.
    trial : Trial
        As it was asked.
    results : list of FitResult or None
        Per inner fold, in fold order, whatever came first.
    wanted : set of int
        The folds whose fits were wanted.
    """

    study: Study
    trial: Trial
    results: list[FitResult | None]
    wanted: set[int]

    @property
    def missing(self) -> list[int]:
        """Inner folds that have no result."""
        return [number for number, result in enumerate(self.results) if result is None]


_Ticket: TypeAlias = tuple[OpenTrial, int]
"""The trial and the inner fold that a fit is wanted for."""


class PlainTrials(TrialMap):
    """Trials as fits of one pool, which runs equal fits once for all studies.

    A subclass may want a trial's folds a few at a time (`next_folds`), and give a trial up (`withdraw`).

    Parameters
    ----------
    plan : Plan
        What is run.
    pool : FitPool
        Answers fits.
    """

    def __init__(self, plan: Plan, pool: FitPool) -> None:
        self._plan, self._pool = plan, pool

    @property
    def n_running(self) -> int:  # noqa: D102
        return self._pool.n_chunks

    def n_wanted(self, *, is_idle: bool) -> int:
        """Return a whole batch where the search adapts, else a block that keeps the queue filled."""
        if self._plan.problem.settings.search.adapts:
            return self._plan.problem.settings.batch if is_idle else 0
        return 0 if self._pool.has_enough else max(_LEAST_BLOCK, self._pool.chunk_size)

    def map(self, study: Study, trials: Sequence[Trial]) -> None:
        """Want the fits of trials."""
        self._want(study, [OpenTrial(study, trial, [None] * len(study.folds), set()) for trial in trials])

    def end_study(self, study: Study) -> None:
        """Do nothing: what the study asked for waits in the pool."""

    def take(self, timeout: float) -> list[EndedTrial]:  # noqa: D102
        self._pool.wait(timeout)
        ended, went_on = [], []
        for (opened, fold), result in self._pool.take(_OWNER):
            opened.results[fold] = result
            if not opened.missing:
                ended.append(EndedTrial(opened.study.name, opened.trial, tuple(filter(None, opened.results))))
            elif len(opened.wanted) < len(opened.results):
                went_on.append(opened)
        for opened in went_on:
            self._want(opened.study, [opened])
        return ended

    def next_folds(self, opened: OpenTrial) -> Collection[int]:
        """Return the inner folds whose fits to want next: all of them. Those that are wanted already change nothing."""
        return range(len(opened.results))

    def withdraw(self, opened: OpenTrial) -> None:
        """Give up what a trial wants and has no result of; a fit that runs, or that another trial wants, goes on."""
        self._pool.withdraw(_OWNER, opened.study.name, self._wanted(opened, opened.wanted.intersection(opened.missing)))

    def _want(self, study: Study, trials: Sequence[OpenTrial]) -> None:
        """Want the next fits of a study's trials, all at once, since they are looked up together."""
        wanted = []
        for opened in trials:
            folds = [number for number in self.next_folds(opened) if number not in opened.wanted]
            opened.wanted.update(folds)
            wanted += self._wanted(opened, folds)
        self._pool.want(_OWNER, study.name, wanted)

    def _wanted(self, opened: OpenTrial, folds: Iterable[int]) -> list[tuple[Fit, _Ticket]]:
        trains = ((number, opened.study.folds[number].train) for number in folds)
        return [(self._plan.fit(opened.trial.params, train), (opened, number)) for number, train in trains]
