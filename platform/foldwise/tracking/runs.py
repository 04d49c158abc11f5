"""Runs: entries -> runs of one job, each made once below its parent, whoever tells of it and however often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from foldwise.tracking.entry import COMPLETE, ERROR, FAILED, NOTE, PARENT, STATE, Entry
from foldwise.tracking.store import Known, Store


class Runs:
    """The runs of a job.

    The job's run is opened first, and a study's before its trials'; trials may then be written from several threads.

    Parameters
    ----------
    store : Store
        Where to.
    parent : str or None
        Id of the run to nest the job's run below.
    """

    def __init__(self, store: Store, parent: str | None) -> None:
        self.job: Known | None = None
        self._store, self._parent = store, parent
        self._studies: dict[str, Known] = {}
        self._found: dict[str, Known] = {}  # by key: of an earlier run, and those that are made and not yet written

    @property
    def was_complete(self) -> bool:
        """Whether an equal job was tracked to its end: an equal key, so what came of it is there."""
        return self.job is not None and self.job.state == COMPLETE

    def open_job(self, entry: Entry) -> Known:
        """Return the job's run, made or found again on the first call that reaches MLflow."""
        if self.job is None:
            known = self._store.find(entry.key)
            if known is None:
                known = self._store.create(_below(entry, self._parent))
            else:
                self._found = self._store.find_below(entry.key)
                self._store.reopen(known)
            self._store.log(known, _without_old_error(entry, known))
            self.job = known
        return self.job

    def end_job(self, entry: Entry, *, untouched: bool) -> None:
        """End the job's run; ``untouched`` leaves one that was complete as it was."""
        assert self.job is not None
        if untouched:
            self._store.tag(self.job, {STATE: COMPLETE})
            self._store.end(self.job, "FINISHED", self.job.ended)
        else:
            self._store.log(replace(self.job, fresh=False), entry)
            self._store.end(self.job, entry.status, entry.ended)

    def study(self, key: str) -> Known | None:
        """Return a study's run, if it is open."""
        return self._studies.get(key)

    def open_study(self, entry: Entry) -> Known:
        """Return a study's run, made or found again on the first call."""
        if entry.key not in self._studies:
            assert self.job is not None
            known = self._found.get(entry.key)
            if known is None:
                known = self._store.create(_below(entry, self.job.run_id))
            elif known.state != COMPLETE:
                self._store.reopen(known)
                self._store.tag(known, {STATE: entry.tags[STATE]})
            self._studies[entry.key] = known
        return self._studies[entry.key]

    def end_study(self, entry: Entry) -> None:
        """End a study's run; one that was complete is left as it was."""
        known = self.open_study(entry)
        if known.state != COMPLETE:
            self._store.log(replace(known, fresh=False), _without_old_error(entry, known))
            self._store.end(known, entry.status, entry.ended)

    def add_trial(self, entry: Entry, study: Known) -> None:
        """Write a trial that has ended below its study's run, unless it is there."""
        known = self._found.get(entry.key)
        if known is None:
            known = self._found[entry.key] = self._store.create(_below(entry, study.run_id))
        if known.state != entry.tags[STATE]:
            self._store.log(known, _without_old_error(entry, known))
            self._store.end(known, entry.status, entry.ended)
        self._found.pop(entry.key, None)


def _below(entry: Entry, parent: str | None) -> Entry:
    return entry if parent is None else replace(entry, tags={**entry.tags, PARENT: parent})


def _without_old_error(entry: Entry, known: Known) -> Entry:
    """Take back what is said of an error on a run that failed before."""
    old: Mapping[str, str] = {ERROR: "", NOTE: ""} if known.state == FAILED else {}
    return replace(entry, tags={**old, **entry.tags})
