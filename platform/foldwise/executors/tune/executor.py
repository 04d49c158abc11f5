"""The Tune executor: what a run sees of Ray Tune."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from foldwise.errors import InputError
from foldwise.executors.base import ScheduledExecutor
from foldwise.executors.capacity import Capacity
from foldwise.executors.code import SentCode, unpacked
from foldwise.executors.ray import RayExecutor, put_context
from foldwise.executors.ray_session import SESSION
from foldwise.executors.tune.known import Known
from foldwise.executors.tune.states import STORAGE, Storage
from foldwise.executors.tune.task_queue import TaskQueue
from foldwise.executors.tune.tasks import FitTask, Task, TrialTask
from foldwise.executors.wait import Wait
from foldwise.inputs.imports import import_paths
from foldwise.plan.limits import Limits
from foldwise.plan.plan import Plan
from foldwise.plan.resources import Resources
from foldwise.trial import Fit, FitResult, Trial, TrialEnd
from foldwise.worker.fit import FitContext
from foldwise.worker.guard import FitGuard
from foldwise.worker.lockstep import fits_of

_NODES_EVERY = 1.0  # seconds between counts of the nodes, which come and go


class TuneExecutor(ScheduledExecutor):
    """Runs scheduled trials, and the plain fits beside them, on Ray Tune.

    Parameters
    ----------
    address : str, optional
        A running Ray, as for `RayExecutor`.
    storage : str, optional
        Where trials in training keep their states, from which they are resumed: a folder, or a URL such as
        ``s3://bucket/folder``; None takes ``FOLDWISE_STORAGE`` and, without it, ``.foldwise/tune`` in the working folder.
        Of a cluster's nodes all must see it: HyperBand and population based training hand states on by it.
    """

    def __init__(self, address: str | None = None, storage: str | None = None) -> None:
        self._plain = RayExecutor(address)  # what can be told before it is opened is the same
        self._address, self._root = address, storage
        self._ray: Any = None
        self._opened: _Opened | None = None

    def __reduce__(self) -> tuple[type[TuneExecutor], tuple[str | None, str | None]]:
        return TuneExecutor, (self._address, self._root)  # where it runs; what it runs stays here

    def check(self, resources: Resources, limits: Limits | None = None) -> None:  # noqa: D102
        self._plain.check(resources, limits)

    def foresee(self, resources: Resources) -> int | None:  # noqa: D102
        return self._plain.foresee(resources)

    def open(self, plan: Plan, n_jobs: int | None = None) -> None:  # noqa: D102
        storage = Storage.of(self._root, plan.problem.key)
        storage.check()
        self._ray = SESSION.ensure(self._address)
        self._opened = _Opened(self._ray, plan, n_jobs, storage, _storage_of_tune(storage))

    @property
    def n_at_once(self) -> int:  # noqa: D102
        return self._now.n_at_once

    @property
    def slots(self) -> int:  # noqa: D102
        return self._now.n_at_once

    def submit(self, chunk: Sequence[Fit]) -> None:  # noqa: D102
        self._now.submit([FitTask(fit) for fit in chunk])

    def submit_trials(self, study: str, trials: Sequence[Trial]) -> None:  # noqa: D102
        self._now.submit([self._now.task_of(study, trial) for trial in trials])

    def recall(self, ends: Sequence[TrialEnd]) -> None:  # noqa: D102
        self._now.known.add(ends)

    def confirm(self, ends: Sequence[TrialEnd]) -> None:  # noqa: D102
        self._now.confirm(ends)

    def end_study(self, study: str) -> None:
        """Do nothing: the processes serve whichever study has work, until the run is closed."""

    def results(self, timeout: float | None = None) -> list[FitResult]:  # noqa: D102
        self._now.look_after()
        return [unpacked(result, self._now.classes) for result in self._now.queue.take_results(timeout)]

    def trial_ends(self, timeout: float | None = None) -> list[TrialEnd]:  # noqa: D102
        self._now.look_after()
        return self._now.queue.take_ends(timeout)

    def cancel(self, keys: Collection[str]) -> None:  # noqa: D102
        self._now.queue.cancel(keys)

    def close(self) -> None:  # noqa: D102
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def waits_for(self) -> str | None:  # noqa: D102
        return None if self._opened is None else self._opened.waits_for()

    @property
    def _now(self) -> _Opened:
        assert self._opened is not None, "open it first"
        return self._opened


def _storage_of_tune(storage: Storage) -> Storage:
    """Return where Tune's own files lie: beside the states or, where others could replace them, with a private Ray's."""
    opened = storage.open_to_others()
    if opened is None:
        return storage
    if SESSION.folder is not None:
        return Storage(str(SESSION.folder), "tune")
    raise InputError(
        STORAGE, f"expected a folder in which nobody else can replace files, since they are unpickled, got {storage.root!r}, "
        f"where others may replace what is in {opened}; take that right from them, or set {STORAGE} to a folder of your own"
    )  # fmt: skip


class _Opened:
    """A run on Tune, whose thread is started with the first task."""

    def __init__(self, ray: Any, plan: Plan, n_jobs: int | None, storage: Storage, own: Storage) -> None:
        self.queue = TaskQueue()
        self._ray, self._plan, self._n_jobs = ray, plan, n_jobs
        self._storage, self._own = storage, own
        self._resources, self._limits = plan.problem.resources, plan.problem.limits
        self._tuner: Any = None
        self._code, self.classes = SentCode(ray), plan.identity.digester.own_classes
        self._heard_at = 0.0
        self._files: dict[tuple[str, int], str] = {}  # states of trials whose ends are not kept for good yet
        self._n_confirmed = 0
        self.known = Known()
        self._count_nodes()
        if not (SESSION.is_joined and self._limits.wait_seconds is not None):
            self._capacity.check()
        has_free = self._capacity.has_free(self._ray.available_resources())
        self._wait = Wait(self._limits.wait_seconds, self._capacity, has_free=has_free, now=time.monotonic())

    @property
    def n_at_once(self) -> int:
        n_fits = max(1, self._capacity.n_fits)  # where there is no room, something waits for it
        return n_fits if self._n_jobs is None else min(self._n_jobs, n_fits)

    def task_of(self, study: str, trial: Trial) -> TrialTask:
        schedule = self._plan.problem.schedule
        assert schedule is not None
        planned = next(one for one in self._plan.studies if one.name == study)
        key = self._plan.trial_key(study, trial)
        task = TrialTask(study, trial, key, fits_of(self._plan, planned, trial), schedule.max_epochs, trial.params)
        self._files[study, trial.number] = task.file
        return task

    def submit(self, tasks: Sequence[Task]) -> None:
        if tasks and self._tuner is None:
            self._tuner = self._start()
        self.queue.submit(tasks)

    def confirm(self, ends: Sequence[TrialEnd]) -> None:
        for end in ends:
            file = self._files.pop((end.study, end.number), None)
            self._storage.forget(file or self._file_of(end))
        self._n_confirmed += len(ends)

    def _file_of(self, end: TrialEnd) -> str:
        """Name the state of a trial that was not submitted, since an earlier run had kept its end."""
        asked = Trial(end.number, end.lineage[0].params)
        return TrialTask(end.study, asked, self._plan.trial_key(end.study, asked), (), 0).file

    def close(self) -> None:
        self.queue.close()
        if self._tuner is not None:
            self._tuner.stop()
        self._code.close()
        if self._n_confirmed and not self._files:  # else an earlier run may have kept what is still to be gone on from
            self._storage.clear()
        else:
            self._storage.leave()

    def _start(self) -> Any:
        from foldwise.executors.tune.judges import Judges, judge_maker  # lazily: Tune takes seconds to import
        from foldwise.executors.tune.tuner import Place, TunerThread

        problem = self._plan.problem
        limit = self._limits.fit_seconds
        world = self._code.agree(SESSION.told(self._plan.world), import_paths())
        context = replace(FitContext.of(self._plan), guard=FitGuard(limit, may_exit=True), world=world)
        place = Place(put_context(self._ray, context), import_paths(), self._resources, limit, self._storage, self._own)
        grace = 1 if problem.schedule is None else problem.schedule.grace_epochs
        judges = Judges(judge_maker(self._plan), problem.seed, grace, self._n_jobs, self.known)
        tuner = TunerThread(self.queue, judges, place)
        tuner.start()
        return tuner

    # --- looking after what runs ---

    def waits_for(self) -> str | None:
        """Say what is missing and what will come of it, where tasks wait and none runs."""
        reason = self._reason(time.monotonic())
        return None if reason is None else f"{reason}; {self._wait.prospect()}"

    def look_after(self) -> None:
        """End what has overrun its time, see which nodes there are, and give up on resources that never come.

        Raises
        ------
        ClusterError
            If the wait for them is over.
        """
        if self._tuner is None:
            return
        self._tuner.end_late_actors()
        now = time.monotonic()
        if now - self._counted_at > _NODES_EVERY:
            self._count_nodes()
            self._wait.see(self._capacity, now)
        if self._tuner.judges.n_running() or self._tuner.heard_at != self._heard_at:
            self._heard_at = self._tuner.heard_at
            self._wait.hear(now)
        elif self.queue.is_idle:
            self._wait.start(now)
        elif (reason := self._reason(now)) is not None:
            self._wait.check(reason, now)

    def _reason(self, now: float) -> str | None:
        if self._tuner is None or self.queue.is_idle or self._tuner.judges.n_running() or not self._wait.is_silent(now):
            return None
        return self._wait.reason(self._capacity, self._ray.available_resources(), now)

    def _count_nodes(self) -> None:
        self._capacity, self._counted_at = Capacity.of(self._resources, self._ray.nodes()), time.monotonic()
