"""The first call to MLflow: its environment, a client, the experiment and, where it is new, the database."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from pathlib import Path
from typing import Any

import psutil

from foldwise.private_files import make_file, make_folder

IMPORTING = threading.Lock()
"""Held while parts of MLflow are imported: they import each other, and two threads would meet in half of one."""
_SHARED = {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}


def connect(uri: str | None, experiment: str) -> tuple[Any, str]:
    """Return a client and the id of an experiment, which is made, or restored if it was deleted."""
    prepare_mlflow()
    from mlflow import MlflowClient  # lazily: it takes seconds, and most that foldwise does needs none of it
    from mlflow.exceptions import MlflowException  # lazily: likewise

    _new_database(uri)
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        try:
            location = _artifact_location(str(client.tracking_uri), experiment)
            return client, client.create_experiment(experiment, artifact_location=location)
        except MlflowException as error:
            found = client.get_experiment_by_name(experiment)  # someone else may have made it meanwhile
            if found is None or error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return client, found.experiment_id


def prepare_mlflow() -> None:
    """Import MLflow, its environment set before where the user has not: quiet, and failing within seconds.

    MLflow's own retries wait for minutes and may make a run twice; foldwise repeats calls itself.
    """
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_LOGGING_LEVEL": "CRITICAL",  # what fails is told in the report, in one line
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(name, value)
    with IMPORTING:
        import mlflow.tracking  # noqa: F401  (lazily, and whole: what calls it next finds it there)


def _new_database(uri: str | None) -> None:
    """Let a SQLite database that is not there yet keep a write-ahead log: MLflow commits six times per run.

    A mode is kept in the file, and is left alone in one that exists. Not on a shared file system, where several hosts would
    need the shared memory of one.
    """
    file = None if uri is None else sqlite_file(uri)
    if file is None or file.exists():
        return
    make_file(file)  # for its owner alone, and so are the artifacts beside it
    make_folder(file.parent / "mlruns")
    if _is_shared(file.parent):
        return
    connection = sqlite3.connect(file)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def _is_shared(folder: Path) -> bool:
    """Tell whether a folder lies on a file system that several hosts may mount."""
    mounts = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    nearest = next((mounts[path] for path in (folder, *folder.parents) if path in mounts), "")
    return nearest.lower() in _SHARED


def _artifact_location(uri: str, experiment: str) -> str | None:
    """Put the artifacts of a SQLite database beside it; MLflow would put them into the working folder."""
    file = sqlite_file(uri)
    if file is None:
        return None
    return (file.parent / "mlruns" / (re.sub(r"[^\w.-]+", "-", experiment).strip(".-") or "experiment")).as_uri()


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite database, None for anything else."""
    scheme, _, path = uri.partition(":///")
    if scheme.partition("+")[0] != "sqlite" or not path.partition("?")[0]:
        return None
    return Path(path.partition("?")[0]).absolute()


def n_writers(uri: str | None) -> int:
    """Return how many runs may be written at a time: a server answers late but has several workers, SQLite has one writer."""
    scheme = (uri or "").partition(":")[0].partition("+")[0]
    return {"http": 8, "https": 8, "postgresql": 4, "mysql": 4, "mssql": 4}.get(scheme, 1)
