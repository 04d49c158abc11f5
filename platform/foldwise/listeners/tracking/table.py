"""Trials as a table for other tools: Parquet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from foldwise.listeners.tracking.entry import as_text
from foldwise.report.frames import trial_columns, trial_row
from foldwise.report.metric import plain
from foldwise.safety.masking import masked, masked_tree, masked_value
from foldwise.trial import Trial

_ROWS = 1000
"""Rows that are laid out at a time, so that memory stays flat."""
_FIXED = {
    "study": pyarrow.string(), "trial": pyarrow.int64(), "state": pyarrow.string(),
    "started": pyarrow.timestamp("us", tz="UTC"), "params": pyarrow.string(), "error": pyarrow.string(),
    "epochs": pyarrow.int64(), **dict.fromkeys(("curve", "lineage"), pyarrow.string()),
}  # fmt: skip


def write_trials(path: Path, studies: Mapping[str, Sequence[Trial]]) -> None:
    """Write all trials to a Parquet file: `NestedSearchCV.trials_`, with params and such as JSON and columns of one type."""
    kinds: dict[str, set[type]] = {}
    columns = trial_columns(_params_seen(row, kinds) for row in _rows(studies))
    schema = pyarrow.schema([(name, _FIXED.get(name) or _type(name, kinds)) for name in columns])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        batch: list[dict[str, Any]] = []
        for row in _rows(studies):
            batch.append({name: _cell(name, value, schema) for name, value in row.items()})
            if len(batch) == _ROWS:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pyarrow.Table.from_pylist(batch, schema))


def _rows(studies: Mapping[str, Sequence[Trial]]) -> Iterator[dict[str, Any]]:
    return (_without_secrets(trial_row(study, trial)) for study, trials in studies.items() for trial in trials)


def _without_secrets(row: dict[str, Any]) -> dict[str, Any]:
    """Mask the params whose names are secrets'; what is secret in others is masked as text."""
    return {
        name: masked_value(name.removeprefix("param_"), value) if name.startswith("param_") else value
        for name, value in row.items()
    }


def _params_seen(row: dict[str, Any], kinds: dict[str, set[type]]) -> dict[str, Any]:
    """Note the types of a row's params."""
    for name, value in row.items():
        if name.startswith("param_") and value is not None:
            value = _scalar(value)
            big = isinstance(value, int) and abs(value) >= 2**63
            kinds.setdefault(name, set()).add(object if big else type(value))
    return row


def _type(name: str, kinds: Mapping[str, set[type]]) -> pyarrow.DataType:
    """Choose a column's type: scores are numbers, and so are params if all are, else texts."""
    found = kinds.get(name, set())
    if not name.startswith("param_"):
        return pyarrow.float64()
    if found == {bool}:
        return pyarrow.bool_()
    if found == {int}:
        return pyarrow.int64()
    return pyarrow.float64() if found and found <= {int, float} else pyarrow.string()


def _cell(name: str, value: Any, schema: pyarrow.Schema) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None  # as pandas would write it
    if name in {"params", "curve", "lineage"}:
        return json.dumps(masked_tree(plain(value)))
    if not name.startswith("param_"):
        return value
    kind = schema.field(name).type
    value = _scalar(value)
    return masked(as_text(value)) if kind == pyarrow.string() else float(value) if kind == pyarrow.float64() else value


def _scalar(value: Any) -> Any:
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
