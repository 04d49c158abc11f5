"""Store: what is asked of MLflow, each call repeated a few times and found again by its key. Runs on the tracker's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from foldwise.errors import TrackingError
from foldwise.listeners.tracking.connection import connect, n_writers
from foldwise.listeners.tracking.database import sqlite_file
from foldwise.listeners.tracking.entry import KEY, PARENT, STATE, Entry, content_of
from foldwise.safety.masking import masked

PAUSE = 1.0
"""Seconds in which a store that could not be reached is left alone, so that a dead server costs little."""
_FIRST_WAIT = 0.2
"""Seconds before a call that failed is made again; twice as long before it is made a third time."""
_PAGE = 1000
_T = TypeVar("_T")

_PASSING = {"ABORTED", "DEADLINE_EXCEEDED", "INTERNAL_ERROR", "IO_ERROR", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED",
            "TEMPORARILY_UNAVAILABLE"}  # fmt: skip
_REFUSED = {"CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED", "UNAUTHENTICATED"}
_OF_FILES = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that MLflow has.

    Parameters
    ----------
    run_id : str
        MLflow's id.
    state : str or None
        Its ``foldwise.state`` if it has ended; None while it is open.
    ended : float or None
        When, in seconds since the epoch.
    key, parent : str
        The key it is found by, and the run it stands below.
    content : str
        Digest of what came of it, as `content_of` gives it.
    is_blank : bool
        Whether it holds neither params nor metrics yet.
    params, metrics : mapping
        Those it holds, of a job's run: MLflow lets no param be changed.
    fresh : bool
        Whether it was made just now, with its tags.
    """

    run_id: str
    state: str | None = None
    ended: float | None = None
    key: str = ""
    parent: str = ""
    content: str = ""
    is_blank: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    fresh: bool = False


