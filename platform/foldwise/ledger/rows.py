"""Results as rows, and rows as results: plain numbers and text, nothing pickled, and no secrets."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from foldwise.errors import NON_FINITE, Failure
from foldwise.ledger.base import EndedTrial, Finished
from foldwise.plan.plan import Plan
from foldwise.safety.masking import masked, masked_tree
from foldwise.trial import FitResult, Lineage, TrialEnd, TrialState

WHOLE = -1
"""Place of the row that stands for held-out rows as a whole: they could not be scored, or no metric came of it."""


def origin_row(plan: Plan) -> dict[str, Any]:
    """Describe what all fits of a plan learn from."""
    dataset, estimator = plan.problem.dataset, plan.problem.estimator
    return {
        "key": plan.identity.whole or plan.identity.alone(),
        "data": dataset.digest,
        "data_name": storable(masked(dataset.name)),
        "data_shape": " x ".join(map(str, dataset.shape)),
        "estimator": storable(masked(" ".join(repr(estimator).split()))),
        "versions": json.dumps(plan.world.versions, sort_keys=True),
    }


def fit_row(finished: Finished, origin: str, job: str) -> dict[str, Any]:
    """Describe a fit, and how it went."""
    fit, result = finished
    error = result.error
    return {
        "key": fit.key,
        "origin": origin,
        "train": fit.train,
        "params": json.dumps(masked_tree(fit.params), default=_readable, skipkeys=True),
        "seed": fit.seed,
        "job": job,
        "started": result.started,
        "seconds": result.fit_seconds,
        "retries": result.retries,
        "error_kind": None if error is None else storable(error.kind),
        "error_message": None if error is None else storable(error.message),
        "error_traceback": None if error is None else storable(error.traceback),
        "warned": json.dumps([[kind, masked(words)] for kind, words in result.warned]) if result.warned else None,
    }


def score_rows(result: FitResult, scorer: str) -> Iterable[dict[str, Any]]:
    """Describe a fit's scores: a row per metric, with why it failed, and one for rows that have no score at all."""
    for held_out, by_metric in result.scores.items():
        where = {
            "fit": result.key, "held_out": held_out, "scorer": scorer, "seconds": result.score_seconds.get(held_out, 0.0)
        }  # fmt: skip
        failures = result.score_errors.get(held_out, {})
        for place, metric in enumerate(dict.fromkeys([*by_metric, *(name for name in failures if name is not None)])):
            value = by_metric.get(metric, math.nan)
            number = None if math.isnan(value) else value
            yield {**where, "place": place, "metric": storable(metric), "value": number, "error": _cause(failures.get(metric))}
        if None in failures or not (by_metric or failures):
            yield {**where, "place": WHOLE, "metric": "", "value": None, "error": _cause(failures.get(None))}


def result_of(fit: Any, scores: Iterable[Any]) -> FitResult:
    """Make a result of a fit's row and its scores' rows, sorted by place."""
    by_rows: dict[str, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    errors: dict[str, dict[str | None, Failure]] = {}
    for row in scores:
        by_metric = by_rows.setdefault(row.held_out, {})
        seconds[row.held_out] = row.seconds
        failure = None if row.error is None else Failure(*json.loads(row.error))
        if failure is not None:
            errors.setdefault(row.held_out, {})[None if row.place == WHOLE else row.metric] = failure
        if row.place != WHOLE and (failure is None or failure.kind == NON_FINITE):
            by_metric[row.metric] = math.nan if row.value is None else row.value
    error = None if fit.error_kind is None else Failure(fit.error_kind, fit.error_message, fit.error_traceback)
    warned = tuple((category, words) for category, words in json.loads(fit.warned or "[]"))
    return FitResult(fit.key, by_rows, fit.started, fit.seconds, seconds, error, errors, warned, retries=fit.retries)


def _cause(failure: Failure | None) -> str | None:
    return None if failure is None else json.dumps([failure.kind, failure.message, failure.traceback])


def trial_row(ended: EndedTrial, problem: str, job: str, lineage: str) -> dict[str, Any]:
    """Describe how a scheduled trial ended, its lineage written out."""
    key, _, end = ended
    return {
        "key": key,
        "problem": problem,
        "job": job,
        "study": end.study,
        "number": end.number,
        "state": end.state.value,
        "started": min(result.started for result in end.results),
        "lineage": lineage,
        "curve": json.dumps(end.curve),
        "folds": json.dumps([[result.key, list(result.scores)] for result in end.results]),
    }


def folds_of(trial: Any) -> list[tuple[str, list[str]]]:
    """Return the fits that a trial's row names, and the rows on which each was scored."""
    return [(fit, held_out) for fit, held_out in json.loads(trial.folds)]


def trial_end_of(trial: Any, lineage: Lineage, known: Mapping[str, FitResult]) -> TrialEnd | None:
    """Make the end of a trial of its row and its folds' results; None if one is not there."""
    results = []
    for fit, held_out in folds_of(trial):
        result = known.get(fit)
        if result is None or not all(rows in result.scores for rows in held_out):
            return None
        results.append(replace(result, scores={rows: result.scores[rows] for rows in held_out}))
    curve = tuple((epoch, score) for epoch, score in json.loads(trial.curve))
    return TrialEnd(trial.study, trial.number, TrialState(trial.state), tuple(results), lineage, curve)


def storable(words: str) -> str:
    """Return text as every database takes it: without lone surrogates and zero bytes, which are spelled out.

    Examples
    --------
    >>> print(storable("a zero byte" + chr(0)))
    a zero byte<0>
    """
    return words.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "<0>")


def _readable(value: Any) -> Any:
    """Write a param that JSON has no word for; nothing is read back from it."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else masked(" ".join(repr(value).split()))
