"""What the job's run holds besides numbers: files, the data it learned from, the final model."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foldwise.data import Dataset
from foldwise.errors import TrackingError
from foldwise.events import RunEnded
from foldwise.tracking.entry import LONGEST_TAG, STATE, Entries, cut, user_name
from foldwise.tracking.model import save_model
from foldwise.tracking.store import Known, Store
from foldwise.tracking.table import write_trials
from foldwise.trial import Trial

_Job = Callable[[], Known]
_Make = Callable[[Path], Any]
_LONGEST_SCHEMA = 100_000
_KINDS = {"b": "boolean", "i": "long", "u": "long", "f": "double", "M": "datetime"}


class Contents:
    """Writes the job's files, data and model, each once.

    Parameters
    ----------
    store : Store
        Where to.
    attempt : callable
        Takes a key and something to do; tells whether it was done, and keeps account of what was not.
    job_text : str or None
        The job file as it was written.
    """

    def __init__(self, store: Store, attempt: Callable[[str, Callable[[], Any]], bool], job_text: str | None) -> None:
        self._store, self._attempt, self._job_text = store, attempt, job_text
        self._written: set[str] = set()

    def begin(self, of: Entries, job: _Job, *, missing_only: bool) -> None:
        """Write what is known from the start: the job file, the plan and the data's name."""
        files: dict[str, _Make] = {} if self._job_text is None else {"job.yaml": _text(lambda: str(self._job_text))}
        files["plan.txt"] = _text(lambda: f"{of.plan.explain()}\n")
        self._write_files(of, job, files, missing_only=missing_only)
        self._once(of.key("data"), lambda: self._store.add_dataset(job(), dataset_fields(of.plan.problem.dataset)))

    def end(
        self, of: Entries, job: _Job, event: RunEnded, trials: Mapping[str, Sequence[Trial]], *, missing_only: bool
    ) -> None:
        """Write what came of it: all trials, the report and the final model."""
        files: dict[str, _Make] = {"trials.parquet": lambda path: write_trials(path, trials)} if trials else {}
        if event.report is not None:
            files["report.json"] = _text(lambda: self._tracked(event.report, job()).to_json())
            files["report.txt"] = _text(lambda: f"{self._tracked(event.report, job())}\n")
        self._write_files(of, job, files, missing_only=missing_only)
        model = None if event.model is None else event.model.model
        if model is not None:
            self._once(of.key("model"), lambda: self._write_model(of, job(), model))

    def _tracked(self, report: Any, job: Known) -> Any:
        return replace(report, mlflow_run_id=job.run_id, mlflow_address=self._store.address(job))

    def _write_files(self, of: Entries, job: _Job, files: Mapping[str, _Make], *, missing_only: bool) -> None:
        there: set[str] = set()
        if missing_only:
            with contextlib.suppress(Exception):  # if the store fails, so does the writing below, and that is counted
                there = self._store.artifact_names(job())
        for name, make in files.items():
            if name not in there:
                self._once(of.key(name), partial(self._write_file, job, name, make))

    def _write_file(self, job: _Job, name: str, make: _Make) -> None:
        with tempfile.TemporaryDirectory(prefix="foldwise-") as folder:
            make(Path(folder, name))
            self._store.add_artifact(job(), Path(folder, name))

    def _write_model(self, of: Entries, job: Known, model: Any) -> None:
        if not job.fresh and self._store.has_model(job):
            return
        with tempfile.TemporaryDirectory(prefix="foldwise-") as folder:
            try:
                saved = save_model(model, of.plan.problem.dataset, Path(folder))
            except TrackingError as error:
                self._store.tag(job, {"foldwise.model_error": cut(str(error), LONGEST_TAG)})
                raise
            self._store.add_model(job, saved, {name: value for name, value in of.job().tags.items() if name != STATE})

    def _once(self, key: str, write: Callable[[], Any]) -> None:
        if key not in self._written and self._attempt(key, write):
            self._written.add(key)


def _text(make: Callable[[], str]) -> _Make:
    return lambda path: path.write_text(make(), encoding="utf-8")


def dataset_fields(dataset: Dataset) -> dict[str, str]:
    """Describe data as MLflow's UI shows it; the digest is of its whole content."""
    X, y, _ = dataset.take(np.arange(0))
    schema = json.dumps(_schema(X, y))
    size = int(np.prod(dataset.shape))
    return {
        "name": dataset.name[:500],
        "digest": dataset.digest,
        "source_type": "code",
        "source": json.dumps({"tags": {"mlflow.source.name": "foldwise", "mlflow.user": user_name()}}),
        "profile": json.dumps({"num_rows": dataset.n_rows, "num_elements": size}),
        **({"schema": schema} if len(schema) < _LONGEST_SCHEMA else {}),
    }


def _schema(X: Any, y: Any) -> dict[str, Any]:
    if hasattr(X, "columns"):
        columns = [
            {"type": _KINDS.get(getattr(dtype, "kind", "O"), "string"), "name": str(name)} for name, dtype in X.dtypes.items()
        ]
        return {"mlflow_colspec": columns}
    parts = {"features": X, "targets": y}
    return {
        "mlflow_tensorspec": {
            name: [{"type": "tensor", "tensor-spec": {"dtype": str(part.dtype), "shape": [-1, *part.shape[1:]]}}]
            for name, part in parts.items()
            if hasattr(part, "dtype") and hasattr(part, "shape")
        }
    }
