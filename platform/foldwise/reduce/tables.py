"""Step 6, reduce: trials and outer results as Parquet files.

Each row holds its trial or outer result whole, as JSON in the column ``record``. The other columns are for other tools.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from foldwise.plan.summary import FoldSummary
from foldwise.reduce.records import dumps, loads, outer_record, read_outer, read_trial, trial_record
from foldwise.reduce.reduce import OuterResult
from foldwise.reduce.values import as_text, plain, scalar
from foldwise.safety.masking import masked, masked_tree, masked_value
from foldwise.trial import Trial

_ROWS = 1000
"""Rows that are laid out at a time, so that memory stays flat."""
_JSON = {"params", "curve", "lineage"}
_FIXED = {
    "study": pyarrow.string(), "trial": pyarrow.int64(), "state": pyarrow.string(),
    "started": pyarrow.timestamp("us", tz="UTC"), "error": pyarrow.string(), "record": pyarrow.string(),
    "epochs": pyarrow.int64(), **dict.fromkeys(_JSON, pyarrow.string()),
    "fold": pyarrow.int64(), "held_out": pyarrow.string(), "n_train": pyarrow.int64(), "n_test": pyarrow.int64(),
}  # fmt: skip
_STAMP = b"foldwise.archive"


# --- trials ---


def write_trials(path: Path, studies: Mapping[str, Sequence[Trial]], stamp: str = "") -> None:
    """Write all trials to a Parquet file.

    Its columns are those of `NestedSearchCV.trials_`, with params and such as JSON and columns of one type, and ``record``.

    Parameters
    ----------
    path : Path
        The file.
    studies : mapping of str to sequence of Trial
        Trials by study.
    stamp : str, default=""
        Kept with the file; what `read_trials` must be given.
    """
    trials = [(study, trial) for study, of_study in studies.items() for trial in of_study]
    kinds: dict[str, set[type]] = {}
    columns = trial_columns(_params_seen(_without_secrets(trial_row(*one)), kinds) for one in trials)
    schema = pyarrow.schema([(name, _FIXED.get(name) or _type(name, kinds)) for name in [*columns, "record"]])
    rows = (
        _cells(_without_secrets(trial_row(study, trial)), schema) | {"record": dumps(trial_record(trial))}
        for study, trial in trials
    )
    _write(path, schema, rows, stamp)


def read_trials(path: Path, stamp: str) -> Iterator[tuple[str, Trial]]:
    """Read the trials that were written, each with its study.

    Raises
    ------
    ValueError
        If the file has another stamp.
    """
    for row in _read(path, ["study", "record"], stamp):
        yield row["study"], read_trial(loads(row["record"]))


def trial_row(study: str, trial: Trial) -> dict[str, Any]:
    """Lay out a trial as a row of the table of all trials."""
    row: dict[str, Any] = {
        "study": study,
        "trial": trial.number,
        "state": None if trial.state is None else trial.state.value,
        "started": pd.Timestamp(trial.started, unit="s", tz="UTC"),
        "seconds": trial.seconds,
        "params": dict(trial.params),
    }
    row |= {f"param_{name}": value for name, value in trial.params.items()}
    stems = metric_stems(trial.scores)
    for metric, scores in trial.scores.items():
        stem = stems[metric]
        row |= {f"inner_{stem}": scores.mean, f"inner_{stem}_std": scores.std}
        row |= {f"split{i}_{stem}": score for i, score in enumerate(scores.held_out)}
        row |= {f"split{i}_train_{stem}": score for i, score in enumerate(scores.train)}
    if trial.lineage:
        row |= {"epochs": trial.epochs, "curve": list(trial.curve)}
    if len(trial.lineage) > 1:
        row["lineage"] = [{"epochs": segment.epochs, "params": dict(segment.params)} for segment in trial.lineage]
    return row | {"error": None if trial.error is None else str(trial.error)}


def metric_stems(metrics: Iterable[str]) -> dict[str, str]:
    """Map metrics to what stands for them in names of columns: one called as another's deviation is gets "_" behind it.

    Examples
    --------
    >>> metric_stems(["acc", "f1"]), metric_stems(["acc", "acc_std"])
    ({'acc': 'acc', 'f1': 'f1'}, {'acc': 'acc', 'acc_std': 'acc_std_'})
    """
    names = list(metrics)
    others = {other for name in names for other in (f"{name}_std", f"train_{name}")}
    stems = {}
    for name in names:
        stem = name
        while stem in others or (stem != name and stem in names):
            stem += "_"
        stems[name] = stem
    return stems


def trial_columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the columns of rows, in the order in which they are met; ``error`` comes last."""
    names = dict.fromkeys(name for row in rows for name in row if name != "error")
    return [*names, "error"]


