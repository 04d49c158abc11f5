"""Tune itself: its Tuner in a thread of its own, and the parts of it that stand at the queue."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
import uuid
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.search import Searcher

from foldwise.errors import Failure
from foldwise.executors.losses import Loss
from foldwise.executors.tune.compat import error_of, loss_of, see_all_losses
from foldwise.executors.tune.judges import Judges
from foldwise.executors.tune.states import Storage
from foldwise.executors.tune.task_queue import QueueClosed, TaskQueue
from foldwise.executors.tune.tasks import FitTask, Task
from foldwise.executors.tune.trainable import CannotOpen, FoldTrainable, Spent
from foldwise.executors.tune.watch import Watch
from foldwise.inputs.imports import ImportPaths
from foldwise.plan.resources import Resources
from foldwise.trial import FitResult
from foldwise.worker.fit import failure_of
from foldwise.worker.lockstep import Progress

_MORE_TRIES = 3
"""Actors that a task which is given up may ask for, to say how it ended, before that is said for it."""
_NAME = "foldwise-folds"
_SOON, _LATE = 2.0, 30.0  # seconds that Tune may take to end, before its actors are ended, and then
_DEFAULTS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one prints tables even where it is to be silent
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # relative paths of the job go on to mean the same
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no tables of results beside our own
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # what is resumed lies in the ledger and in the states of trials
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "8",  # actors that may be starting at once; without it a single one
    "TUNE_WARN_THRESHOLD_S": "60",
}
_LOGGERS = ("ray.tune", "ray.tune.tune", "ray.tune.analysis.experiment_analysis", "ray.tune.execution.tune_controller")
_registering = threading.Lock()


def set_environment() -> None:
    """Set what Tune reads from the environment, where the user has not."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


@dataclass(frozen=True)
class Place:
    """Where tasks are done, and with what.

    Parameters
    ----------
    boxed : list of ObjectRef
        The run's world and its context.
    paths : ImportPaths
        Folders that modules are imported from.
    resources : Resources
        Of one actor.
    seconds : float or None
        Time after which an actor that says nothing has overrun ``limits.fit_seconds``; None: there is no limit.
    storage : Storage
        Where states are kept.
    own : Storage
        Where Tune's own files lie meanwhile, some of which it unpickles.
    """

    boxed: list[Any]
    paths: ImportPaths
    resources: Resources
    seconds: float | None
    storage: Storage
    own: Storage


class TunerThread:
    """Runs Tune until the queue is closed.

    Parameters
    ----------
    queue : TaskQueue
        Where tasks come from and results go.
    judges : Judges
        The schedulers.
    place : Place
        Where tasks are done.
    """

    def __init__(self, queue: TaskQueue, judges: Judges, place: Place) -> None:
        self.judges = judges
        self._queue, self._place = queue, place
        self._clerk = _Clerk(queue, place)
        self._thread = threading.Thread(target=self._run, name="foldwise-tune", daemon=True)
        self._folder = f"tune-{uuid.uuid4().hex[:12]}"

    def start(self) -> None:
        """Start it."""
        set_environment()
        with _registering:  # Tune's registry is the process's, and not safe in threads
            tune.register_trainable(_NAME, FoldTrainable)
            see_all_losses()
        self._thread.start()

    @property
    def heard_at(self) -> float:
        """When an actor gave its last sign of life, on the monotonic clock."""
        return self._clerk.watch.heard_at

    def end_late_actors(self) -> None:
        """End actors whose task has overrun its time."""
        self._clerk.end_late_actors()

    def stop(self) -> None:
        """Stop it, and see to it that no actor stays behind. The queue must be closed."""
        self._thread.join(_SOON)
        self._clerk.end_actors()  # idle ones end by themselves; one that trains would have Tune wait for it
        self._thread.join(_LATE)  # what may be left of it finds the queue closed
        Storage(self._place.own.url, self._folder).clear()
        self._clerk.clear_up()

    def _run(self) -> None:
        try:
            with _quiet():
                self._tune()
        except Exception as error:  # whatever Tune raises, the run must hear of it
            self._queue.fail(f"expected Ray Tune to run the trials, got {failure_of(error)}")
        else:
            if not self._queue.is_closed:
                self._queue.fail("expected Ray Tune to run until all trials have ended, got an end before; run again")

    def _tune(self) -> None:
        """Run Tune; ``tune.run`` and not a ``Tuner``, which would pickle all that stands at the queue."""
        tune.run(
            _NAME, name=self._folder, storage_path=self._place.own.url, num_samples=-1,
            search_alg=QueueSearcher(self._queue, self.judges, self._place), scheduler=self.judges, callbacks=[self._clerk],
            stop=_Closing(self._queue), reuse_actors=True, max_failures=-1, raise_on_failed_trial=False, verbose=0,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=3, checkpoint_at_end=False),
            trial_name_creator=_name_of, trial_dirname_creator=_folder_of,
        )  # fmt: skip


