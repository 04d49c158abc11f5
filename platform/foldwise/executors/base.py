"""What every executor is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from foldwise.plan.limits import Limits
from foldwise.plan.plan import Plan
from foldwise.plan.resources import Resources
from foldwise.trial import Fit, FitResult, Trial, TrialEnd


class Executor(ABC):
    """Runs chunks of fits somewhere, and hands over their results as they complete.

    An executor serves one run at a time: `open`, then `submit` and `results` in turn, then `close`. After `close` it may
    be opened again.
    """

    def check(self, resources: Resources, limits: Limits | None = None) -> None:  # noqa: B027  (most refuse nothing)
        """Refuse resources that it cannot have, and limits that it cannot keep, before anything starts.

        Raises
        ------
        InputError
            If so.
        """

    @abstractmethod
    def open(self, plan: Plan, n_jobs: int | None = None) -> None:
        """Prepare to run a plan's fits, at most ``n_jobs`` at once; None: as many as the resources allow."""

    def foresee(self, resources: Resources) -> int | None:
        """Return how many fits will run at once; None if that is not known before it is opened."""
        return None

    @property
    @abstractmethod
    def n_at_once(self) -> int:
        """How many fits run at once, while it is open."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many chunks to keep in flight, so that no core waits."""

    @abstractmethod
    def submit(self, chunk: Sequence[Fit]) -> None:
        """Take fits on the same train rows, to be run one after the other."""

    @abstractmethod
    def results(self, timeout: float | None = None) -> list[FitResult]:
        """Wait, for ``timeout`` seconds at most, until something is finished, and return all that is."""

    def finished(self) -> list[FitResult]:
        """Return results that are there, without waiting for more."""
        return self.results(timeout=0.0)

    @abstractmethod
    def cancel(self, keys: Collection[str]) -> None:
        """Give up fits that were submitted. No result of them is returned any more."""

    @abstractmethod
    def close(self) -> None:
        """End the run. Results that were not taken are lost."""

    def waits_for(self) -> str | None:
        """Say why nothing runs yet, or None if something does."""
        return None


class ScheduledExecutor(Executor):
    """Runs whole trials too, each judged by its schedule while it trains its inner folds in lockstep.

    Studies run side by side. A study's trials are handed over as its search asks them; the executor never sees the search.
    """

    @abstractmethod
    def submit_trials(self, study: str, trials: Sequence[Trial]) -> None:
        """Take trials of a study that its search has asked, in their order.

        A search that does not adapt hands all its trials over at once, another one a batch at a time.
        """

    @abstractmethod
    def recall(self, ends: Sequence[TrialEnd]) -> None:
        """Take trials that ended in an earlier run. A schedule can judge by them the trials that are submitted afterwards."""

    @abstractmethod
    def confirm(self, ends: Sequence[TrialEnd]) -> None:
        """Note that ends are kept for good, so that the states of these trials are not needed any more."""

    @abstractmethod
    def end_study(self, study: str) -> None:
        """Note that a study will submit no more trials. It need not have submitted any."""

    @abstractmethod
    def trial_ends(self, timeout: float | None = None) -> list[TrialEnd]:
        """Wait, for ``timeout`` seconds at most, until a trial has ended, and return all that have."""
