"""Step 7, the loop's map: trials go in, ended trials come out. Plain trials and scheduled ones differ in nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from foldwise.plan.study import Study
from foldwise.trial import FitResult, Trial, TrialEnd


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial whose inner folds are all there, not reduced yet.

    Parameters
    ----------
    study : str
        Whose it is.
    trial : Trial
        As it was asked.
    results : tuple of FitResult
        One per inner fold, in fold order.
    end : TrialEnd, optional
        How its schedule ended it; None without a schedule.
    """

    study: str
    trial: Trial
    results: tuple[FitResult, ...]
    end: TrialEnd | None = None


class TrialMap(ABC):
    """Maps trials to the results of their inner folds. The seam between studies and whatever trains is the trial."""

    @property
    @abstractmethod
    def n_running(self) -> int:
        """Chunks or trials that are with the executor."""

    @abstractmethod
    def n_wanted(self, *, is_idle: bool) -> int:
        """Return how many trials to ask a study for now; ``is_idle`` says whether none of its trials is under way."""

    @abstractmethod
    def map(self, study: Study, trials: Sequence[Trial]) -> None:
        """Take trials of a study in, in the order asked; each comes out of `take` once."""

    @abstractmethod
    def end_study(self, study: Study) -> None:
        """Note that a study asks for no more trials."""

    @abstractmethod
    def take(self, timeout: float) -> list[EndedTrial]:
        """Wait until something has ended, and return the trials that have.

        Parameters
        ----------
        timeout : float
            Seconds to wait at most. There is no wait where something ended already.

        Returns
        -------
        list of EndedTrial
            What they hold is in the ledger already. May be empty: a fit may have ended that completes no trial.
        """
