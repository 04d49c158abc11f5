"""What MLflow is told of a job, a study and a trial: plain data within MLflow's limits. Nothing here knows MLflow."""

from __future__ import annotations

import getpass
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from foldwise.errors import Failure
from foldwise.events import StudyEnded
from foldwise.keys import digest
from foldwise.listeners.tracking.descriptions import LONGEST_TAG, cut, described_job, described_study
from foldwise.listeners.tracking.names import Names
from foldwise.plan.plan import Plan
from foldwise.reduce.archive import Archive
from foldwise.reduce.values import as_text
from foldwise.report import Report
from foldwise.report.training import lineage_dicts
from foldwise.safety.masking import masked_value
from foldwise.trial import Trial, TrialState

LONGEST_PARAM = 6000

KEY, JOB, STUDY, TRIAL = "foldwise.key", "foldwise.job", "foldwise.study", "foldwise.trial"
STATE, MODEL, SEARCH, ERROR = "foldwise.state", "foldwise.model", "foldwise.search", "foldwise.error"
LINEAGE, ENDED, REPLACES = "foldwise.lineage", "foldwise.ended", "foldwise.replaces"
NOTE, PARENT = "mlflow.note.content", "mlflow.parentRunId"

RUNNING, COMPLETE, PARTIAL, FAILED, KILLED = "RUNNING", "COMPLETE", "PARTIAL", "FAILED", "KILLED"

COUNTS = frozenset({"seconds", "n_fits", "n_fits_found", "n_fits_shared", "n_fits_failed", "n_fits_plain", "n_retries",
                    "n_stopped", "n_epochs", "n_epochs_full"})  # fmt: skip
"""Metrics that say what it took, and nothing of what came of it."""

Metrics = tuple[tuple[str, float, int], ...]
"""Name, value and step."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run as MLflow is told of it.

    Parameters
    ----------
    key, name : str
        What it is found by again, and what people see.
    tags, params : mapping of str to str
        Cut to MLflow's limits.
    metrics : tuple of (str, float, int)
        Name, finite value, step.
    started, ended : float
        Seconds since the epoch; ``ended`` is None while it runs.
    status : str
        RUNNING, FINISHED, FAILED or KILLED.
    """

    key: str
    name: str
    tags: Mapping[str, str]
    started: float
    ended: float | None = None
    status: str = RUNNING
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Metrics = ()

    @property
    def content(self) -> str:
        """Digest of what came of it."""
        latest = {name: value for name, value, _ in sorted(self.metrics, key=lambda one: one[2])}
        return content_of(self.params, latest, self.tags)


def content_of(params: Mapping[str, str], metrics: Mapping[str, float], tags: Mapping[str, str]) -> str:
    """Return a digest of what came of a study or a trial: all but the time it took, of metrics the last values."""
    scores = sorted((name, float(value)) for name, value in metrics.items() if name not in COUNTS)
    return digest(sorted(params.items()), scores, [tags.get(name, "") for name in (STATE, ERROR, LINEAGE)])


