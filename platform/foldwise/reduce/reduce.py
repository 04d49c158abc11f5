"""Step 6, reduce: FitResults -> Trial -> choice -> outer result. Pure functions; order of completion does not matter."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from foldwise.errors import Failure, InputError
from foldwise.plan.study import PlannedFold
from foldwise.safety.masking import masked, printable
from foldwise.trial import FitResult, FoldScores, Lineage, Params, Trial, TrialEnd, TrialState


@dataclass(frozen=True, slots=True)
class OuterResult:
    """How a study's choice did on rows that had no part in it.

    Parameters
    ----------
    fold : int
        Number of the outer fold.
    scores : mapping of str to float
        Per metric; NaN where the refit failed.
    inner_best : float
        Mean inner score of the chosen params, in the metric that chose.
    params : mapping
        The chosen params; of a scheduled trial those of its last epoch.
    n_train, n_test : int
        Rows learned from and judged on.
    seconds : float
        Fitting and scoring of the study's trials and its refit, wherever they ran.
    error : Failure or None
        Why the refit failed.
    lineage : tuple of Segment
        The epochs that the refit trained; empty without a schedule.
    """

    fold: int
    scores: Mapping[str, float]
    inner_best: float
    params: Params
    n_train: int
    n_test: int
    seconds: float
    error: Failure | None = None
    lineage: Lineage = ()


@dataclass(frozen=True, slots=True)
class FitWarning:
    """A kind of warning that fits gave: those that differ in numbers only are one kind.

    Parameters
    ----------
    category : str
        Its class, as ``module:Class``.
    text : str
        One of its texts: the first in alphabetical order, whatever came first.
    n_fits : int
        Fits that gave it.
    """

    category: str
    text: str
    n_fits: int

    def __str__(self) -> str:
        return printable(f"{self.category.rpartition(':')[2]}: {' '.join(self.text.split())}")


class WarningCounts:
    """Counts warnings by kind, in any order."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], FitWarning] = {}

    def add(self, warned: Iterable[tuple[str, str]]) -> None:
        """Count what a fit gave, as (category, text)."""
        kinds = {
            (category, re.sub(r"[-+]?\d[\d.e+-]*", "#", text)): masked(text) for category, text in sorted(warned, reverse=True)
        }
        for kind, text in kinds.items():
            known = self._kinds.get(kind, FitWarning(kind[0], text, 0))
            self._kinds[kind] = FitWarning(kind[0], min(text, known.text), known.n_fits + 1)

    def most_common(self) -> tuple[FitWarning, ...]:
        """Return the kinds, those of most fits first."""
        return tuple(sorted(self._kinds.values(), key=lambda one: (-one.n_fits, one.category, one.text)))


def reduce_trial(
    trial: Trial,
    folds: Sequence[PlannedFold],
    results: Sequence[FitResult],
    *,
    metrics: Sequence[str],
    objective: str,
    error_score: float,
    train_scores: bool,
    judging: Sequence[str] = (),
) -> Trial:
    """Merge the results of a trial's fits, one per inner fold and in fold order, into the trial.

    Where a score is missing stands ``error_score``, as in scikit-learn. The trial has failed if that leaves no mean of the
    objective; what is missing of another metric, or of train scores, is a gap there and nothing else. ``metrics`` is empty
    as long as a callable has not named them; ``judging`` are those that a choice may go by, if not by the objective alone.
    """

    def scores_on(keys: Sequence[str], metric: str) -> tuple[float, ...]:
        pairs = zip(keys, results, strict=True)
        return tuple(result.scores.get(key, {}).get(metric, error_score) for key, result in pairs)

    held_out, train = [fold.held_out for fold in folds], [fold.seen for fold in folds]
    scores = {
        metric: FoldScores(scores_on(held_out, metric), scores_on(train, metric) if train_scores else ()) for metric in metrics
    }
    fit_seconds = tuple(result.fit_seconds for result in results)
    score_seconds = tuple(r.score_seconds.get(key, 0.0) for key, r in zip(held_out, results, strict=True))
    # Only rows that this study asks for: what else a shared fit was scored on must not reach it.
    pairs = list(zip(held_out, results, strict=True))
    causes = [cause for key, result in pairs if (cause := result.failure_on(key, metric=objective)) is not None]
    n_scored = sum(
        any(result.failure_on(key, metric=metric) is None for metric in judging or (objective,)) for key, result in pairs
    )
    value = scores[objective].mean if objective in scores else error_score if not metrics else math.nan
    return replace(
        trial,
        state=TrialState.COMPLETE if math.isfinite(value) else TrialState.FAILED,
        scores=scores,
        value=value,
        started=min(result.started for result in results),
        seconds=sum(fit_seconds) + sum(score_seconds),
        fit_seconds=fit_seconds,
        score_seconds=score_seconds,
        error=causes[0] if causes else None,
        n_scored=n_scored,
    )


