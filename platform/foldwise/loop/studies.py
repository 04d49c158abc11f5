"""Step 8, the loop's state: a study while it runs, and the ways that its trials may take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from foldwise.plan.plan import Study
from foldwise.plan.scoring import Scoring
from foldwise.reduce.reduce import Choice, OuterResult
from foldwise.search import Asker
from foldwise.trial import FitResult, Trial, TrialEnd

Settle: TypeAlias = Callable[[Trial, Sequence[FitResult], TrialEnd | None], None]
"""Told of a trial when its folds' results are there, in fold order; with its end if a schedule judged it."""


class TrialMap(ABC):
    """The map: trials that studies ask about go in, results of their inner folds come out. The seam is the trial."""

    @abstractmethod
    def n_wanted(self, *, is_idle: bool) -> int:
        """Say how many trials to ask a study for now, of which none is under way if it is idle."""

    @abstractmethod
    def map(self, study: Study, trials: Sequence[Trial], settle: Settle) -> None:
        """Take trials in; each is settled once."""

    @abstractmethod
    def end_study(self, study: Study) -> None:
        """Hear that a study will ask no more."""


@dataclass
class LiveStudy:
    """A study that asks, waits and is told.

    Parameters
    ----------
    study : Study
        Its plan.
    asker : Asker
        Its own search.
    trials : list of Trial
        Reduced, in the order asked.
    choice : Choice or None
        Its choice, once every trial is reduced.
    outer : OuterResult or None
        How the choice did on the outer fold.
    """

    study: Study
    asker: Asker
    trials: list[Trial] = field(default_factory=list)
    choice: Choice | None = None
    outer: OuterResult | None = None
    n_asked: int = 0
    _untold: dict[int, Trial] = field(default_factory=dict)
    _n_reduced: int = 0

    @property
    def chosen(self) -> Trial | None:
        """The chosen trial."""
        return None if self.choice is None else self.choice.trial

    def metric(self, scoring: Scoring) -> str:
        """Name the metric that chose: the only one that a callable looked at, else the objective."""
        metrics = () if self.choice is None else self.choice.metrics
        return metrics[0] if len(metrics) == 1 else scoring.objective

    @property
    def is_searched(self) -> bool:
        """Whether every trial is asked, reduced and told."""
        return self.asker.done and self.is_idle and not self._untold

    @property
    def is_idle(self) -> bool:
        """Whether none of its trials is under way."""
        return self._n_reduced == self.n_asked

    def ask(self, n: int) -> list[Trial]:
        """Ask for up to n trials."""
        asked = self.asker.ask(n)
        self.n_asked += len(asked)
        return asked

    def settle(self, reduced: Trial) -> None:
        """Take a reduced trial; the search is told of trials by number, as far as that goes without a gap."""
        self._n_reduced += 1
        self._untold[reduced.number] = reduced
        ready = []
        while (number := len(self.trials)) in self._untold:
            ready.append(self._untold.pop(number))
            self.trials.append(ready[-1])
        if ready:
            self.asker.tell(ready)