@dataclass(frozen=True, slots=True)
class Entries:
    """Makes the entries of one plan; ``started`` is when its run began."""

    plan: Plan
    started: float

    # --- keys and tags ---

    @property
    def job_key(self) -> str:
        """Key of the job's run."""
        return self.plan.problem.key

    def key(self, study: str, trial: int | None = None) -> str:
        """Key of a study's run, or of a trial's."""
        return f"{self.job_key}/{study}" if trial is None else f"{self.job_key}/{study}/{trial}"

    def _tags(self, key: str, state: str, *, study: str | None = None, trial: int | None = None) -> dict[str, str]:
        problem = self.plan.problem
        tags = {
            KEY: key,
            JOB: problem.settings.name,
            STUDY: study,
            TRIAL: None if trial is None else str(trial),
            STATE: state,
            MODEL: type(problem.estimator).__name__,
            SEARCH: problem.settings.search.method,
        }
        return {name: cut(value, LONGEST_TAG) for name, value in tags.items() if value is not None}

    def _names(self, params: Iterable[str], metrics: Iterable[str]) -> Names:
        """Name params and metrics, beside all that the plan knows: a job's runs name them alike."""
        problem = self.plan.problem
        return Names.of([*problem.space.names, *params], [*problem.scoring.metrics, *metrics])

    # --- the three levels ---

    def job(self) -> Entry:
        """Tell of the job as it starts."""
        problem, studies = self.plan.problem, self.plan.studies
        inner = sorted({len(study.folds) for study in studies if study.judged is not None})
        objective = problem.scoring.refit
        params = {
            "search": problem.settings.search.method,
            "n_trials": problem.n_trials,
            "outer_folds": sum(study.judged is not None for study in studies),
            "inner_folds": "shared" if problem.folds.shared else "-".join(map(str, inner)),
            "seed": problem.settings.seed,
            "estimator": type(problem.estimator).__name__,
            "metric": objective if isinstance(objective, str) else "chosen by a function",
        }
        if problem.settings.schedule is not None:
            params |= {"schedule": problem.settings.schedule.method, "max_epochs": problem.settings.schedule.max_epochs}
        tags = self._tags(self.job_key, RUNNING) | {"mlflow.user": user_name(), "mlflow.source.name": "foldwise"}
        return Entry(self.job_key, problem.settings.name, tags, self.started, params=_params(params))

    def job_ended(self, archive: Archive | None, ended: float, *, interrupted: bool, error: BaseException | None) -> Entry:
        """Tell of the job as it ends."""
        report = None if archive is None else Report(archive)
        if interrupted:
            state, status = KILLED, "KILLED"
        elif error is not None:
            state, status = FAILED, "FAILED"
        else:
            state, status = (PARTIAL if report is None or report.partial else COMPLETE), "FINISHED"
        tags = self._tags(self.job_key, state)
        if state == FAILED:
            tags |= error_tags(f"{type(error).__name__}: {error}")
        elif report is not None:  # the description that heads the run's page
            tags |= {NOTE: described_job(report)} | ({} if report.ended is None else {ENDED: cut(report.ended, LONGEST_TAG)})
        params: dict[str, Any] = {}
        metrics: Metrics = ()
        if report is not None:
            best = report.best_params or {}
            names = self._names(best, report.scores)
            params = {f"best_{names.param(name)}": masked_value(name, value) for name, value in best.items()}
            metrics = _metrics(_job_metrics(report, names))
        return Entry(self.job_key, self.plan.problem.settings.name, tags, self.started, ended, status, _params(params), metrics)

    def study(self, study: str, started: float) -> Entry:
        """Tell of a study as it starts."""
        key = self.key(study)
        return Entry(key, study, self._tags(key, RUNNING, study=study), started)

    def study_stopped(self, study: str, ended: float, *, failed: bool) -> Entry:
        """Tell of a study that did not come to its end; it is taken up again when the job continues."""
        key = self.key(study)
        tags = self._tags(key, KILLED, study=study)
        return Entry(key, study, tags, self.started, ended, "FAILED" if failed else "KILLED")

    def study_ended(self, event: StudyEnded, ended: float) -> Entry:
        """Tell of a study as it ends."""
        outer, key = event.outer, self.key(event.study)
        error: Failure | None = None if outer is None else outer.error
        tags = self._tags(key, COMPLETE if error is None else FAILED, study=event.study)
        if error is not None:
            tags |= error_tags(str(error), error.traceback)
        else:
            tags |= {NOTE: described_study(event, self.plan.problem.scoring.objective)}
        tags |= _lineage_tags(event.chosen)
        names = self._names(event.chosen.params, () if outer is None else outer.scores)
        metrics: dict[str, float] = {"n_trials": len(event.trials)}
        if event.chosen.epochs is not None:
            metrics |= {"epochs": event.chosen.epochs, "n_stopped": sum(t.state is TrialState.PRUNED for t in event.trials)}
        if outer is None:
            metrics |= {"inner_best": event.chosen.value, "seconds": sum(trial.seconds for trial in event.trials)}
        else:
            metrics |= {"inner_best": outer.inner_best, "seconds": outer.seconds}
            metrics |= {f"outer_{names.metric(metric)}": score for metric, score in outer.scores.items()}
        return Entry(
            key, event.study, tags, _first_start(event.trials, self.started), ended, "FINISHED" if error is None else "FAILED",
            _named(event.chosen.params, names), _metrics((name, value, 0) for name, value in metrics.items()),
        )  # fmt: skip

    def trial(self, study: str, trial: Trial, heard: float) -> Entry:
        """Tell of a trial, of which was heard at some time."""
        key = self.key(study, trial.number)
        state = trial.state or TrialState.COMPLETE
        tags = self._tags(key, state.value, study=study, trial=trial.number)
        if trial.error is not None:
            tags |= error_tags(str(trial.error), trial.error.traceback)
        tags |= _lineage_tags(trial)
        started = trial.started if math.isfinite(trial.started) else heard
        # Fits that overlap end sooner than their seconds add up to, and what was heard of has ended.
        ended = max(started, min(started + trial.seconds, heard))
        status = "FAILED" if state is TrialState.FAILED else "FINISHED"
        names = self._names(trial.params, trial.scores)
        metrics = _metrics(_trial_metrics(trial, self.plan.problem.scoring.objective, names))
        return Entry(key, f"{study}/{trial.number}", tags, started, ended, status, _named(trial.params, names), metrics)