def named_alike(trials: Sequence[Trial], metrics: Sequence[str], *, error_score: float, train_scores: bool) -> list[Trial]:
    """Give trials that were reduced before a callable named its metrics the scores that failed fits have."""

    def named(trial: Trial) -> Trial:
        missing = (error_score,) * len(trial.fit_seconds)
        lacking = FoldScores(missing, missing if train_scores else ())
        return replace(trial, scores={name: trial.scores.get(name, lacking) for name in metrics})

    return [trial if all(name in trial.scores for name in metrics) else named(trial) for trial in trials]


def end_trial(reduced: Trial, end: TrialEnd) -> Trial:
    """Say of a trial, reduced from its folds' results, how its schedule ended it, and what it trained with in the end."""
    state = reduced.state if reduced.state is TrialState.FAILED else end.state
    return replace(reduced, state=state, params=end.lineage[-1].params, lineage=end.lineage, curve=end.curve)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a study chose.

    Parameters
    ----------
    trial : Trial
        The chosen one.
    metrics : tuple of str
        Whose scores decided: one, or those that a callable looked at.
    """

    trial: Trial
    metrics: tuple[str, ...]


def choose(trials: Sequence[Trial], refit: str | Callable[[Mapping[str, Any]], int], *, single: bool = False) -> Choice | None:
    """Choose a trial: the best mean over the inner folds.

    Parameters
    ----------
    trials : sequence of Trial
        Reduced, in the order asked; those that a schedule stopped never win.
    refit : str or callable
        The metric that chooses, or a function from ``cv_results_`` (of the trials that can win) to an index, as scikit-learn's.
    single : bool, default=False
        Whether there is one metric, which that function knows as "score".

    Returns
    -------
    Choice or None
        Of equal means the first asked. What is not finite never wins, by a callable neither: trials without a mean in all
        the metrics that it looks at are kept from it. None if no trial is left.

    Raises
    ------
    InputError
        If a callable gives no index of a trial.
    """
    trials = [trial for trial in trials if trial.can_win]
    if callable(refit):
        return _chosen_by(refit, trials, single)
    usable = [trial for trial in trials if _has_mean(trial, refit)]
    return Choice(max(usable, key=lambda trial: trial.scores[refit].mean), (refit,)) if usable else None


def _chosen_by(refit: Callable[[Mapping[str, Any]], int], trials: Sequence[Trial], single: bool) -> Choice | None:
    """Let a function choose among trials that have what it goes by."""
    trials = [trial for trial in trials if any(_has_mean(trial, metric) for metric in trial.scores)]
    while trials:
        results = _Watched(cv_results(trials, single=single))
        chosen = trials[_index_by(refit, results, len(trials))]
        named = _metrics_of(trials)
        read = _metrics_in(results.read, named, single) or tuple(named)  # none by name: it may go by any
        metrics = tuple(metric for metric in read if any(_has_mean(trial, metric) for trial in trials))
        if all(_has_mean(chosen, metric) for metric in metrics):
            return Choice(chosen, metrics)
        usable = [trial for trial in trials if all(_has_mean(trial, metric) for metric in metrics)]
        trials = usable or [trial for trial in trials if trial is not chosen]
    return None


class _Watched(dict[str, Any]):
    """``cv_results_`` that knows which of its columns were looked at by name."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        super().__init__(columns)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a column, or the default."""
        self.read.add(name)
        return super().get(name, default)


def _metrics_in(columns: Iterable[str], metrics: Sequence[str], single: bool) -> tuple[str, ...]:
    """Name the metrics of which held-out scores were looked at."""
    read = {re.sub(r"^(mean|std|rank|split\d+)_test_", "", name) for name in columns if "_test_" in name}
    return tuple(metric for metric in metrics if ("score" if single else metric) in read)


def _has_mean(trial: Trial, metric: str) -> bool:
    return metric in trial.scores and math.isfinite(trial.scores[metric].mean)


def _index_by(refit: Callable[[Mapping[str, Any]], int], results: Mapping[str, Any], n_trials: int) -> int:
    try:
        index = refit(results)
    except Exception as error:  # a function of the user's may raise anything
        known = ", ".join(results)
        problem = f"expected a function of cv_results_, got one that raised {type(error).__name__}: {error}; columns: {known}"
        raise InputError("refit", problem) from error
    if isinstance(index, bool) or not isinstance(index, int | np.integer) or not 0 <= index < n_trials:
        raise InputError("refit", f"expected an index from 0 to {n_trials - 1} from the callable, got {index!r}")
    return int(index)


