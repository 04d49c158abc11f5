"""Sync: spools -> MLflow, by the code that writes runs as they happen; each run once, however often it is tried."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from foldwise.errors import InputError, TrackingError
from foldwise.listeners.tracking.contents import whole
from foldwise.listeners.tracking.entry import Entry
from foldwise.listeners.tracking.runs import Differs, Runs
from foldwise.listeners.tracking.spool import About, Spool, address_of, find_spools
from foldwise.listeners.tracking.store import Store, StoredRun, cause
from foldwise.listeners.tracking.writers import Writers
from foldwise.reduce.archive import HEAD

_SAME_END = 0.01
"""Seconds by which two times of one end may differ, since MLflow counts in milliseconds."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of a spool: how much was written now, how much is left, and why."""

    about: About
    n_written: int
    n_left: int
    problem: str | None


def sync(root: Path, uri: str | None, *, go_on: Callable[[], bool] = lambda: True) -> list[Synced]:
    """Write what waits for a store; a spool that is in MLflow is deleted.

    Parameters
    ----------
    root : Path
        Where spools are.
    uri : str or None
        Of the store, with its password if it has one.
    go_on : callable
        Asked between runs; once it says False, the rest is left.

    Returns
    -------
    list of Synced
        One per spool that waited for this store.

    Raises
    ------
    TrackingError
        If another process is at it, or a spool cannot be read.
    """
    if not find_spools(root):
        return []
    try:
        with FileLock(root / ".lock", timeout=0):
            spools = [Spool(folder) for folder in find_spools(root)]
            ours = [spool for spool in spools if spool.about.uri == address_of(uri)]
            return [_Replay(spool, Store(uri, spool.about.experiment), go_on).run() for spool in ours]
    except Timeout as error:
        raise TrackingError(f"expected to be alone with {root}, but another process syncs it; wait until it is done") from error


def sync_all(root: Path, tracking: str | None, default: str, say: Callable[[str], object]) -> int:
    """Write all that waits, or what waits for one store.

    Parameters
    ----------
    root : Path
        Where spools are.
    tracking : str or None
        Of the one store; None: all.
    default : str
        The URI that is used where no other is given; it may hold the password that no spool holds.
    say : callable
        Is told what came of each job.

    Returns
    -------
    int
        How much is left.

    Raises
    ------
    InputError
        If something waits, but not for this store.
    TrackingError
        If another process is at it, or a spool cannot be read.
    """
    addresses = dict.fromkeys(Spool(folder).about.uri for folder in find_spools(root))
    if not addresses:
        say("nothing waits to be tracked")
        return 0
    if tracking is not None and address_of(tracking) not in addresses:
        raise InputError("--tracking", f"expected one of {', '.join(addresses)}, got {tracking!r}")
    given = {address_of(uri): uri for uri in (default, tracking) if uri is not None}
    n_left = 0
    for address in addresses if tracking is None else [address_of(tracking)]:
        for one in sync(root, given.get(address, address or None)):
            n_left += one.n_left
            left = f"; {one.n_left} are left: {one.problem}" if one.n_left else ""
            say(f"{one.about.started.name}: {one.n_written} runs and files tracked in {address or 'MLflow'}{left}")
    return n_left


class _Replay:
    """One spool on its way to its store."""

    def __init__(self, spool: Spool, store: Store, go_on: Callable[[], bool]) -> None:
        self._spool, self._store, self._go_on = spool, store, go_on
        self._runs = Runs(store, spool.about.parent, is_whole=spool.about.is_whole)
        self._differs = self._is_outdated = False
        self._writers = Writers(store.n_writers)
        self._problem: str | None = None
        self._n_written = self._n_left = 0
        self._counting = threading.Lock()

    def run(self) -> Synced:
        about = self._spool.about
        if self._do(self._open) and not self._is_outdated and self._runs.job is not None:
            self._replay(self._runs.job)
            if self._differs and self._start_anew():
                self._replay(self._runs.job)
        self._writers.close()
        if not self._n_left:
            self._spool.remove()
        return Synced(about, self._n_written, self._n_left, self._problem)

    def _open(self) -> None:
        """Open the job's run, unless a later run of the job has told its end since."""
        ended, (known, _) = self._spool.about.ended.ended, self._store.find(self._spool.about.started.key)
        told = None if known is None else known.ended
        self._is_outdated = told is not None and ended is not None and told > ended + _SAME_END
        if not self._is_outdated:
            self._runs.open_job(self._spool.about.started)

    def _start_anew(self) -> bool:
        """Have all written to another run of the job, since MLflow holds another result of it."""
        if not self._spool.about.is_whole:
            self._problem = "MLflow holds another result of this job; run the job again"
            self._n_left += 1
            return False
        self._differs, self._n_written, self._n_left = False, 0, 0
        return self._do(lambda: self._runs.start_anew(self._spool.about.started))

    def _replay(self, job: StoredRun) -> None:
        for entry in self._spool.entries():
            if self._differs:
                break
            study = self._runs.study(entry.key.rpartition("/")[0])
            if study is not None:
                self._writers.do(partial(self._piece, partial(self._runs.add_trial, entry, study)))
            elif self._is_trial(entry):
                self._n_left += 1  # its study could not be written
            else:
                self._piece(partial(self._runs.end_study, entry))
        self._writers.wait()
        if self._differs:
            return
        there = self._artifacts(job)
        for file in self._spool.files():
            if file.name not in there:
                self._writers.do(partial(self._piece, partial(self._add_file, job, file)))
        self._writers.wait()
        data, model = self._spool.data(), self._spool.model
        if data is not None:
            self._piece(lambda: self._store.add_dataset(job, data))
        if model is not None:
            self._piece(lambda: self._add_model(job, model))
        self._do(lambda: self._store.remove_doubles(self._spool.about.started.key))
        self._do(lambda: self._runs.end_job(self._spool.about.ended))

    def _is_trial(self, entry: Entry) -> bool:
        return "/" in entry.key.removeprefix(f"{self._spool.about.started.key}/")

    def _artifacts(self, job: StoredRun) -> set[str]:
        """Name the files of an equal job that was complete: they stay as they are."""
        there: set[str] = set()
        if self._runs.was_complete:
            self._do(lambda: there.update(whole(self._store.artifact_names(job))))
        return there

    def _add_file(self, job: StoredRun, file: Path) -> None:
        """Keep a file with the job's run; report and archive learn where they are."""
        if file.name not in {"report.json", HEAD}:
            self._store.add_artifact(job, file)
            return
        content = json.loads(file.read_text(encoding="utf-8"))
        if file.name == HEAD:
            content["tracked"]["run_id"] = job.run_id
        else:
            content["mlflow_run_id"] = job.run_id
        with tempfile.TemporaryDirectory(prefix="foldwise-") as folder:
            told = Path(folder, file.name)
            told.write_text(json.dumps(content), encoding="utf-8")
            self._store.add_artifact(job, told)

    def _add_model(self, job: StoredRun, model: Path) -> None:
        if job.fresh or not self._store.has_model(job):
            self._store.add_model(job, model, self._spool.about.model_tags)

    def _piece(self, write: Callable[[], object]) -> None:
        if self._do(write):
            with self._counting:
                self._n_written += 1

    def _do(self, write: Callable[[], object]) -> bool:
        """Write something; what fails is left for the next time."""
        try:
            if not self._go_on():
                raise TrackingError("there was no time for more")
            write()
        except Differs:
            self._differs = True
            return False
        except Exception as error:  # whatever it is, the others are tried, and the cause is told
            with self._counting:
                self._n_left += 1
            self._problem = cause(error)
            return False
        return True