class Store:
    """The runs of one experiment; several threads may ask at a time.

    Parameters
    ----------
    uri : str or None
        Of the tracking server or database; None: MLflow's own choice.
    experiment : str
        Name of the experiment.
    """

    def __init__(self, uri: str | None, experiment: str) -> None:
        self._uri, self._experiment = uri, experiment
        self.n_writers = n_writers(uri)
        self._connection: tuple[Any, str] | None = None
        self._may_exist: set[str] = set()
        self._doubtful: set[str] = set()
        self._paused_until, self._why_paused = 0.0, ""
        # No random wait: it would draw from the generator that a fit in this process may be using.
        self._retrying = Retrying(
            stop=stop_after_attempt(3),
            wait=wait_exponential(multiplier=_FIRST_WAIT, max=2),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )

    # --- runs ---

    def find(self, key: str) -> tuple[StoredRun | None, list[StoredRun]]:
        """Return the run with a key, the latest if there are several, of these one that ended; and the others."""
        runs = self._search(f"tags.`{KEY}` = '{key}'")
        runs = sorted(runs, key=lambda run: (run.info.start_time, _known(run).state is not None), reverse=True)
        known = [_known(run) for run in runs]
        return (known[0] if known else None), known[1:]

    def find_below(self, key: str) -> list[StoredRun]:
        """Return all runs whose key lies below another."""
        return [_known(run, slim=True) for run in self._search(f"tags.`{KEY}` LIKE '{key}/%'")]

    def users_tags(self, known: StoredRun) -> dict[str, str]:
        """Return the tags of a run that people gave it."""
        client, _ = self._connect()
        tags = self._ask(lambda: client.get_run(known.run_id)).data.tags
        return {name: value for name, value in tags.items() if not name.startswith(("foldwise.", "mlflow."))}

    def delete(self, known: StoredRun) -> None:
        """Delete a run, and the models that it put out but for those that are registered; MLflow can restore both."""
        client, _ = self._connect()
        if not known.parent or known.metrics:
            outputs = self._ask(lambda: client.get_run(known.run_id)).outputs
            ids = [output.model_id for output in (outputs.model_outputs if outputs else [])]
            if ids and not self._ask(lambda: client.search_model_versions(f"run_id = '{known.run_id}'", max_results=1)):
                for model_id in ids:
                    self._ask(partial(client.delete_logged_model, model_id))
        self._ask(lambda: client.delete_run(known.run_id))

    def create(self, entry: Entry, *, instead_of: StoredRun | None = None) -> StoredRun:
        """Make a run with its tags; if an earlier try may have made it, that one is used, but not the one it replaces."""

        def make() -> StoredRun:
            if entry.key in self._may_exist:
                self._doubtful.add(entry.key)  # a slow server may yet do what it was asked before
                made, _ = self.find(entry.key)
                if made is not None and (instead_of is None or made.run_id != instead_of.run_id):
                    return made
            client, experiment = self._connect()
            self._may_exist.add(entry.key)
            run = client.create_run(experiment, start_time=_ms(entry.started), tags=dict(entry.tags), run_name=entry.name)
            return StoredRun(run.info.run_id, key=entry.key, parent=entry.tags.get(PARENT, ""), fresh=True)

        known = self._ask(make)
        self._may_exist.discard(entry.key)
        return known

    @property
    def may_hold_doubles(self) -> bool:
        """Whether an earlier try to make a run was taken for lost: a slow server may yet have made it."""
        return bool(self._doubtful)

    def remove_doubles(self, key: str) -> None:
        """Delete trials of a job that stand there twice; one that has ended is kept before one that is open."""
        client, _ = self._connect()
        by_key: dict[str, list[Any]] = {}
        for run in self._search(f"tags.`{KEY}` LIKE '{key}/%/%'"):
            by_key.setdefault(run.data.tags[KEY], []).append(run)
        for runs in by_key.values():
            for run in sorted(runs, key=lambda run: _known(run).state is None)[1:]:
                self._ask(partial(client.delete_run, run.info.run_id))
        self._doubtful.clear()

    def reopen(self, known: StoredRun) -> None:
        """Set a run back to RUNNING."""
        client, _ = self._connect()
        self._ask(lambda: client.update_run(known.run_id, status="RUNNING"))

    def log(self, known: StoredRun, entry: Entry) -> None:
        """Write an entry's params, metrics and, on a run that was not made with them, tags: in one call, if it fits."""
        from mlflow.entities import Metric, Param, RunTag

        client, _ = self._connect()
        at = _ms(entry.started if entry.ended is None else entry.ended)
        params = [Param(name, value) for name, value in entry.params.items() if name not in known.params]
        metrics = [Metric(name, value, at, step) for name, value, step in entry.metrics]
        tags = [] if known.fresh else [RunTag(name, value) for name, value in entry.tags.items()]
        self._ask(lambda: client.log_batch(known.run_id, metrics=metrics, params=params, tags=tags))  # splits what is too long

    def tag(self, known: StoredRun, tags: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        client, _ = self._connect()
        self._ask(lambda: client.log_batch(known.run_id, tags=[RunTag(name, value) for name, value in tags.items()]))

    def end(self, known: StoredRun, status: str, ended: float | None) -> None:
        """End a run, at some time or now."""
        client, _ = self._connect()
        self._ask(lambda: client.set_terminated(known.run_id, status, None if ended is None else _ms(ended)))

    # --- what a run holds ---

    def artifact_names(self, known: StoredRun) -> set[str]:
        """Return the names of a run's artifacts, at the top."""
        client, _ = self._connect()
        return self._ask(lambda: {file.path for file in client.list_artifacts(known.run_id)})

    def add_artifact(self, known: StoredRun, path: Path) -> None:
        """Keep a file with a run, in place of one of the same name."""
        client, _ = self._connect()
        self._ask(lambda: client.log_artifact(known.run_id, str(path)))

    def add_dataset(self, known: StoredRun, fields: Mapping[str, str]) -> None:
        """Name the data that a run learned from; the same data is named once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        client, _ = self._connect()
        used = DatasetInput(Dataset(**fields), [InputTag("mlflow.data.context", "training")])
        self._ask(lambda: client.log_inputs(known.run_id, datasets=[used]))

    def has_model(self, known: StoredRun) -> bool:
        """Tell whether a run has put out a model that is complete."""
        client, _ = self._connect()
        outputs = self._ask(lambda: client.get_run(known.run_id)).outputs
        ids = [output.model_id for output in (outputs.model_outputs if outputs else [])]
        return any(str(self._ask(partial(client.get_logged_model, one)).status) == "READY" for one in ids)

    def add_model(self, known: StoredRun, folder: Path, tags: Mapping[str, str]) -> None:
        """Log a saved model as a run's output."""
        from mlflow.entities import LoggedModelOutput

        client, experiment = self._connect()
        model = self._ask(
            lambda: client.create_logged_model(experiment, name="model", source_run_id=known.run_id, tags=dict(tags))
        )
        try:
            self._ask(lambda: client.log_model_artifacts(model.model_id, str(folder)))
        except Exception:
            self._ask(lambda: client.finalize_logged_model(model.model_id, "FAILED"))
            raise
        self._ask(lambda: client.finalize_logged_model(model.model_id, "READY"))
        self._ask(lambda: client.log_outputs(known.run_id, [LoggedModelOutput(model.model_id, 0)]))

    def address(self, known: StoredRun) -> str:
        """Say where people see a run; without passwords."""
        client, experiment = self._connect()
        uri = masked(str(client.tracking_uri))
        if uri.startswith(("http://", "https://")):
            return f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{known.run_id}"
        file = sqlite_file(uri)
        if file is not None and file.is_relative_to(Path.cwd()):
            uri = f"sqlite:///{file.relative_to(Path.cwd()).as_posix()}"
        return f"{uri}; after foldwise ui at http://127.0.0.1:5000/#/experiments/{experiment}/runs/{known.run_id}"

    # --- asking ---

    @property
    def why_paused(self) -> str:
        """Why it could not be reached a moment ago; "" if it could."""
        return self._why_paused

    def answers(self) -> bool:
        """Ask for next to nothing, once; tell whether that was answered, which ends a pause."""
        try:
            if self._connection is None:
                self._connection = connect(self._uri, self._experiment)
            else:
                client, experiment = self._connection
                client.get_experiment(experiment)
        except Exception as error:  # whatever it is, it cannot be used
            self._pause(error)
            return False
        self._paused_until, self._why_paused = 0.0, ""
        return True

    def _search(self, condition: str) -> list[Any]:
        client, experiment = self._connect()
        runs: list[Any] = []
        token: str | None = None
        while True:
            page = self._ask(partial(client.search_runs, [experiment], condition, max_results=_PAGE, page_token=token))
            runs += page
            token = page.token
            if not token:
                return runs

    def _ask(self, call: Callable[[], _T]) -> _T:
        """Make a call, again if it fails in a way that may pass."""
        if time.monotonic() < self._paused_until:
            raise TrackingError(self._why_paused)
        try:
            return self._retrying(call)
        except Exception as error:
            if _may_pass(error) or _code(error) in _REFUSED:
                self._pause(error)
            raise

    def _pause(self, error: Exception) -> None:
        self._paused_until, self._why_paused = time.monotonic() + PAUSE, cause(error)

    def _connect(self) -> tuple[Any, str]:
        """Return the client and the experiment's id; the first call imports MLflow and may make the database."""
        if self._connection is None:
            try:
                self._connection = self._ask(lambda: connect(self._uri, self._experiment))
            except Exception as error:
                self._pause(error)
                raise
        return self._connection


def cause(error: BaseException) -> str:
    """Say in one line why a call failed; without passwords."""
    line = " ".join(masked(str(error)).split()) or "no message"
    if "Invalid Host header" in line:
        return "the server does not answer to this name: add it, with its port, to the server's MLFLOW_SERVER_ALLOWED_HOSTS"
    line = line if isinstance(error, TrackingError) else f"{type(error).__name__}: {line}"
    return line if len(line) <= 300 else f"{line[:140]} ... {line[-155:]}"


def _may_pass(error: BaseException) -> bool:
    """Tell whether the same call may do better in a moment."""
    if isinstance(error, OSError):  # what requests raises is one, too
        return not isinstance(error, _OF_FILES)
    return _code(error) in _PASSING


def _code(error: BaseException) -> str | None:
    code: str | None = getattr(error, "error_code", None)
    return code


def _known(run: Any, *, slim: bool = False) -> StoredRun:
    """Take what is to be known of a run; ``slim`` leaves out what is asked of a job's run only."""
    data = run.data
    return StoredRun(
        run.info.run_id,
        None if run.info.status in {"RUNNING", "SCHEDULED"} else data.tags.get(STATE, run.info.status),
        None if run.info.end_time is None else run.info.end_time / 1000,
        data.tags.get(KEY, ""),
        data.tags.get(PARENT, ""),
        content_of(data.params, data.metrics, data.tags),
        not data.params and not data.metrics,
        {} if slim else dict(data.params),
        {} if slim else dict(data.metrics),
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
