"""What can be asked of MLflow afterwards: the archive and the report of a job, the UI, the run that is active."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.errors import TrackingError
from foldwise.listeners.tracking.connection import prepare_mlflow
from foldwise.listeners.tracking.contents import WITHDRAWN
from foldwise.listeners.tracking.database import sqlite_file
from foldwise.listeners.tracking.entry import JOB, STUDY
from foldwise.listeners.tracking.store import cause
from foldwise.listeners.tracking.uri import check_uri
from foldwise.reduce.archive import HEAD, OUTER, TRIALS, Archive
from foldwise.report import Report
from foldwise.safety.masking import masked

_LOOK = 0.2  # seconds between looks at the server's process


def load_archive(uri: str, name: str) -> Archive:
    """Load the archive of a job that was tracked.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.
    name : str
        The job's name, whose latest run is taken, or an MLflow run id.

    Returns
    -------
    Archive
        What the job left; `Report` shows it.

    Raises
    ------
    InputError
        If the archive is of another version of foldwise's.
    TrackingError
        If the store cannot be read, or has no such run or archive.
    """
    check_uri(uri, "uri")
    with _artifacts(uri, name, HEAD) as artifacts:
        archive = artifacts.archive()
    if archive is None:
        problem = (
            f"expected an archive of {name!r} in {masked(uri)}, got a job that has not ended, or that an earlier foldwise ran"
        )
        raise TrackingError(problem)
    return archive


def find_report(uri: str, name: str, artifact: str = "report.txt") -> str:
    """Return the report of a job that was tracked.

    It is made of the job's archive. Of a job that runs again, or that an earlier version of foldwise ran, it is what stands
    there in words.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.
    name : str
        The job's name, whose latest run is taken, or an MLflow run id.
    artifact : str
        "report.txt" or "report.json".

    Returns
    -------
    str
        The report.

    Raises
    ------
    InputError
        If the archive is of another version of foldwise's.
    TrackingError
        If the store cannot be read, or has no such run or report.
    """
    with _artifacts(uri, name, artifact) as artifacts:
        archive = artifacts.archive()
        if archive is None:
            return artifacts.fetch(artifact).read_text(encoding="utf-8").rstrip()
    return Report(archive).to_json() if artifact == "report.json" else str(Report(archive))


@dataclass(frozen=True, slots=True)
class _Artifacts:
    """The files of a run, brought into a folder when they are asked for."""

    client: Any
    run_id: str
    folder: str

    def fetch(self, name: str) -> Path:
        return Path(self.client.download_artifacts(self.run_id, name, self.folder))

    def archive(self) -> Archive | None:
        """Load the archive; None if there is none, or it is withdrawn."""
        names = {file.path for file in self.client.list_artifacts(self.run_id)}
        if HEAD not in names or WITHDRAWN in json.loads(self.fetch(HEAD).read_text(encoding="utf-8")):
            return None
        for name in names & {TRIALS, OUTER}:
            self.fetch(name)
        return Archive.load(self.folder)


@contextmanager
def _artifacts(uri: str, name: str, wanted: str) -> Iterator[_Artifacts]:
    """Find the run of a job, of whose files one is wanted."""
    prepare_mlflow()
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise TrackingError(
            f"expected a tracking database, got {uri!r}, which is not there; run the job first, or give --tracking"
        )
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=uri)
    where = masked(uri)
    try:
        run_id = find_run(client, name)
        if run_id is None:
            raise TrackingError(f"expected a job's name or an MLflow run id that {where} has, got {name!r}")
        with tempfile.TemporaryDirectory() as folder:
            yield _Artifacts(client, run_id, folder)
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"expected {wanted} of {name!r} in {where}, got {cause(error)}; the job may not have ended"
        ) from error


def find_run(client: Any, name: str) -> str | None:
    """Return the id of a job's latest run, or of the run that has this id."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_run(name).info.run_id)
    except MlflowException:
        pass  # no run id: then it is a name
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    # A job's run is named as the job is; its studies and trials carry the job's tag too, and may be thousands.
    condition = f"tags.`{JOB}` = {quoted} AND attributes.run_name = {quoted}"
    runs = client.search_runs(experiments, condition, order_by=["attributes.start_time DESC"])
    jobs = [run for run in runs if STUDY not in run.data.tags]
    return str(jobs[0].info.run_id) if jobs else None


def ui_address(uri: str, port: int) -> str:
    """Return the page that lists the runs of the latest experiment, each job above its studies and trials."""
    prepare_mlflow()
    from mlflow import MlflowClient

    home = f"http://127.0.0.1:{port}/"
    latest = MlflowClient(tracking_uri=uri).search_experiments(max_results=1, order_by=["last_update_time DESC"])
    if not latest:
        return home
    return f"{home}#/experiments/{latest[0].experiment_id}/runs?orderByKey=attributes.start_time&orderByAsc=true"


def serve_ui(uri: str, port: int, say: Callable[[str], object] = print) -> int:
    """Serve the MLflow UI on the loopback interface until it is interrupted; ``say`` is told where.

    Returns
    -------
    int
        Its exit code; 0 if it was interrupted.

    Raises
    ------
    TrackingError
        If there is no such database.
    """
    if uri.startswith(("http://", "https://")):
        raise TrackingError(f"expected a database to serve, got the server {masked(uri)!r}; open it in a browser")
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise TrackingError(
            f"expected a tracking database, got {uri!r}, which is not there; run a job first, or give --tracking"
        )
    prepare_mlflow()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    if file is not None:
        command += ["--default-artifact-root", (file.parent / "mlruns").as_uri()]
    say(f"MLflow UI: {ui_address(uri, port)} (stop it with Ctrl-C)")
    # By the environment, since everybody on the machine may read the arguments of a command, and a URI may hold a password.
    environment = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
    process = subprocess.Popen([*command, "--workers", "1"], env=environment)  # noqa: S603  (our own command)
    try:
        while process.poll() is None:  # by looking, since some libraries let no signal end a wait: polars, which MLflow imports
            time.sleep(_LOOK)
        return process.returncode
    except KeyboardInterrupt:
        process.terminate()
        process.wait(timeout=15)
        return 0


def active_run(uri: str) -> tuple[str, str] | None:
    """Return id and experiment of the run that is active in the caller, if MLflow is loaded there and it is in this store."""
    mlflow = sys.modules.get("mlflow")
    active = mlflow.active_run() if mlflow is not None else None
    if mlflow is None or active is None or not _same_store(mlflow.get_tracking_uri(), uri):
        return None
    return str(active.info.run_id), str(mlflow.get_experiment(active.info.experiment_id).name)


def _same_store(one: str, other: str) -> bool:
    return one == other or (sqlite_file(one) is not None and sqlite_file(one) == sqlite_file(other))
