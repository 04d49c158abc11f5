"""Step 8, show: what a schedule did: how much training it spared, and that it cannot be repeated to the bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foldwise.plan.schedule import PBT, Schedule
from foldwise.reduce.archive import Archive
from foldwise.reduce.values import plain_params, show_param
from foldwise.trial import Lineage, Params, TrialState


@dataclass(frozen=True)
class TrainingReport:
    """What became of the trials that a schedule judged.

    Parameters
    ----------
    schedule : Schedule
        By which.
    n_trials, n_stopped : int
        Trials that ended, over all studies, and those of them that were stopped before their end.
    n_epochs, n_epochs_full : int
        Epochs that their inner folds trained, and would have trained if none had been stopped or had failed.
    """

    schedule: Schedule
    n_trials: int
    n_stopped: int
    n_epochs: int
    n_epochs_full: int

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        counts = asdict(self)
        del counts["schedule"]
        return {**self.schedule.to_dict(), **counts}

    def __str__(self) -> str:
        method, share = self.schedule.method, self.n_epochs / max(self.n_epochs_full, 1)
        did = (
            f"{method} changed params of the {self.n_trials} trials while they trained {self.n_epochs} epochs"
            if method == PBT
            else f"{method} stopped {self.n_stopped} of {self.n_trials} trials early, so that {self.n_epochs} of "
            f"{self.n_epochs_full} epochs were trained ({share:.2f} of them)"
        )
        return f"{did}. That depends on what finishes first: this report is not repeatable to the bit."


def training_report(archive: Archive) -> TrainingReport | None:
    """Count what the trials of each study trained; None without a schedule."""
    schedule = archive.plan.schedule
    if schedule is None:
        return None
    n_folds = {study.name: study.n_folds for study in archive.plan.studies}
    ended = [(n_folds[name], trial) for name, trials in archive.trials.items() for trial in trials]
    return TrainingReport(
        schedule,
        n_trials=len(ended),
        n_stopped=sum(trial.state is TrialState.PRUNED for _, trial in ended),
        n_epochs=sum(n * (trial.epochs or 0) for n, trial in ended),
        n_epochs_full=sum(n * schedule.max_epochs for n, _ in ended),
    )


def lineage_dicts(lineage: Lineage) -> list[dict[str, Any]]:
    """Return a lineage as what JSON can hold."""
    return [{"epochs": segment.epochs, "params": plain_params(segment.params)} for segment in lineage]


def lineage_lines(lineages: Mapping[str, Lineage]) -> str:
    """Say which params changed on the way, and when; "" where none did."""
    lines = [f"  {name}: {_told(lineage)}" for name, lineage in lineages.items() if len(lineage) > 1]
    return "\n".join(["Changed in training (epochs: params):", *lines]) if lines else ""


def _told(lineage: Lineage) -> str:
    words: list[str] = []
    last, before = 0, lineage[0].params
    for segment in lineage:
        first, last = last + 1, last + segment.epochs
        span = str(first) if first == last else f"{first}-{last}"
        words.append(f"{span}: {_shown(segment.params, before if words else {})}")
        before = segment.params
    return "; ".join(words)


def _shown(params: Params, before: Params) -> str:
    new = {name: show_param(name, value) for name, value in sorted(params.items())}
    old = {name: show_param(name, value) for name, value in before.items()}
    return ", ".join(f"{name}={value}" for name, value in new.items() if old.get(name) != value)
