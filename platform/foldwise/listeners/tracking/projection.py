"""Projection: notes -> MLflow. Each thing is written once, however often it is told. Runs on the tracker's thread."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from foldwise.errors import TrackingError
from foldwise.events import RunEnded
from foldwise.listeners.tracking.contents import DATA, MODEL, Contents, dataset_fields, model_of, model_tags
from foldwise.listeners.tracking.entry import Entries, Entry
from foldwise.listeners.tracking.model import prepare, save_model
from foldwise.listeners.tracking.notes import Notes
from foldwise.listeners.tracking.runs import Differs, Runs
from foldwise.listeners.tracking.spool import About, Left
from foldwise.listeners.tracking.store import PAUSE, Store, StoredRun, cause
from foldwise.listeners.tracking.writers import Writers

_BETWEEN_TRIES = 5.0
"""Seconds between tries to open the job's run where the store answers but does not let it be made."""


class Projection:
    """What MLflow holds of one run.

    While the store cannot be reached nothing is tried but whether it answers again; then what was missed is made up for. What
    it refuses for other reasons is tried once more when the run ends.

    Parameters
    ----------
    store : Store
        Where to.
    notes : Notes
        What the run tells.
    job_text : str or None
        The job file as it was written.
    parent_run_id : str or None
        The run to nest the job's run below.
    """

    def __init__(self, store: Store, notes: Notes, *, job_text: str | None, parent_run_id: str | None) -> None:
        self.address: str | None = None
        self.problem: str | None = None
        self.n_written = 0
        self._store, self._notes, self._parent = store, notes, parent_run_id
        self._runs = Runs(store, parent_run_id)
        self._writers = Writers(store.n_writers)
        self.contents = Contents(store, self._attempt, job_text)
        self._stopped = threading.Event()
        self._next_try = 0.0
        self._differs = False

    @property
    def run_id(self) -> str | None:
        """Id of the job's run, once it is known."""
        return None if self._runs.job is None else self._runs.job.run_id

    @property
    def of(self) -> Entries:
        """What makes the entries."""
        if self._notes.start is None:
            raise TrackingError("expected RunStarted before any other event")
        return Entries(self._notes.start.plan, self._notes.start.started)

    @property
    def n_missing(self) -> int:
        """How many runs, files and the like are not in MLflow as they are to be by now."""
        notes = self._notes
        if notes.start is None:
            return 0
        has_ended = notes.end is not None
        n_missing = int(not notes.is_written if has_ended else self.run_id is None) + len(self.contents.missing(self.of, notes))
        for name, study in list(notes.studies.items()):
            is_due = has_ended or study.end is not None
            n_missing += int(not study.is_written if is_due else self._runs.study(self.of.key(name)) is None)
            n_missing += sum(1 for _ in study.unwritten())
        return n_missing

    @property
    def why_away(self) -> str:
        """Why the store could not be reached a moment ago; "" if it could."""
        return self._store.why_paused

    def stop(self) -> None:
        """Try nothing more."""
        self._stopped.set()

    # --- what is told, in order; none of these raises ---

    def start(self) -> None:
        """Open the job's run and write what is known from the start."""
        self._write_contents()
        if self._notes.start is not None and self._notes.start.plan.problem.settings.has_final_model:
            prepare()  # while fits run, so that the end need not wait for it

    def trial(self, study: str, number: int) -> None:
        """Write a trial, soon."""
        self._await_store()
        parent = self._study(study)
        if parent is not None:
            self._writers.do(partial(self._write_trial, study, number, parent))
        self._write_anew()

    def study(self, study: str) -> None:
        """Write how a study ended, soon."""
        self._await_store()
        if self._study(study) is not None:
            self._writers.do(partial(self._write_study, study))
        self._write_anew()

    def end(self) -> None:
        """Write how the run ended, and what is not there."""
        self._await_store()
        self._next_try = 0.0
        self._write_contents()
        self._catch_up()
        if self._job() is not None:
            if self._store.may_hold_doubles:
                self._attempt(lambda: self._store.remove_doubles(self.of.job_key))
            self._notes.is_written = self._attempt(self._close)
            if self._differs:
                self._write_anew()
                self._notes.is_written = self._attempt(self._close)
        self._writers.close()

    # --- what is left at the end, for the spool ---

    def is_stopped(self) -> bool:
        """Whether nothing more is to be tried."""
        return self._stopped.is_set()

    @property
    def can_be_completed(self) -> bool:
        """Whether what is missing may yet come to MLflow: all but a model that can be stored in no way."""
        return self.n_missing > self.contents.is_unstorable

    def about(self, uri: str, experiment: str) -> About:
        """Say where what is left belongs."""
        return About(
            uri, experiment, self._parent, self.of.job(), self._job_ended(), model_tags(self.of), is_whole=self._keeps_all
        )

    @property
    def _keeps_all(self) -> bool:
        """Whether all is to be kept: where MLflow holds a run of the job that was there before, all may be written anew."""
        return self._runs.job is None or not self._runs.job.fresh

    def left(self) -> Left:
        """Return what is not in MLflow, each thing made when it is asked for."""
        notes, of = self._notes, self.of
        missing = self.contents.due(of, notes) if self._keeps_all else self.contents.missing(of, notes)
        model, dataset = model_of(notes), of.plan.problem.dataset
        files = {name: make for name, make in self.contents.files(of, notes, self._runs.job).items() if name in missing}
        keeps_model = MODEL in missing and not self.contents.is_unstorable
        return Left(
            self._entries_left(),
            files,
            data=(lambda: dataset_fields(dataset)) if DATA in missing else None,
            model=(lambda folder: save_model(model, dataset, folder)) if keeps_model else None,
        )

    def _entries_left(self) -> Iterator[Entry]:
        keeps_all, studies = self._keeps_all, self._notes.studies
        with_trials = {
            name: list(range(len(notes.trials)) if keeps_all else notes.unwritten()) for name, notes in studies.items()
        }
        for study, notes in studies.items():
            if with_trials[study] or keeps_all or not notes.is_written:
                yield self._study_ended(study)
        for study, numbers in with_trials.items():
            notes = self._notes.studies[study]
            for number in numbers:
                trial = notes.trials[number]
                if trial is not None:
                    yield self.of.trial(study, trial, notes.heard[number])

    # --- the job ---

    def _job(self) -> StoredRun | None:
        """Return the job's run, None if it cannot be had now."""
        if self._runs.job is None and time.monotonic() >= self._next_try and not self._attempt(self._open):
            self._next_try = time.monotonic() + _BETWEEN_TRIES
        return self._runs.job

    def _open(self) -> None:
        known = self._runs.open_job(self.of.job())
        self.address = self._store.address(known)
        if known.state is not None and not self._runs.was_complete:
            self.contents.withdraw(self.of, known)

    def _write_contents(self) -> None:
        job = self._job()
        if job is not None:
            for write in self.contents.to_write(self.of, self._notes, job, missing_only=self._runs.was_complete):
                self._writers.do(write)

    def _close(self) -> None:
        self._runs.end_job(self._job_ended())

    def _job_ended(self) -> Entry:
        end = self._notes.end or RunEnded(None, None, interrupted=True, error=None)
        return self.of.job_ended(end.archive, self._ended, interrupted=end.interrupted, error=end.error)

    @property
    def _ended(self) -> float:
        return time.time() if self._notes.end is None else self._notes.ended

    # --- studies and trials ---

    def _study(self, study: str) -> StoredRun | None:
        """Return a study's run, None if it cannot be had now."""
        key = self.of.key(study)
        if self._runs.study(key) is None and self._job() is not None:
            started = (trial.started for trial in self._notes.studies[study].trials if trial is not None)
            first = next((at for at in started if math.isfinite(at)), self.of.started)
            self._attempt(lambda: self._runs.open_study(self.of.study(study, first)))
        return self._runs.study(key)

    def _write_study(self, study: str) -> None:
        notes = self._notes.studies[study]
        if not notes.is_written:
            notes.is_written = self._attempt(lambda: self._runs.end_study(self._study_ended(study)))

    def _study_ended(self, study: str) -> Entry:
        notes = self._notes.studies[study]
        if notes.end is not None:
            return self.of.study_ended(notes.end, notes.ended)
        return self.of.study_stopped(study, self._ended, failed=self._notes.has_failed)

    def _write_trial(self, study: str, number: int, parent: StoredRun) -> None:
        notes = self._notes.studies[study]
        trial = notes.trials[number]
        if trial is not None and not notes.written[number]:
            notes.written[number] = self._attempt(
                lambda: self._runs.add_trial(self.of.trial(study, trial, notes.heard[number]), parent)
            )

    def _catch_up(self) -> None:
        """Write what is not there, after what is under way."""
        self._writers.wait()
        for study, notes in list(self._notes.studies.items()):
            parent = self._study(study)
            if parent is not None:
                for number in notes.unwritten():
                    self._writers.do(partial(self._write_trial, study, number, parent))
                if notes.end is not None or self._notes.end is not None:
                    self._writers.do(partial(self._write_study, study))
        self._write_anew()
        self._writers.wait()

    def _write_anew(self) -> None:
        """Write all that was told to another run of the job, once MLflow turned out to hold another result of it."""
        if not self._differs:
            return
        self._writers.wait()
        if self._attempt(lambda: self._runs.start_anew(self.of.job())) and self._runs.job is not None:
            self._differs = False
            self.address = self._store.address(self._runs.job)
            self._forget_written()
            self._write_contents()
            self._catch_up()

    def _forget_written(self) -> None:
        self.contents.forget()
        for study in list(self._notes.studies.values()):
            study.is_written = False
            for number in range(len(study.written)):
                study.written[number] = False

    # --- a store that may be away ---

    def _await_store(self) -> None:
        """Wait while the store cannot be reached; then make up for what was missed."""
        was_away = False
        while self._store.why_paused and not self._stopped.is_set() and not self._store.answers():
            was_away = True
            self._stopped.wait(PAUSE)
        if was_away and not self._stopped.is_set():
            self._next_try = 0.0
            self._write_contents()
            self._catch_up()

    def _attempt(self, write: Callable[[], Any]) -> bool:
        if self._stopped.is_set():
            return False
        try:
            write()
        except Differs:
            self._differs = True
            return False
        except Exception as error:  # whatever it is, the search goes on, and the cause is told
            self.problem = cause(error)
            return False
        self.n_written += 1
        return True