# --- outer results ---


def write_outer(path: Path, outer: Sequence[OuterResult], folds: Sequence[FoldSummary], stamp: str = "") -> None:
    """Write outer results to a Parquet file: with the key of the held-out rows, and each score as ``outer_<metric>``."""
    metrics = list(dict.fromkeys(metric for one in outer for metric in one.scores))
    names = [
        "fold", "held_out", *(f"outer_{metric}" for metric in metrics), "inner_best", "params", "n_train", "n_test", "seconds",
        "error", "record",
    ]  # fmt: skip
    schema = pyarrow.schema([(name, _FIXED.get(name, pyarrow.float64())) for name in names])
    rows = (_cells(_outer_row(one, folds), schema) | {"record": dumps(outer_record(one))} for one in outer)
    _write(path, schema, rows, stamp)


def read_outer_results(path: Path, stamp: str) -> Iterator[OuterResult]:
    """Read the outer results that were written.

    Raises
    ------
    ValueError
        If the file has another stamp.
    """
    return (read_outer(loads(row["record"])) for row in _read(path, ["record"], stamp))


def _outer_row(one: OuterResult, folds: Sequence[FoldSummary]) -> dict[str, Any]:
    return {
        "fold": one.fold,
        "held_out": folds[one.fold].held_out,
        **{f"outer_{metric}": score for metric, score in one.scores.items()},
        "inner_best": one.inner_best,
        "params": one.params,
        "n_train": one.n_train,
        "n_test": one.n_test,
        "seconds": one.seconds,
        "error": None if one.error is None else str(one.error),
    }


# --- files ---


def _write(path: Path, schema: pyarrow.Schema, rows: Iterable[dict[str, Any]], stamp: str) -> None:
    schema = schema.with_metadata({_STAMP: stamp.encode()})
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _ROWS:
                writer.write_table(pyarrow.Table.from_pylist(batch, schema))
                batch.clear()
        writer.write_table(pyarrow.Table.from_pylist(batch, schema))


def _read(path: Path, columns: Sequence[str], stamp: str) -> Iterator[dict[str, Any]]:
    with pyarrow.parquet.ParquetFile(path) as file:
        found = (file.schema_arrow.metadata or {}).get(_STAMP, b"").decode()
        if found != stamp:
            raise ValueError(f"{path.name} is of another archive")
        for batch in file.iter_batches(_ROWS, columns=list(columns)):
            yield from batch.to_pylist()


# --- cells ---


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
            value = scalar(value)
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


def _cells(row: Mapping[str, Any], schema: pyarrow.Schema) -> dict[str, Any]:
    return {name: _cell(name, value, schema) for name, value in row.items()}


def _cell(name: str, value: Any, schema: pyarrow.Schema) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None  # as pandas would write it
    if name in _JSON:
        return json.dumps(masked_tree(plain(value)))
    if not name.startswith("param_"):
        return _writable(value) if isinstance(value, str) else value
    kind = schema.field(name).type
    value = scalar(value)
    if kind == pyarrow.string():
        return _writable(masked(as_text(value)))
    return float(value) if kind == pyarrow.float64() else value


def _writable(text: str) -> str:
    """Write what UTF-8 cannot hold as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
