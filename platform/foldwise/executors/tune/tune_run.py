"""One run on Ray Tune: its queue, its thread, and the resources that it waits for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from foldwise.executors.capacity import Capacity
from foldwise.executors.code import SentCode
from foldwise.executors.ray_session import SESSION
from foldwise.executors.ray_tasks import put_context
from foldwise.executors.resource_wait import ResourceWait
from foldwise.executors.tune.past_ends import PastEnds
from foldwise.executors.tune.states import Storage
from foldwise.executors.tune.task_queue import TaskQueue
from foldwise.executors.tune.tasks import Task, TrialTask
from foldwise.inputs.imports import import_paths
from foldwise.plan.plan import Plan
from foldwise.trial import Trial, TrialEnd
from foldwise.worker.fit import FitContext
from foldwise.worker.guard import FitGuard
from foldwise.worker.lockstep import fits_of

_NODES_EVERY = 1.0  # seconds between counts of the nodes, which come and go


class TuneRun:
    """A run on Tune, whose thread is started with the first task.

    Parameters
    ----------
    ray : module
        Connected.
    plan : Plan
        What is run.
    n_jobs : int or None
        At most so many actors at once.
    storage : Storage
        Where the states of trials are kept.
    tune_storage : Storage
        Where Tune's own files lie meanwhile.
    """

    def __init__(self, ray: Any, plan: Plan, n_jobs: int | None, storage: Storage, tune_storage: Storage) -> None:
        self.queue = TaskQueue()
        self._ray, self._plan, self._n_jobs = ray, plan, n_jobs
        self._storage, self._tune_storage = storage, tune_storage
        self._resources, self._limits = plan.problem.settings.resources, plan.problem.settings.limits
        self._thread: Any = None
        self._code, self.classes = SentCode(ray), plan.identity.digester.own_classes
        self._last_sign = 0.0
        self._files: dict[tuple[str, int], str] = {}  # states of trials whose ends are not kept for good yet
        self._n_confirmed = 0
        self.past_ends = PastEnds()
        self._count_nodes()
        if not (SESSION.is_joined and self._limits.wait_seconds is not None):
            self._capacity.check()
        has_free = self._capacity.has_free(self._ray.available_resources())
        self._wait = ResourceWait(self._limits.wait_seconds, self._capacity, has_free=has_free, now=time.monotonic())

    @property
    def n_at_once(self) -> int:
        """How many actors run at once."""
        n_fits = max(1, self._capacity.n_fits)  # where there is no room, something waits for it
        return n_fits if self._n_jobs is None else min(self._n_jobs, n_fits)

    def task_of(self, study: str, trial: Trial) -> TrialTask:
        """Make the task of a trial."""
        schedule = self._plan.problem.settings.schedule
        assert schedule is not None
        planned = next(one for one in self._plan.studies if one.name == study)
        key = self._plan.trial_key(study, trial)
        task = TrialTask(study, trial, key, fits_of(self._plan, planned, trial), schedule.max_epochs, trial.params)
        self._files[study, trial.number] = task.file
        return task

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queue tasks; the first ones start Tune."""
        if tasks and self._thread is None:
            self._thread = self._start()
        self.queue.submit(tasks)

    def confirm(self, ends: Sequence[TrialEnd]) -> None:
        """Remove the states of trials whose ends are kept for good."""
        for end in ends:
            file = self._files.pop((end.study, end.number), None)
            self._storage.forget(file or self._file_of(end))
        self._n_confirmed += len(ends)

    def _file_of(self, end: TrialEnd) -> str:
        """Name the state of a trial that was not submitted, since an earlier run had kept its end."""
        asked = Trial(end.number, end.lineage[0].params)
        return TrialTask(end.study, asked, self._plan.trial_key(end.study, asked), (), 0).file

    def close(self) -> None:
        """Stop Tune, and remove states that nobody needs."""
        self.queue.close()
        if self._thread is not None:
            self._thread.stop()
        self._code.close()
        if self._n_confirmed and not self._files:  # else an earlier run may have kept states that are still needed
            self._storage.clear()
        else:
            self._storage.remove_if_empty()

    def _start(self) -> Any:
        from foldwise.executors.tune.compat import ActorErrors  # lazily: Tune takes seconds to import
        from foldwise.executors.tune.schedulers import scheduler_maker
        from foldwise.executors.tune.study_schedulers import StudySchedulers
        from foldwise.executors.tune.trainable import ActorSpec
        from foldwise.executors.tune.tuner import TuneThread

        problem = self._plan.problem
        limit = self._limits.fit_seconds
        world = self._code.agree(SESSION.world_for_workers(self._plan.world), import_paths())
        context = replace(FitContext.of(self._plan), guard=FitGuard(limit, may_exit=True), world=world)
        references = put_context(self._ray, context)
        spec = ActorSpec(references, import_paths(), self._resources, limit, self._storage, self._tune_storage)
        grace = 1 if problem.settings.schedule is None else problem.settings.schedule.grace_epochs
        errors, maker = ActorErrors(), scheduler_maker(self._plan)
        schedulers = StudySchedulers(maker, problem.settings.seed, grace, self._n_jobs, self.past_ends, errors)
        thread = TuneThread(self.queue, schedulers, spec, errors)
        thread.start()
        return thread

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
        if self._thread is None:
            return
        self._thread.end_late_actors()
        now = time.monotonic()
        if now - self._counted_at > _NODES_EVERY:
            self._count_nodes()
            self._wait.note_capacity(self._capacity, now)
        if self._thread.schedulers.n_running() or self._thread.last_sign_of_life != self._last_sign:
            self._last_sign = self._thread.last_sign_of_life
            self._wait.note_running(now)
        elif self.queue.is_idle:
            self._wait.reset(now)
        elif (reason := self._reason(now)) is not None:
            self._wait.check(reason, now)

    def _reason(self, now: float) -> str | None:
        if self._thread is None or self.queue.is_idle or self._thread.schedulers.n_running() or not self._wait.is_silent(now):
            return None
        return self._wait.reason(self._capacity, self._ray.available_resources(), now)

    def _count_nodes(self) -> None:
        self._capacity, self._counted_at = Capacity.of(self._resources, self._ray.nodes()), time.monotonic()