class QueueSearcher(Searcher):
    """Gives Tune what lies on the queue: what to try is asked elsewhere."""

    def __init__(self, queue: TaskQueue, judges: Judges, place: Place) -> None:
        super().__init__(mode="max")
        self._queue, self._judges = queue, judges
        self._config = {"resources": place.resources, "storage": place.storage}

    def suggest(self, trial_id: str) -> Any:
        try:
            task = self._queue.next_task() if self._judges.has_room else None
        except QueueClosed:
            return Searcher.FINISHED
        return None if task is None else {"task": task, **self._config}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Do nothing: the clerk hands in what came of it."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: what is to be kept is kept elsewhere."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing."""


class _Closing(tune.Stopper):
    """Stops everything once the queue is closed."""

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._queue.is_closed

    def __deepcopy__(self, memo: Mapping[int, Any]) -> _Closing:
        return self  # Tune copies what trials are made from, with each

    def __getstate__(self) -> dict[str, Any]:
        return {}  # and writes down how it was set up, which nobody reads


class _Clerk(tune.Callback):
    """Listens to Tune: opens actors, notes what trials come to, and hands it in when they end."""

    def __init__(self, queue: TaskQueue, place: Place) -> None:
        self.watch = Watch(place.seconds, _is_there)
        self._queue, self._place = queue, place
        self._last: dict[str, Progress | FitResult] = {}
        self._actors: list[tuple[weakref.ref[Any], TuneTrial]] = []  # an actor lives as long as its handle
        self._staging: Path | None = None

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Open the actor, which is new or has done another task before: its next call comes after this one."""
        actor: Any = trial.temporary_state.ray_actor
        self._actors = [(handle, other) for handle, other in self._actors if handle() not in (None, actor)]
        self._actors.append((weakref.ref(actor), trial))
        self.watch.begin(trial.trial_id, actor.open.remote(self._place.boxed, self._place.paths))
        self._staging = Path(trial.local_experiment_path).parent

    def on_trial_result(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, result: dict[str, Any], **info: Any
    ) -> None:
        """Take what the trial has come to out of what Tune would keep of it."""
        self._last[trial.trial_id] = result.pop("outcome")
        self.watch.hear(trial.trial_id, result["epochs"])

    def on_trial_complete(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Hand in what the trial came to."""
        self._complete(trial)

    def on_trial_recover(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Decide whether a task whose process was lost is begun again, or is to say how it ended."""
        error, task = error_of(trial), _task_of(trial)
        if task.ended is not None:
            return
        if isinstance(error, CannotOpen):
            self._queue.fail(f"expected workers that can open the job, got {error}")
        elif isinstance(error, Spent):
            self._end(trial, error.outcome)
        elif failure := self.watch.after_loss(trial.trial_id, task, loss_of(error), str(error or "no word of it")):
            self._give_up(trial, failure if error is None or _is_of_the_process(error) else failure_of(error))

    def on_trial_error(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Hand in that the task is given up, for which there is no actor to say it."""
        if _task_of(trial).ended is None:
            error, loss = error_of(trial), Loss.WORKER
            self._give_up(
                trial, Failure(loss.kind, loss.words) if error is None or _is_of_the_process(error) else failure_of(error)
            )
        self._last[trial.trial_id] = _task_of(trial).ended  # type: ignore[assignment]
        self._complete(trial)

    def end_actors(self) -> None:
        """End the actors that there are."""
        for handle, _ in self._actors:
            if (actor := handle()) is not None:
                ray.kill(actor)

    def end_late_actors(self) -> None:
        """End those whose task has overrun its time and which do not end themselves, as a stopped process does not."""
        for handle, trial in self._actors:
            actor = handle()
            is_at_it = trial.status == TuneTrial.RUNNING and trial.temporary_state.ray_actor is actor
            if actor is not None and is_at_it and self.watch.is_overdue(trial.trial_id, _task_of(trial)):
                ray.kill(actor)

    def clear_up(self) -> None:
        """Remove what Tune has left in Ray's temporary folder on this machine."""
        if self._staging is not None:
            shutil.rmtree(self._staging, ignore_errors=True)

    def _give_up(self, trial: TuneTrial, failure: Failure) -> None:
        task, last = _task_of(trial), self._last.get(trial.trial_id)
        if isinstance(task, FitTask):
            self._end(trial, task.fail(failure).ended)
        else:
            self._end(trial, task.fail(failure, last if isinstance(last, Progress) else None).ended)

    @staticmethod
    def _end(trial: TuneTrial, outcome: Any) -> None:
        """Have a task say how it ended, in whatever process comes next; where none does, Tune gives it up, too."""
        trial.config["task"] = replace(_task_of(trial), ended=outcome)
        trial.max_failures = trial.run_metadata.num_failures + _MORE_TRIES

    def _complete(self, trial: TuneTrial) -> None:
        task, outcome = _task_of(trial), self._last.pop(trial.trial_id, None)
        retries = self.watch.n_losses(trial.trial_id)
        self.watch.forget(trial.trial_id)
        if isinstance(task, FitTask):
            assert isinstance(outcome, FitResult)
            self._queue.complete(task.fit.key, replace(outcome, retries=retries) if retries else outcome)
        else:
            assert isinstance(outcome, Progress)
            self._queue.complete(task.key, task.end(outcome, retries))


def _is_of_the_process(error: BaseException) -> bool:
    """Tell whether a process was lost, or something was raised in it."""
    return isinstance(error, RayActorError | OutOfMemoryError)


def _is_there(reference: Any) -> bool:
    """Tell whether what a call of an actor's gives is there, or its error."""
    return bool(ray.wait([reference], timeout=0)[0])


def _task_of(trial: TuneTrial) -> Task:
    task: Task = trial.config["task"]
    return task


def _name_of(trial: TuneTrial) -> str:
    return str(_task_of(trial))


def _folder_of(trial: TuneTrial) -> str:
    return f"{_task_of(trial)}-{trial.trial_id}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to ourselves what Tune logs in this thread: all that matters comes back by the queue."""
    thread = threading.get_ident()

    def is_not_ours(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(is_not_ours)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_not_ours)