def judge(
    fold: int, planned: PlannedFold, rows: Mapping[str, np.ndarray], chosen: Trial, trials: Sequence[Trial],
    result: FitResult, *, metrics: Sequence[str], objective: str,
) -> OuterResult:  # fmt: skip
    """Say how the chosen params, refitted on all outer-train rows, did on the outer fold."""
    scores = result.scores.get(planned.held_out, {})
    return OuterResult(
        fold=fold,
        scores={metric: scores.get(metric, math.nan) for metric in metrics},
        inner_best=chosen.scores[objective].mean if objective in chosen.scores else math.nan,
        params=chosen.params,
        n_train=len(rows[planned.train]),
        n_test=len(rows[planned.held_out]),
        seconds=sum(trial.seconds for trial in trials) + result.fit_seconds + result.score_seconds.get(planned.held_out, 0.0),
        error=result.failure_on(planned.held_out, metric=objective),
        lineage=chosen.lineage,
    )


def cv_results(trials: Sequence[Trial], *, single: bool = False) -> dict[str, Any]:
    """Lay out trials as scikit-learn's ``cv_results_``.

    Of a trial that a schedule stopped it has the scores of its last epoch; they rank behind those of all trials that can win.

    Parameters
    ----------
    trials : sequence of Trial
        Reduced, in the order asked.
    single : bool, default=False
        Call the only metric "score", as scikit-learn does.

    Returns
    -------
    dict of str to array
        Columns in scikit-learn's order; ``params`` is a list of dicts. With a schedule there is a column ``epochs``.
    """
    columns: dict[str, Any] = {}
    _store(columns, "fit_time", [trial.fit_seconds for trial in trials])
    _store(columns, "score_time", [trial.score_seconds for trial in trials])
    columns |= _param_columns([trial.params for trial in trials])
    columns["params"] = [dict(trial.params) for trial in trials]
    if any(trial.lineage for trial in trials):
        columns["epochs"] = np.array([trial.epochs for trial in trials])
    can_win = np.array([trial.can_win for trial in trials])
    for metric in _metrics_of(trials):
        name = "score" if single else metric
        nothing = (math.nan,) * len(trials[0].fit_seconds)
        held_out = np.array([t.scores[metric].held_out if metric in t.scores else nothing for t in trials], dtype=np.float64)
        _split(columns, f"test_{name}", held_out)
        _store(columns, f"test_{name}", held_out)
        columns[f"rank_test_{name}"] = _ranks(columns[f"mean_test_{name}"], can_win)
        if any(trial.scores[metric].train for trial in trials if metric in trial.scores):
            train = np.array([t.scores[metric].train if metric in t.scores else nothing for t in trials], dtype=np.float64)
            _split(columns, f"train_{name}", train)
            _store(columns, f"train_{name}", train)
    return columns


def _metrics_of(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(metric for trial in trials for metric in trial.scores))


def _split(columns: dict[str, Any], name: str, scores: np.ndarray) -> None:
    for number in range(scores.shape[1]):
        columns[f"split{number}_{name}"] = scores[:, number]


def _store(columns: dict[str, Any], name: str, values: Any) -> None:
    array = np.array(values, dtype=np.float64)
    means = np.average(array, axis=1)
    columns[f"mean_{name}"] = means
    with np.errstate(invalid="ignore"):  # a score may be infinite
        columns[f"std_{name}"] = np.sqrt(np.average((array - means[:, np.newaxis]) ** 2, axis=1))


def _ranks(means: np.ndarray, can_win: np.ndarray) -> np.ndarray:
    """Rank means from 1, best first: those that can win before those that cannot; what has none ties for the last place."""
    classes = np.where(np.isnan(means), 2, np.where(can_win, 0, 1))
    filled, ranks = np.where(np.isnan(means), 0.0, means), np.empty(len(means), dtype=np.int32)
    for number in range(3):
        among = classes == number
        ranks[among] = (classes < number).sum() + rankdata(-filled[among], method="min")
    return ranks


def _param_columns(params: Sequence[Params]) -> dict[str, Any]:
    """Make a masked array per param, as scikit-learn does: masked where it does not exist, text and sequences as objects."""
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(name for one in params for name in one):
        values = [one.get(name) for one in params]
        present = [name in one for one in params]
        found = [value for value, there in zip(values, present, strict=True) if there]
        dtype: Any = object
        try:
            inferred = np.asarray(found)
            if inferred.ndim == 1 and inferred.dtype.kind != "U":
                dtype = inferred.dtype
        except (ValueError, TypeError):
            pass
        column: Any = np.ma.MaskedArray(np.empty(len(params), dtype=dtype), mask=True)
        for index, (value, there) in enumerate(zip(values, present, strict=True)):
            if there:
                column[index] = value
        columns[f"param_{name}"] = column
    return columns
