"""What the job's run holds besides numbers: files, among them the archive, the data it learned from, the final model."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from foldwise.data import Dataset
from foldwise.errors import TrackingError
from foldwise.listeners.tracking.descriptions import LONGEST_TAG, cut
from foldwise.listeners.tracking.entry import STATE, Entries, user_name
from foldwise.listeners.tracking.model import save_model
from foldwise.listeners.tracking.notes import Notes
from foldwise.listeners.tracking.store import Store, StoredRun
from foldwise.reduce.archive import HEAD, OUTER, TRIALS, VERSION, Archive, Tracked
from foldwise.report import Report
from foldwise.safety.masking import masked, shown

DATA, MODEL = "data", "model"
WITHDRAWN = "withdrawn"
"""Stands in an archive's head while the job runs again."""
_OF_ARCHIVE = {HEAD, TRIALS, OUTER}

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
        Does something; tells whether it was done.
    job_text : str or None
        The job file as it was written; addresses in it are tracked without passwords.
    """

    def __init__(self, store: Store, attempt: Callable[[Callable[[], Any]], bool], job_text: str | None) -> None:
        self._store, self._attempt = store, attempt
        self._job_text = None if job_text is None else masked(job_text)
        self._written: set[str] = set()
        self.is_unstorable = False  # the model, in any way

    # --- what there is ---

    def files(self, of: Entries, notes: Notes, job: StoredRun | None) -> dict[str, _Make]:
        """Return what makes each file that the job's run is to hold by now."""
        files: dict[str, _Make] = {} if self._job_text is None else {"job.yaml": _text(lambda: str(self._job_text))}
        files["plan.txt"] = _text(lambda: f"{shown(of.plan.explain())}\n")
        if notes.end is None:
            return files
        archive = notes.end.archive
        if archive is not None:
            archive = self._tracked(archive, job)
            files |= archive.files()
            files["report.json"] = _text(lambda: Report(archive).to_json())
            files["report.txt"] = _text(lambda: f"{Report(archive)}\n")
        return files

    def forget(self) -> None:
        """Forget what was written: all of it is to be written anew, to another run."""
        self._written.clear()

    def withdraw(self, of: Entries, job: StoredRun) -> None:
        """Say in place of an earlier report that the job runs again."""
        words = "it runs again; its report stands here once it has ended"
        report = {"job": of.plan.problem.settings.name, "key": of.job_key, "partial": True, "ended": words}
        said = {
            "report.txt": f"{of.plan.problem.settings.name}: {words}.\n",
            "report.json": json.dumps(report),
            HEAD: json.dumps({"version": VERSION, WITHDRAWN: words}),
        }
        for name in said.keys() & self._store.artifact_names(job):
            self._write_file(job, name, _text(partial(str, said[name])))

    def missing(self, of: Entries, notes: Notes) -> set[str]:
        """Name what is not there yet."""
        return self.due(of, notes) - self._written

    def due(self, of: Entries, notes: Notes) -> set[str]:
        """Name what is to be there by now: files, and ``data`` and ``model``."""
        names = {*self.files(of, notes, None), DATA}
        if model_of(notes) is not None:
            names.add(MODEL)
        return names

    def _tracked(self, archive: Archive, job: StoredRun | None) -> Archive:
        return archive if job is None else replace(archive, tracked=Tracked(job.run_id, self._store.address(job)))

    # --- writing it ---

    def to_write(self, of: Entries, notes: Notes, job: StoredRun, *, missing_only: bool) -> Iterator[Callable[[], None]]:
        """Go through what is to be done: the files, the data's name and, at the end, the final model."""
        files = self.files(of, notes, job)
        if missing_only:
            with contextlib.suppress(Exception):  # if the store fails, so does the writing below, and that is told
                self._written |= files.keys() & whole(self._store.artifact_names(job))
        model = model_of(notes)
        if model is not None:  # first, since it takes longest
            yield partial(self._once, MODEL, partial(self._write_model, of, job, model))
        for name, make in files.items():
            yield partial(self._once, name, partial(self._write_file, job, name, make))
        yield partial(self._once, DATA, lambda: self._store.add_dataset(job, dataset_fields(of.plan.problem.dataset)))

    def _write_file(self, job: StoredRun, name: str, make: _Make) -> None:
        with tempfile.TemporaryDirectory(prefix="foldwise-") as folder:
            make(Path(folder, name))
            self._store.add_artifact(job, Path(folder, name))

    def _write_model(self, of: Entries, job: StoredRun, model: Any) -> None:
        if not job.fresh and self._store.has_model(job):
            return
        with tempfile.TemporaryDirectory(prefix="foldwise-") as folder:
            try:
                saved = save_model(model, of.plan.problem.dataset, Path(folder))
            except TrackingError as error:
                self.is_unstorable = True
                self._store.tag(job, {"foldwise.model_error": cut(str(error), LONGEST_TAG)})
                raise
            self._store.add_model(job, saved, model_tags(of))

    def _once(self, name: str, write: Callable[[], Any]) -> None:
        if name not in self._written and self._attempt(write):
            self._written.add(name)


def whole(names: AbstractSet[str]) -> AbstractSet[str]:
    """Leave out the files of an archive that is not there as a whole: they must be of one run."""
    return names if names >= _OF_ARCHIVE else names - _OF_ARCHIVE


def model_of(notes: Notes) -> Any:
    """Return the final model, None if there is none."""
    return None if notes.end is None or notes.end.model is None else notes.end.model.model


def model_tags(of: Entries) -> dict[str, str]:
    """Return the tags of the final model: those of its job, less how that goes."""
    return {name: value for name, value in of.job().tags.items() if name != STATE}


def _text(make: Callable[[], str]) -> _Make:
    return lambda path: path.write_text(make(), encoding="utf-8")


def dataset_fields(dataset: Dataset) -> dict[str, str]:
    """Describe data as MLflow's UI shows it; the digest is of its whole content."""
    X, y, _ = dataset.take(np.arange(0))
    schema = json.dumps(_schema(X, y))
    size = int(np.prod(dataset.shape))
    return {
        "name": masked(dataset.name)[:500],
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
