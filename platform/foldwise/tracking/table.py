"""Trials as a table for other tools: Parquet."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foldwise.report.metric import plain
from foldwise.tracking.entry import as_text
from foldwise.trial import Trial


def write_trials(path: Path, studies: Mapping[str, Sequence[Trial]]) -> None:
    """Write all trials of all studies to a Parquet file, a row each.

    The columns are `NestedSearchCV.trials_`'s: study, trial, state, started (seconds since the epoch), seconds, params (as
    JSON), param_<name>, inner_<metric>, inner_<metric>_std, split<i>_<metric> and error.
    """
    import pyarrow  # late: it takes a while to import
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table(trial_columns(studies)), path)


def trial_columns(studies: Mapping[str, Sequence[Trial]]) -> dict[str, list[Any]]:
    """Lay out trials in columns of one type each; None where there is nothing."""
    rows = [(study, trial) for study, trials in studies.items() for trial in trials]
    trials = [trial for _, trial in rows]
    columns: dict[str, list[Any]] = {
        "study": [study for study, _ in rows],
        "trial": [trial.number for trial in trials],
        "state": [None if trial.state is None else trial.state.value for trial in trials],
        "started": [_number(trial.started) for trial in trials],
        "seconds": [_number(trial.seconds) for trial in trials],
        "params": [json.dumps(plain(trial.params)) for trial in trials],
    }
    for name in dict.fromkeys(name for trial in trials for name in trial.params):
        columns[f"param_{name}"] = _one_type([trial.params.get(name) for trial in trials])
    for metric in dict.fromkeys(metric for trial in trials for metric in trial.scores):
        scores = [trial.scores.get(metric) for trial in trials]
        n_splits = max(len(one.held_out) for one in scores if one is not None)
        columns[f"inner_{metric}"] = [_number(one.mean) if one else None for one in scores]
        columns[f"inner_{metric}_std"] = [_number(one.std) if one else None for one in scores]
        for split in range(n_splits):
            columns[f"split{split}_{metric}"] = [
                _number(one.held_out[split]) if one and split < len(one.held_out) else None for one in scores
            ]
    columns["error"] = [None if trial.error is None else str(trial.error) for trial in trials]
    return columns


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _one_type(values: list[Any]) -> list[Any]:
    """Return numbers if all are numbers, else texts; None stays None."""
    values = [value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value for value in values]
    found = {type(value) for value in values if value is not None}
    if found <= {bool} or (found <= {int} and all(abs(value) < 2**63 for value in values if value is not None)):
        return values
    if found <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else as_text(value) for value in values]
