"""Projection: each event becomes runs in MLflow, each written once however often it is told. Runs on the tracker's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from foldwise.errors import TrackingError
from foldwise.events import Event, RunEnded, RunStarted, StudyEnded, TrialEnded
from foldwise.tracking.contents import Contents
from foldwise.tracking.entry import COMPLETE, ERROR, FAILED, KILLED, NOTE, PARENT, STATE, Entries, Entry
from foldwise.tracking.store import Known, Store, cause
from foldwise.trial import Trial


class Projection:
    """What MLflow holds of one run.

    A thing that cannot be written (a run, an artifact) stands in ``missing`` by its key, with the cause, and is tried again
    when its study ends and when the run does.

    Parameters
    ----------
    store : Store
        Where to.
    job_text : str or None
        The job file as it was written.
    parent_run_id : str or None
        The run to nest the job's run below.
    """

    def __init__(self, store: Store, *, job_text: str | None, parent_run_id: str | None) -> None:
        self.missing: dict[str, str] = {}
        self.run_id: str | None = None
        self.address: str | None = None
        self._store, self._parent = store, parent_run_id
        self._contents = Contents(store, self._attempt, job_text)
        self._entries: Entries | None = None
        self._job_run: Known | None = None
        self._study_runs: dict[str, Known] = {}
        self._found: dict[str, Known] = {}
        self._trials: dict[str, dict[int, tuple[Trial, float]]] = {}
        self._ended: dict[str, tuple[StudyEnded, float]] = {}

    def take(self, event: Event, at: float) -> None:
        """Write an event that was heard of at some time; never raises."""
        try:
            match event:
                case RunStarted():
                    self._start(event)
                case TrialEnded():
                    self._end_trial(event.study, event.trial, at)
                case StudyEnded():
                    self._end_study(event, at)
                case RunEnded():
                    self._end(event, at)
        except Exception as error:  # tracking must never harm a search, nor stop before it
            self.missing[f"{type(event).__name__} {len(self.missing)}"] = cause(error)

    # --- the job ---

    @property
    def _of(self) -> Entries:
        if self._entries is None:
            raise TrackingError("expected RunStarted before any other event")
        return self._entries

    def _start(self, event: RunStarted) -> None:
        self._entries = Entries(event.plan, event.started)
        if self._attempt(self._of.job_key, self._job):
            self._contents.begin(self._of, self._job, missing_only=self._was_complete)

    def _job(self) -> Known:
        """Return the job's run, made or found again on the first call that reaches MLflow."""
        if self._job_run is None:
            entry = _below(self._of.job(), self._parent)
            known = self._store.find(entry.key)
            if known is None:
                known = self._store.create(entry)
            else:
                self._found = self._store.find_below(entry.key)
                self._store.reopen(known)
            self._store.log(known, _without_old_error(entry, known))
            self.run_id, self.address = known.run_id, self._store.address(known)
            self._job_run = known
        return self._job_run

    @property
    def _was_complete(self) -> bool:
        return self._job_run is not None and self._job_run.state == COMPLETE

    def _end(self, event: RunEnded, at: float) -> None:
        self._store.try_again()
        self._attempt(self._of.job_key, self._job)
        self._catch_up()
        entry = self._of.job_ended(event.report, at, interrupted=event.interrupted, error=event.error)
        for study in self._study_runs.keys() - self._ended.keys():
            self._attempt(self._of.key(study), partial(self._abandon, self._study_runs[study], entry.status, at))
        untouched = self._was_complete  # an equal key: what came of it is there already
        self._contents.begin(self._of, self._job, missing_only=untouched)
        self._contents.end(self._of, self._job, event, self._trials_by_study(), missing_only=untouched)
        self._attempt(self._of.job_key, lambda: self._close(entry, untouched=untouched))

    def _close(self, entry: Entry, *, untouched: bool) -> None:
        """End the job's run; one that was complete is left as it was."""
        known = self._job()
        if untouched:
            self._store.tag(known, {STATE: COMPLETE})
            self._store.end(known, "FINISHED", known.ended)
        else:
            self._store.log(replace(known, fresh=False), entry)
            self._store.end(known, entry.status, entry.ended)

    # --- studies ---

    def _study(self, study: str, started: float) -> Known:
        """Return a study's run, made or found again on the first call."""
        if study not in self._study_runs:
            entry = _below(self._of.study(study, started), self._job().run_id)
            known = self._found.get(entry.key)
            if known is None:
                known = self._store.create(entry)
            elif known.state != COMPLETE:
                self._store.reopen(known)
                self._store.tag(known, {STATE: entry.tags[STATE]})
            self._study_runs[study] = known
        return self._study_runs[study]

    def _end_study(self, event: StudyEnded, at: float) -> None:
        self._ended[event.study] = (event, at)
        seen = self._trials.get(event.study, {})
        for trial in event.trials:
            if trial.number not in seen or self._of.key(event.study, trial.number) in self.missing:
                self._end_trial(event.study, trial, at)
        self._write_study(event, at)

    def _write_study(self, event: StudyEnded, at: float) -> None:
        def write() -> None:
            entry = self._of.study_ended(event, at)
            known = self._study(event.study, entry.started)
            if known.state != entry.tags[STATE]:
                self._store.log(replace(known, fresh=False), _without_old_error(entry, known))
                self._store.end(known, entry.status, entry.ended)

        self._attempt(self._of.key(event.study), write)

    def _abandon(self, known: Known, status: str, at: float) -> None:
        """End a study's run that did not come to its end; it is taken up again when the job continues."""
        if known.state != COMPLETE:
            self._store.tag(known, {STATE: KILLED})
            self._store.end(known, "FAILED" if status == "FAILED" else "KILLED", at)

    # --- trials ---

    def _end_trial(self, study: str, trial: Trial, heard: float) -> None:
        _, heard = self._trials.setdefault(study, {}).setdefault(trial.number, (trial, heard))

        def write() -> None:
            entry = self._of.trial(study, trial, heard)
            parent = self._study(study, entry.started)
            known = self._found.get(entry.key)
            if known is None:
                known = self._store.create(_below(entry, parent.run_id))
            if known.state != entry.tags[STATE]:
                self._store.log(known, _without_old_error(entry, known))
                self._store.end(known, entry.status, entry.ended)

        self._attempt(self._of.key(study, trial.number), write)

    def _trials_by_study(self) -> dict[str, list[Trial]]:
        names = [study.name for study in self._of.plan.studies if study.name in self._trials]
        return {name: [trial for _, (trial, _) in sorted(self._trials[name].items())] for name in names}

    # --- what could not be written ---

    def _attempt(self, key: str, write: Callable[[], Any]) -> bool:
        try:
            write()
        except Exception as error:  # whatever it is, the search goes on, and the cause is told
            self.missing[key] = cause(error)
            return False
        self.missing.pop(key, None)
        return True

    def _catch_up(self) -> None:
        """Try once more what could not be written."""
        for study, trials in self._trials.items():
            for number, (trial, heard) in trials.items():
                if self._of.key(study, number) in self.missing:
                    self._end_trial(study, trial, heard)
        for study, (event, at) in self._ended.items():
            if self._of.key(study) in self.missing:
                self._write_study(event, at)


def _below(entry: Entry, parent: str | None) -> Entry:
    return entry if parent is None else replace(entry, tags={**entry.tags, PARENT: parent})


def _without_old_error(entry: Entry, known: Known) -> Entry:
    """Take back what is said of an error on a run that failed before."""
    old: Mapping[str, str] = {ERROR: "", NOTE: ""} if known.state == FAILED else {}
    return replace(entry, tags={**old, **entry.tags})
