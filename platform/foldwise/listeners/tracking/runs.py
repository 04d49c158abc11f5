"""Runs: entries -> runs of one job, each made once below its parent, whoever tells of it and however often.

What MLflow shows is what the last report said. A run that is there and says the same is left as it is; where one says
otherwise the job is written anew, whole: MLflow lets no param be changed and keeps every metric's history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from foldwise.listeners.tracking.entry import (
    COMPLETE,
    COUNTS,
    ENDED,
    ERROR,
    FAILED,
    KILLED,
    NOTE,
    PARENT,
    REPLACES,
    STATE,
    Entry,
)
from foldwise.listeners.tracking.store import Store, StoredRun


class Differs(Exception):  # noqa: N818  (nothing is wrong: all is to be written anew)
    """What is told is not what MLflow holds of the same job."""


class Runs:
    """The runs of a job.

    The job's run is opened first, and a study's before its trials'; trials may then be written from several threads.

    Parameters
    ----------
    store : Store
        Where to.
    parent : str or None
        Id of the run to nest the job's run below.
    is_whole : bool, default=True
        Whether all of the job is told. If not, what is told completes what MLflow holds.
    """

    def __init__(self, store: Store, parent: str | None, *, is_whole: bool = True) -> None:
        self.job: StoredRun | None = None
        self._store, self._parent, self._is_whole = store, parent, is_whole
        self._studies: dict[str, StoredRun] = {}
        self._found: dict[str, StoredRun] = {}  # by key: of an earlier run, and those that are made and not yet written
        self._strays: list[StoredRun] = []  # of the same job, and of no report any more

    @property
    def was_complete(self) -> bool:
        """Whether an equal job was tracked to its end: an equal key, so what came of it is there."""
        return self.job is not None and self.job.state == COMPLETE

    def open_job(self, entry: Entry) -> StoredRun:
        """Return the job's run, made or found again on the first call that reaches MLflow; a complete one stays as it is."""
        if self.job is None:
            known, others = self._store.find(entry.key)
            if known is None:
                known = self._store.create(_below(entry, self._parent))
            else:
                self._sort(known, self._store.find_below(entry.key))
                self._strays += others
            if known.state != COMPLETE:
                if not known.fresh:
                    self._store.reopen(known)
                self._store.log(known, _without_old_words(entry, known))
            self.job = known
        return self.job

    def _sort(self, job: StoredRun, below: list[StoredRun]) -> None:
        """Tell the runs that stand below the job's run from what an interrupted rewriting has left."""
        self._found = {}
        depth = {known.run_id: known.key.removeprefix(f"{job.key}/").count("/") for known in below}
        for level in (0, 1):
            parents = {job.run_id} if not level else {known.run_id for known in self._found.values()}
            own = [known for known in below if depth[known.run_id] == level]
            for known in sorted(own, key=lambda known: known.state is None):
                is_ours = known.parent in parents and known.key not in self._found
                if is_ours:
                    self._found[known.key] = known
                else:
                    self._strays.append(known)

    def start_anew(self, entry: Entry) -> StoredRun:
        """Take another run for the job, which names the one that it replaces; that one is deleted with all below it."""
        assert self.job is not None
        old, below = self.job, self._store.find_below(entry.key)
        tags = {**self._store.users_tags(old), **entry.tags, REPLACES: old.run_id}
        known = self._store.create(_below(replace(entry, tags=tags), self._parent), instead_of=old)
        self._store.log(known, entry)
        self.job = known
        self._studies.clear()
        self._found.clear()
        self._strays += [old, *below]
        self._clear_strays()
        return known

    def end_job(self, entry: Entry) -> None:
        """End the job's run; one that was complete stays as it is, if what came of it now is the same or broke off.

        Raises
        ------
        Differs
            If another result is to be told than the run can hold.
        """
        assert self.job is not None
        broke_off = entry.tags[STATE] in (KILLED, FAILED) or ENDED in entry.tags
        if self.was_complete:
            if self._is_whole and not broke_off and (self._found or _differ(self.job, entry)):
                raise Differs
        else:
            if any(self.job.params.get(name, value) != value for name, value in entry.params.items()):
                raise Differs
            if self._is_whole and not broke_off:
                self._strays += self._found.values()  # trials that are asked no more
                self._found.clear()
            self._store.log(replace(self.job, fresh=False), entry)
            self._store.end(self.job, entry.status, entry.ended)
        self._clear_strays()

    def _clear_strays(self) -> None:
        while self._strays:
            self._store.delete(self._strays[0])
            self._strays.pop(0)

    # --- studies and trials ---

    def study(self, key: str) -> StoredRun | None:
        """Return a study's run, if it is open."""
        return self._studies.get(key)

    def open_study(self, entry: Entry) -> StoredRun:
        """Return a study's run, made or found again on the first call."""
        if entry.key not in self._studies:
            assert self.job is not None
            known = self._found.get(entry.key)
            if known is None:
                self._check_open()
                known = self._store.create(_below(entry, self.job.run_id))
            elif known.state != COMPLETE:
                self._store.reopen(known)
                self._store.tag(known, {STATE: entry.tags[STATE]})
            self._found.pop(entry.key, None)
            self._studies[entry.key] = known
        return self._studies[entry.key]

    def end_study(self, entry: Entry) -> None:
        """End a study's run; one that was complete and is now broken off is left as it was.

        Raises
        ------
        Differs
            If it was another study's end that MLflow holds.
        """
        known = self.open_study(entry)
        if known.fresh or known.is_blank:
            self._store.log(replace(known, fresh=False), _without_old_words(entry, known))
        elif known.content != entry.content and entry.tags[STATE] != KILLED:
            raise Differs
        elif known.state == COMPLETE:
            return
        else:
            self._store.tag(known, entry.tags)
        self._store.end(known, entry.status, entry.ended)

    def add_trial(self, entry: Entry, study: StoredRun) -> None:
        """Write a trial that has ended below its study's run, unless it is there.

        Raises
        ------
        Differs
            If MLflow holds another trial of this number.
        """
        known = self._found.get(entry.key)
        if known is not None and not (known.fresh or known.is_blank or known.content == entry.content):
            if known.state is not None:
                raise Differs
            self._store.delete(known)  # half of it was written
            del self._found[entry.key]
            known = None
        if known is None:
            self._check_open()
            known = self._found[entry.key] = self._store.create(_below(entry, study.run_id))
        if known.fresh or known.is_blank:
            self._store.log(known, _without_old_words(entry, known))
        if known.state is None:
            self._store.end(known, entry.status, entry.ended)
        self._found.pop(entry.key, None)

    def _check_open(self) -> None:
        """Refuse a new run beside the report of a job that was complete without it."""
        if self.was_complete and self._is_whole:
            raise Differs


def _below(entry: Entry, parent: str | None) -> Entry:
    return entry if parent is None else replace(entry, tags={**entry.tags, PARENT: parent})


def _without_old_words(entry: Entry, known: StoredRun) -> Entry:
    """Take back what is said of an earlier end, on a run that has not come to its own."""
    if known.fresh or known.state is None:
        return entry
    old: Mapping[str, str] = dict.fromkeys((ERROR, NOTE, ENDED), "")
    return replace(entry, tags={**old, **entry.tags})


def _differ(known: StoredRun, entry: Entry) -> bool:
    """Tell whether a job's run says otherwise than an end does; how many fits ran, and how long, is no result."""
    told = {name: value for name, value, _ in entry.metrics if name not in COUNTS}
    holds = {name: value for name, value in known.metrics.items() if name not in COUNTS}
    best = {name: value for name, value in known.params.items() if name.startswith("best_")}
    return entry.tags[STATE] != COMPLETE or told != holds or best != dict(entry.params)
