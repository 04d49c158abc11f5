"""Step 8, the loop's state: a study while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from foldwise.plan import Plan, Study
from foldwise.reduce import OuterResult
from foldwise.search import Asker
from foldwise.trial import Fit, FitResult, Trial


@dataclass
class _OpenTrial:
    """A trial whose fits are under way; results stand in fold order, whatever came first."""

    trial: Trial
    results: list[FitResult | None]

    @property
    def is_whole(self) -> bool:
        return all(result is not None for result in self.results)


@dataclass
class LiveStudy:
    """A study that asks, waits and is told.

    Parameters
    ----------
    study : Study
        Its plan.
    asker : Asker
        Its own search.
    reduce : callable
        Merges a trial and its results.
    trials : list of Trial
        Reduced, in the order asked.
    chosen : Trial or None
        Its choice, once every trial is reduced.
    outer : OuterResult or None
        How the choice did on the outer fold.
    """

    study: Study
    asker: Asker
    reduce: Callable[[Trial, Sequence[FitResult]], Trial]
    trials: list[Trial] = field(default_factory=list)
    chosen: Trial | None = None
    outer: OuterResult | None = None
    n_asked: int = 0
    _open: dict[int, _OpenTrial] = field(default_factory=dict)
    _untold: dict[int, Trial] = field(default_factory=dict)

    @property
    def is_searched(self) -> bool:
        """Whether every trial is asked, reduced and told."""
        return self.asker.done and not self._open and not self._untold

    @property
    def is_idle(self) -> bool:
        """Whether none of its trials is under way."""
        return not self._open

    def ask(self, n: int, plan: Plan) -> list[tuple[int, int, Fit]]:
        """Ask for up to n trials, and expand them to fits: (trial number, inner fold, fit)."""
        asked = self.asker.ask(n)
        self.n_asked += len(asked)
        fits = []
        for trial in asked:
            self._open[trial.number] = _OpenTrial(trial, [None] * len(self.study.folds))
            fits += [(trial.number, i, plan.fit(trial.params, fold.train)) for i, fold in enumerate(self.study.folds)]
        return fits

    def settle(self, number: int, fold: int, result: FitResult) -> Trial | None:
        """Take one fold's result; returns the reduced trial once it is whole."""
        trial = self._open[number]
        trial.results[fold] = result
        if not trial.is_whole:
            return None
        del self._open[number]
        reduced = self.reduce(trial.trial, [one for one in trial.results if one is not None])
        self._untold[number] = reduced
        return reduced

    def tell(self) -> None:
        """Tell the search of reduced trials, in the order of their numbers and as far as that goes without a gap."""
        ready = []
        while (number := len(self.trials)) in self._untold:
            ready.append(self._untold.pop(number))
            self.trials.append(ready[-1])
        if ready:
            self.asker.tell(ready)
