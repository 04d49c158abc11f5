"""Step 6, reduce: trials, outer results and what else an archive holds, as JSON and back.

Numbers come back to the bit. JSON has no NaN and no infinities: these stand as ``{"$float": "nan"}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from foldwise.errors import Failure
from foldwise.plan.schedule import Schedule
from foldwise.plan.summary import FoldSummary, PlanSummary, ScoringSummary, StudySummary
from foldwise.reduce.reduce import OuterResult
from foldwise.reduce.values import decode_params, encode_params
from foldwise.safety.masking import masked
from foldwise.trial import FoldScores, Lineage, Segment, Trial, TrialState

_FLOAT = "$float"


def dumps(data: Any) -> str:
    """Write data as strict JSON, in which no number is lost."""
    try:
        return json.dumps(data, allow_nan=False, default=_number)
    except ValueError:  # one of its floats is not finite
        return json.dumps(_finite(data), allow_nan=False, default=_number)


def loads(text: str | bytes) -> Any:
    """Read what `dumps` wrote."""
    return json.loads(text, object_hook=_with_floats)


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return _finite(value.item())
    raise TypeError(f"expected plain data, got {value!r}")


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else {_FLOAT: str(float(data))}
    if isinstance(data, Mapping):
        return {key: _finite(item) for key, item in data.items()}
    return [_finite(item) for item in data] if isinstance(data, list | tuple) else data


def _with_floats(data: dict[str, Any]) -> Any:
    return float(data[_FLOAT]) if len(data) == 1 and isinstance(data.get(_FLOAT), str) else data


# --- trials and outer results ---


def trial_record(trial: Trial) -> dict[str, Any]:
    """Return what JSON can hold of a trial."""
    return {
        "number": trial.number,
        "params": encode_params(trial.params),
        "state": None if trial.state is None else trial.state.value,
        "scores": {metric: [scores.held_out, scores.train] for metric, scores in trial.scores.items()},
        "value": trial.value,
        "started": trial.started,
        "seconds": trial.seconds,
        "fit_seconds": trial.fit_seconds,
        "score_seconds": trial.score_seconds,
        "error": failure_record(trial.error),
        "n_scored": trial.n_scored,
        "lineage": _lineage_record(trial.lineage),
        "curve": trial.curve,
    }


def read_trial(record: Mapping[str, Any]) -> Trial:
    """Return the trial that a record holds."""
    state = record["state"]
    return Trial(
        number=record["number"],
        params=decode_params(record["params"]),
        state=None if state is None else TrialState(state),
        scores={metric: FoldScores(tuple(held_out), tuple(train)) for metric, (held_out, train) in record["scores"].items()},
        value=record["value"],
        started=record["started"],
        seconds=record["seconds"],
        fit_seconds=tuple(record["fit_seconds"]),
        score_seconds=tuple(record["score_seconds"]),
        error=read_failure(record["error"]),
        n_scored=record["n_scored"],
        lineage=_read_lineage(record["lineage"]),
        curve=tuple((epoch, score) for epoch, score in record["curve"]),
    )


def outer_record(one: OuterResult) -> dict[str, Any]:
    """Return what JSON can hold of an outer result."""
    return {
        "fold": one.fold,
        "scores": dict(one.scores),
        "inner_best": one.inner_best,
        "params": encode_params(one.params),
        "n_train": one.n_train,
        "n_test": one.n_test,
        "seconds": one.seconds,
        "error": failure_record(one.error),
        "lineage": _lineage_record(one.lineage),
    }


def read_outer(record: Mapping[str, Any]) -> OuterResult:
    """Return the outer result that a record holds."""
    special = {
        "params": decode_params(record["params"]),
        "error": read_failure(record["error"]),
        "lineage": _read_lineage(record["lineage"]),
    }
    return OuterResult(**{**record, **special})


def failure_record(failure: Failure | None) -> dict[str, Any] | None:
    """Return what JSON can hold of a failure."""
    return None if failure is None else asdict(failure)


def read_failure(record: Mapping[str, Any] | None) -> Failure | None:
    """Return the failure that a record holds."""
    return None if record is None else Failure(**record)


def _lineage_record(lineage: Lineage) -> list[Any]:
    return [[encode_params(segment.params), segment.epochs] for segment in lineage]


def _read_lineage(record: Any) -> Lineage:
    return tuple(Segment(decode_params(params), epochs) for params, epochs in record)


# --- the plan ---


def plan_record(plan: PlanSummary) -> dict[str, Any]:
    """Return what JSON can hold of a plan, without secrets."""
    record = asdict(plan)
    record["scoring"]["zero_one"] = sorted(plan.scoring.zero_one)
    return record | {name: masked(record[name]) for name in ("name", "data", "explanation")}


def read_plan(record: Mapping[str, Any]) -> PlanSummary:
    """Return the plan that a record holds."""
    scoring, schedule = record["scoring"], record["schedule"]
    scoring = {
        **scoring,
        "metrics": tuple(scoring["metrics"]),
        "zero_one": frozenset(scoring["zero_one"]),
        "ranges": {name: tuple(ends) for name, ends in scoring["ranges"].items()},
    }
    special = {
        "shape": tuple(record["shape"]),
        "studies": tuple(StudySummary(one["name"], tuple(one["n_train"])) for one in record["studies"]),
        "folds": tuple(FoldSummary(**one) for one in record["folds"]),
        "scoring": ScoringSummary(**scoring),
        "schedule": None if schedule is None else Schedule(**schedule),
    }
    return PlanSummary(**{**record, **special})
