"""What Ray Tune tells of its trials: a Callback that opens actors, notes results, and completes tasks in the queue."""

from __future__ import annotations

import shutil
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial as TuneTrial

from foldwise.errors import Failure
from foldwise.executors.losses import Loss
from foldwise.executors.tune.compat import ActorErrors, actor_of, allow_more_failures, loss_of, staging_folder
from foldwise.executors.tune.task_monitor import TaskMonitor
from foldwise.executors.tune.task_queue import TaskQueue
from foldwise.executors.tune.tasks import FitTask, task_of
from foldwise.executors.tune.trainable import ActorSpec, CannotOpen, GpuMemorySpent
from foldwise.trial import FitResult
from foldwise.worker.fit import failure_of
from foldwise.worker.lockstep import Progress

_MORE_ACTORS = 3
"""Actors that a task which is given up may ask for, to tell how it ended, before the driver tells it instead."""


class TuneCallback(tune.Callback):
    """Opens actors, notes what trials come to, and completes their tasks when they end.

    Parameters
    ----------
    queue : TaskQueue
        Where the outcomes go.
    spec : ActorSpec
        What actors are made of.
    errors : ActorErrors
        What ended each trial's actor.
    """

    def __init__(self, queue: TaskQueue, spec: ActorSpec, errors: ActorErrors) -> None:
        self.monitor = TaskMonitor(spec.fit_seconds, _is_ready)
        self._queue, self._spec, self._errors = queue, spec, errors
        self._last: dict[str, Progress | FitResult] = {}
        self._actors: list[tuple[weakref.ref[Any], TuneTrial]] = []  # an actor lives as long as its handle
        self._staging: Path | None = None

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Open the actor. It is new or has done another task before; its next call comes after this one."""
        actor = actor_of(trial)
        self._actors = [(handle, other) for handle, other in self._actors if handle() not in (None, actor)]
        self._actors.append((weakref.ref(actor), trial))
        self.monitor.on_start(trial.trial_id, actor.open.remote(self._spec.references, self._spec.paths))
        self._staging = staging_folder(trial)

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Take the outcome out of the result, of which Tune would keep a copy."""
        self._last[trial.trial_id] = result.pop("outcome")
        self.monitor.on_result(trial.trial_id, result["epochs"])

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Complete the task of a trial that has ended."""
        self._complete(trial)

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Decide whether a task that lost its actor begins again, or is to tell how it ended."""
        error, task = self._errors.of(trial), task_of(trial)
        if task.ended is not None:
            return
        if isinstance(error, CannotOpen):
            self._queue.fail(f"expected workers that can open the job, got {error}")
        elif isinstance(error, GpuMemorySpent):
            self._end(trial, error.outcome)
        elif failure := self.monitor.after_loss(trial.trial_id, task, loss_of(error), str(error or "no word of it")):
            self._give_up(trial, failure if error is None or _is_loss(error) else failure_of(error))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Complete a task that is given up and has no actor to tell it."""
        if task_of(trial).ended is None:
            error, loss = self._errors.of(trial), Loss.WORKER
            self._give_up(trial, Failure(loss.kind, loss.words) if error is None or _is_loss(error) else failure_of(error))
        self._last[trial.trial_id] = task_of(trial).ended  # type: ignore[assignment]
        self._complete(trial)

    def end_actors(self) -> None:
        """End the actors that there are."""
        for handle, _ in self._actors:
            if (actor := handle()) is not None:
                ray.kill(actor)

    def end_late_actors(self) -> None:
        """End actors whose task has overrun its time. A process that is stopped does not end itself."""
        for handle, trial in self._actors:
            actor = handle()
            is_at_it = trial.status == TuneTrial.RUNNING and actor_of(trial) is actor
            if actor is not None and is_at_it and self.monitor.is_overdue(trial.trial_id, task_of(trial)):
                ray.kill(actor)

    def clear_up(self) -> None:
        """Remove what Tune has left in Ray's temporary folder on this machine."""
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _give_up(self, trial: TuneTrial, failure: Failure) -> None:
        task, last = task_of(trial), self._last.get(trial.trial_id)
        if isinstance(task, FitTask):
            self._end(trial, task.fail(failure).ended)
        else:
            self._end(trial, task.fail(failure, last if isinstance(last, Progress) else None).ended)

    @staticmethod
    def _end(trial: TuneTrial, outcome: Any) -> None:
        """Have a task tell how it ended, in the next actor. Where none comes, Tune gives it up too."""
        trial.config["task"] = replace(task_of(trial), ended=outcome)
        allow_more_failures(trial, _MORE_ACTORS)

    def _complete(self, trial: TuneTrial) -> None:
        task, outcome = task_of(trial), self._last.pop(trial.trial_id, None)
        retries = self.monitor.n_losses(trial.trial_id)
        self.monitor.on_end(trial.trial_id)
        if isinstance(task, FitTask):
            assert isinstance(outcome, FitResult)
            self._queue.complete(task.fit.key, replace(outcome, retries=retries) if retries else outcome)
        else:
            assert isinstance(outcome, Progress)
            self._queue.complete(task.key, task.end(outcome, retries))


def _is_loss(error: BaseException) -> bool:
    """Tell whether an actor was lost; otherwise something was raised in it."""
    return isinstance(error, RayActorError | OutOfMemoryError)


def _is_ready(reference: Any) -> bool:
    """Tell whether a call of an actor has returned or raised."""
    return bool(ray.wait([reference], timeout=0)[0])
