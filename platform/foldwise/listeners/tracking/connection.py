"""The first call to MLflow: its environment, a client, and the experiment."""

from __future__ import annotations

import os
import re
import threading
from typing import Any

from foldwise.listeners.tracking.database import first_use, sqlite_file

IMPORTING = threading.Lock()
"""Held while parts of MLflow are imported: they import each other, and two threads would meet in half of one."""


def connect(uri: str | None, experiment: str) -> tuple[Any, str]:
    """Return a client and the id of an experiment, which is made, or restored if it was deleted."""
    prepare_mlflow()
    from mlflow import MlflowClient  # lazily: it takes seconds, and most that foldwise does needs none of it
    from mlflow.exceptions import MlflowException  # lazily: likewise

    with first_use(uri, lambda aside: MlflowClient(tracking_uri=aside).search_experiments(max_results=1)):
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


def _artifact_location(uri: str, experiment: str) -> str | None:
    """Put the artifacts of a SQLite database beside it; MLflow would put them into the working folder."""
    file = sqlite_file(uri)
    if file is None:
        return None
    return (file.parent / "mlruns" / (re.sub(r"[^\w.-]+", "-", experiment).strip(".-") or "experiment")).as_uri()


def n_writers(uri: str | None) -> int:
    """Return how many runs may be written at a time: a server answers late but has several workers, SQLite has one writer."""
    scheme = (uri or "").partition(":")[0].partition("+")[0]
    return {"http": 8, "https": 8, "postgresql": 4, "mysql": 4, "mssql": 4}.get(scheme, 1)
