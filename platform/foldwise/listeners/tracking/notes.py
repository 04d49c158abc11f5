"""Notes: what a run told, and what of it is in MLflow. The driver's thread notes, the tracker's reads: both only ever add."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from foldwise.events import Event, RunEnded, RunStarted, StudyEnded, TrialEnded
from foldwise.trial import Trial


@dataclass(slots=True)
class StudyNotes:
    """Of one study; per trial, a reference to what its study holds anyway, a time and a flag.

    Parameters
    ----------
    trials : list of Trial or None
        By number; None: not heard of.
    heard : array of float
        When, in seconds since the epoch.
    written : bytearray
        Whether a trial is in MLflow.
    end, ended : StudyEnded or None, float
        How it ended, and when.
    is_written : bool
        Whether its end is in MLflow.
    """

    trials: list[Trial | None] = field(default_factory=list)
    heard: array[float] = field(default_factory=lambda: array("d"))
    written: bytearray = field(default_factory=bytearray)
    end: StudyEnded | None = None
    ended: float = math.nan
    is_written: bool = False

    def add(self, trial: Trial, at: float) -> None:
        """Note a trial, once."""
        while len(self.trials) <= trial.number:
            self.written.append(False)
            self.heard.append(math.nan)
            self.trials.append(None)  # last: the other thread goes by it
        if self.trials[trial.number] is None:
            self.heard[trial.number] = at
            self.trials[trial.number] = trial

    def unwritten(self) -> Iterator[int]:
        """Go through the numbers of trials that are not in MLflow."""
        return (number for number, trial in enumerate(self.trials) if trial is not None and not self.written[number])


@dataclass(slots=True)
class Notes:
    """Of one run."""

    start: RunStarted | None = None
    studies: dict[str, StudyNotes] = field(default_factory=dict)
    end: RunEnded | None = None
    ended: float = math.nan
    is_written: bool = False

    def add(self, event: Event, at: float) -> None:
        """Note an event that was heard of at some time."""
        match event:
            case RunStarted():
                self.start = event
            case TrialEnded():
                self._of(event.study).add(event.trial, at)
            case StudyEnded():
                study = self._of(event.study)
                for trial in event.trials:
                    study.add(trial, at)
                study.end, study.ended = event, at
            case RunEnded():
                self.end, self.ended = event, at

    def _of(self, study: str) -> StudyNotes:
        return self.studies.setdefault(study, StudyNotes())

    @property
    def has_failed(self) -> bool:
        """Whether the run ended by an error."""
        return self.end is not None and self.end.error is not None and not self.end.interrupted
