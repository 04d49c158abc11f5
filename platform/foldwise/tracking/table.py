"""Trials as a table for other tools: Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foldwise.report.frames import trials_frame
from foldwise.report.metric import plain
from foldwise.tracking.entry import as_text
from foldwise.trial import Trial


def write_trials(path: Path, studies: Mapping[str, Sequence[Trial]]) -> None:
    """Write all trials to a Parquet file: `NestedSearchCV.trials_`, with params as JSON and columns of one type."""
    frame = trials_frame(studies)
    frame["params"] = [json.dumps(plain(params)) for params in frame["params"]]
    for name in frame.columns:
        if name.startswith("param_"):
            frame[name] = _one_type([params.get(name.removeprefix("param_")) for params in _params(studies)])
    frame.to_parquet(path, index=False)


def _params(studies: Mapping[str, Sequence[Trial]]) -> list[Mapping[str, Any]]:
    return [trial.params for trials in studies.values() for trial in trials]


def _one_type(values: list[Any]) -> list[Any]:
    """Return numbers if all are numbers, else texts; None stays None."""
    values = [value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value for value in values]
    found = {type(value) for value in values if value is not None}
    if found <= {bool} or (found <= {int} and all(abs(value) < 2**63 for value in values if value is not None)):
        return values
    if found <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else as_text(value) for value in values]
