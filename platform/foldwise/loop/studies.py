"""Step 7, the loop's state: a study while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from foldwise.plan.scoring import Scoring
from foldwise.plan.study import Study
from foldwise.reduce.reduce import Choice, OuterResult
from foldwise.search import Asker
from foldwise.trial import Trial


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
        asked = [] if n == 0 or self.asker.done else self.asker.ask(n)
        self.n_asked += len(asked)
        return asked

    def tell(self, reduced: Trial) -> None:
        """Take a reduced trial; the search is told of trials by number, as far as that goes without a gap."""
        self._n_reduced += 1
        self._untold[reduced.number] = reduced
        ready = []
        while (number := len(self.trials)) in self._untold:
            ready.append(self._untold.pop(number))
            self.trials.append(ready[-1])
        if ready:
            self.asker.tell(ready)
