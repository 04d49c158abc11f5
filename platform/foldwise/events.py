"""What happened, as frozen data. Progress, MLflow and logs only listen; the run knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from foldwise.trial import FitResult, Trial


@dataclass(frozen=True, slots=True)
class Counts:
    """Fits so far: run here, found in the ledger, answered as one of these, failed, the most that may be asked; and retries."""

    run: int = 0
    found: int = 0
    shared: int = 0
    failed: int = 0
    at_most: int = 0
    retries: int = 0


class EndedBy(Enum):
    """What ends a run before all its studies are judged."""

    INTERRUPT = "interrupted"
    TIME = "its time is over"
    ERROR = "an error"


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """A run that ended before all its studies were judged: by what, and which limit or which error that was."""

    by: EndedBy
    which: str = ""

    def __str__(self) -> str:
        if self.by is EndedBy.ERROR:
            return self.which
        return f"{self.by.value} ({self.which})" if self.which else self.by.value


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run begins. ``plan`` is a Plan; ``studies`` are the names of its studies."""

    plan: Any
    started: float


@dataclass(frozen=True, slots=True)
class FitEnded:
    """A fit was run."""

    result: FitResult
    params: Mapping[str, Any]
    counts: Counts


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial was reduced."""

    study: str
    trial: Trial
    counts: Counts


@dataclass(frozen=True, slots=True)
class StudyEnded:
    """A study chose and, unless it is the final one, was judged.

    ``outer`` is its OuterResult, None for the final study; ``trials`` are all its trials, in the order asked.
    """

    study: str
    chosen: Trial
    trials: tuple[Trial, ...]
    outer: Any | None


@dataclass(frozen=True, slots=True)
class FailuresForgotten:
    """The ledger forgot the failures of earlier runs, so that these fits run again."""

    n_fits: int


@dataclass(frozen=True, slots=True)
class RunWaits:
    """Nothing runs yet, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """The run is over. ``report`` is a Report, None where there is none; ``model`` the final model's fit."""

    report: Any | None
    model: FitResult | None
    interrupted: bool
    error: BaseException | None


Event: TypeAlias = FailuresForgotten | RunStarted | FitEnded | TrialEnded | StudyEnded | RunWaits | RunEnded
Listener: TypeAlias = Callable[[Event], None]
