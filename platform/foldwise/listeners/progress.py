"""Step 8, show: progress of a run: a bar where there is a terminal, plain lines where there is none."""

from __future__ import annotations

import logging
import sys
import time
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from foldwise.events import Counts, Event, FailuresForgotten, FitEnded, RunEnded, RunStarted, RunWaits, StudyEnded, TrialEnded
from foldwise.inputs.words import counted
from foldwise.reduce.values import duration, show_params
from foldwise.report.text import forgotten_words, found_words
from foldwise.safety.masking import shown
from foldwise.trial import TrialState

_LINE_EVERY = 10.0  # seconds between plain lines
_LOGGER = logging.getLogger("foldwise")
_FEW = 10  # fits run, until which start-up weighs more than they do


def log_waiting(event: Event) -> None:
    """Say through the logger ``foldwise`` what a run waits for: to who hears nothing else, it would seem to hang."""
    if isinstance(event, RunWaits):
        _LOGGER.warning("%s", event.reason)


class _Status:
    """What is worth saying of a run at any moment."""

    def __init__(self) -> None:
        self.total = 1
        self.counts = Counts()
        self.began = time.monotonic()
        self.best: dict[str, float] = {}

    def hear(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.total, self.began = event.plan.n_fits_plain, time.monotonic()
        elif isinstance(event, FitEnded | TrialEnded):
            self.counts = event.counts
        if isinstance(event, TrialEnded) and event.trial.can_win and event.trial.value == event.trial.value:
            self.best[event.study] = max(event.trial.value, self.best.get(event.study, event.trial.value))

    @property
    def done(self) -> int:
        return min(self.counts.run + self.counts.found + self.counts.shared, self.total)

    @property
    def words(self) -> str:
        counts = self.counts
        found = f", {found_words(counts.found, counts.at_most)}" if counts.found else ""
        return f"{counted(counts.run, 'fit')} run, {counts.shared} shared, {counts.failed} failed{found}"

    @property
    def best_words(self) -> str:
        return "  ".join(f"{study.replace('outer-', '#')} {value:.3f}" for study, value in sorted(self.best.items()))

    @property
    def left(self) -> float | None:
        """Seconds left, if fits go on as they did; None while too few are done to say."""
        if self.counts.run < _FEW and self.done < self.total:
            return None
        return (time.monotonic() - self.began) / self.done * (self.total - self.done)


class _TimeLeft(ProgressColumn):
    def __init__(self, status: _Status) -> None:
        super().__init__()
        self._status = status

    def render(self, task: Task) -> Text:
        left = self._status.left
        return Text("" if left is None else f"{duration(left)} left")


class ProgressBar:
    """A bar with fits done, shared and failed, the best score so far per study, and the time left."""

    def __init__(self, console: Console | None = None) -> None:
        self._status = _Status()
        self._console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(), _TimeLeft(self._status), console=self._console, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("starting", total=None)
        self._best = self._bar.add_task("", total=None, visible=False)

    def __call__(self, event: Event) -> None:
        """Hear of an event."""
        self._status.hear(event)
        if isinstance(event, RunStarted):
            self._bar.start()
        elif isinstance(event, RunEnded):
            self._bar.stop()
        elif isinstance(event, RunWaits):
            self._bar.console.print(shown(event.reason), markup=False)
        elif isinstance(event, FailuresForgotten):
            self._bar.console.print(forgotten_words(event.n_fits))
        elif isinstance(event, FitEnded | TrialEnded):
            text = self._status.words + (f"\nbest so far  {self._status.best_words}" if self._status.best else "")
            self._bar.update(self._task, total=self._status.total, completed=self._status.done, description=text)


class ProgressLines:
    """Plain lines: how a run goes every ten seconds and, if wanted, every trial and fit.

    Parameters
    ----------
    stream : file, optional
        Where to write; standard output if left out, as scikit-learn does.
    verbose : int, default=1
        1: how it goes; 2: each trial too; 3: each fit too.
    """

    def __init__(self, stream: TextIO | None = None, verbose: int = 1) -> None:
        self._status = _Status()
        self._stream, self._verbose = stream, verbose
        self._said = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Hear of an event."""
        self._status.hear(event)
        if isinstance(event, RunStarted):
            plan = event.plan
            n_fits = plan.n_fits if plan.n_fits is not None else f"at most {plan.n_fits_at_most}"
            self._say(
                f"Fitting {counted(plan.n_trials, 'trial')} in each of {len(plan.studies)} studies, totalling {n_fits} fits"
            )
        elif isinstance(event, RunWaits):
            self._say(event.reason)
        elif isinstance(event, FailuresForgotten):
            self._say(forgotten_words(event.n_fits))
        elif isinstance(event, RunEnded) and event.archive is not None and event.archive.counts.found:
            counts = event.archive.counts
            self._say(found_words(counts.found, counts.found + counts.run))
        elif isinstance(event, FitEnded) and self._verbose >= 3:
            params = show_params(event.params)
            failed = event.result.failure_on(*event.result.scores)
            failure = f", failed: {failed}" if failed else ""
            self._say(f"[fit] {params or 'no params'}; {event.result.fit_seconds:.2f} s{failure}")
        elif isinstance(event, TrialEnded) and self._verbose >= 2:
            params = show_params(event.trial.params)
            stopped = f", stopped at epoch {event.trial.epochs}" if event.trial.state is TrialState.PRUNED else ""
            ended = f"score {event.trial.value:.4f}, {event.trial.seconds:.2f} s{stopped}"
            self._say(f"[{event.study} trial {event.trial.number}] {params}; {ended}")
        elif isinstance(event, StudyEnded):
            judged = (
                "" if event.outer is None else ", judged " + ", ".join(f"{k} {v:.4f}" for k, v in event.outer.scores.items())
            )
            self._say(f"{event.study} chose trial {event.chosen.number}, inner score {event.chosen.value:.4f}{judged}")
        if isinstance(event, FitEnded) and time.monotonic() - self._said >= _LINE_EVERY:
            left = self._status.left
            ahead = "" if left is None else f", {duration(left)} left"
            share, best = self._status.done / self._status.total, self._status.best_words or "none yet"
            self._say(f"{share:.0%}: {self._status.words}{ahead}; best {best}")

    def _say(self, line: str) -> None:
        self._said = time.monotonic()
        stream = self._stream or sys.stdout
        stream.write(shown(line) + "\n")
        stream.flush()