def _lineage_tags(trial: Trial) -> dict[str, str]:
    """Tell with which params a trial trained, epoch by epoch, where they changed."""
    if len(trial.lineage) < 2:
        return {}
    return {LINEAGE: cut(json.dumps(lineage_dicts(trial.lineage)), LONGEST_TAG)}


def _trial_metrics(trial: Trial, objective: str, names: Names) -> Iterator[tuple[str, float, int]]:
    """Go through a trial's metrics; those of a scheduled one stand at its epochs."""
    last, judged_by = trial.epochs or 0, objective if objective in trial.scores else next(iter(trial.scores), objective)
    for epoch, score in trial.curve:
        if epoch < last:
            yield f"inner_{names.metric(judged_by)}", score, epoch
    for metric, scores in trial.scores.items():
        if scores.held_out:
            yield f"inner_{names.metric(metric)}", scores.mean, last
            yield f"inner_{names.metric(metric)}_std", scores.std, last
        for fold, score in enumerate(scores.held_out):
            yield f"fold_{names.metric(metric)}", score, fold
    yield "seconds", trial.seconds, 0
    if trial.lineage:
        yield "epochs", last, 0


def _job_metrics(report: Report, names: Names) -> Iterator[tuple[str, float, int]]:
    for name, score in {} if report.partial else report.scores.items():
        metric = names.metric(name)
        low, high = score.interval.ends or (math.nan, math.nan)
        yield f"{metric}_nested", score.mean, 0
        yield f"{metric}_std", score.std, 0
        yield f"{metric}_interval_low", low, 0
        yield f"{metric}_interval_high", high, 0
        yield f"{metric}_flat_best", score.flat_best, 0
        yield f"{metric}_optimism", score.optimism, 0
    for name in ("n_fits", "n_fits_found", "n_fits_shared", "n_fits_failed", "n_fits_plain", "n_retries", "seconds"):
        yield name, getattr(report, name), 0
    if report.training is not None:
        for name in ("n_stopped", "n_epochs", "n_epochs_full"):
            yield name, getattr(report.training, name), 0


def _first_start(trials: tuple[Trial, ...], otherwise: float) -> float:
    return min((trial.started for trial in trials if math.isfinite(trial.started)), default=otherwise)


# --- within MLflow's limits ---


def _metrics(found: Any) -> Metrics:
    return tuple((name, float(value), step) for name, value, step in found if math.isfinite(value))


def _params(params: Mapping[str, Any]) -> dict[str, str]:
    return {name: cut(as_text(masked_value(name, value)), LONGEST_PARAM) for name, value in params.items()}


def _named(params: Mapping[str, Any], names: Names) -> dict[str, str]:
    return _params({names.param(name): masked_value(name, value) for name, value in params.items()})


def error_tags(line: str, traceback: str = "") -> dict[str, str]:
    """Tell of an error: its line as a tag, and with its traceback as the run's note."""
    note = f"{line}\n\n```\n{cut(traceback, LONGEST_TAG // 2)}\n```" if traceback else line
    return {ERROR: cut(" ".join(line.split()), LONGEST_TAG), NOTE: cut(note, LONGEST_TAG)}


def user_name() -> str:
    """Return who runs this, as MLflow shows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
