"""Ray Tune in a thread of its own: it runs the queue's tasks until the queue is closed."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Iterator

from ray import tune
from ray.tune.experiment import Trial as TuneTrial

from foldwise.executors.tune.callback import TuneCallback
from foldwise.executors.tune.compat import ActorErrors
from foldwise.executors.tune.searcher import QueueSearcher, StopWhenClosed
from foldwise.executors.tune.states import Storage
from foldwise.executors.tune.study_schedulers import StudySchedulers
from foldwise.executors.tune.task_queue import TaskQueue
from foldwise.executors.tune.tasks import task_of
from foldwise.executors.tune.trainable import ActorSpec, FoldTrainable
from foldwise.worker.fit import failure_of

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


class TuneThread:
    """Runs Tune until the queue is closed.

    Parameters
    ----------
    queue : TaskQueue
        Where tasks come from and outcomes go.
    schedulers : StudySchedulers
        A scheduler per study.
    spec : ActorSpec
        What actors are made of.
    errors : ActorErrors
        What ended each trial's actor; the schedulers have the same.
    """

    def __init__(self, queue: TaskQueue, schedulers: StudySchedulers, spec: ActorSpec, errors: ActorErrors) -> None:
        self.schedulers = schedulers
        self._queue, self._spec = queue, spec
        self._callback = TuneCallback(queue, spec, errors)
        self._thread = threading.Thread(target=self._run, name="foldwise-tune", daemon=True)
        self._folder = f"tune-{uuid.uuid4().hex[:12]}"

    def start(self) -> None:
        """Start it."""
        set_environment()
        with _registering:  # Tune's registry is the process's, and not safe in threads
            tune.register_trainable(_NAME, FoldTrainable)
        self._thread.start()

    @property
    def last_sign_of_life(self) -> float:
        """When an actor gave its last sign of life, on the monotonic clock."""
        return self._callback.monitor.last_sign_of_life

    def end_late_actors(self) -> None:
        """End actors whose task has overrun its time."""
        self._callback.end_late_actors()

    def stop(self) -> None:
        """Stop it, and end all actors. The queue must be closed."""
        self._thread.join(_SOON)
        self._callback.end_actors()  # idle ones end by themselves; one that trains would have Tune wait for it
        self._thread.join(_LATE)  # what may be left of it finds the queue closed
        Storage(self._spec.tune_storage.url, self._folder).clear()
        self._callback.clear_up()

    def _run(self) -> None:
        try:
            with _quiet():
                self._tune()
        except Exception as error:  # whatever Tune raises, the run raises it
            self._queue.fail(f"expected Ray Tune to run the trials, got {failure_of(error)}")
        else:
            if not self._queue.is_closed:
                self._queue.fail("expected Ray Tune to run until all trials have ended, got an end before; run again")

    def _tune(self) -> None:
        """Run Tune, by ``tune.run``: a ``Tuner`` would pickle the queue and the callback."""
        tune.run(
            _NAME, name=self._folder, storage_path=self._spec.tune_storage.url, num_samples=-1, scheduler=self.schedulers,
            search_alg=QueueSearcher(self._queue, self.schedulers, self._spec), callbacks=[self._callback],
            stop=StopWhenClosed(self._queue), reuse_actors=True, max_failures=-1, raise_on_failed_trial=False, verbose=0,
            checkpoint_config=tune.CheckpointConfig(num_to_keep=3, checkpoint_at_end=False),
            trial_name_creator=_name_of, trial_dirname_creator=_folder_of,
        )  # fmt: skip


def _name_of(trial: TuneTrial) -> str:
    return str(task_of(trial))


def _folder_of(trial: TuneTrial) -> str:
    return f"{task_of(trial)}-{trial.trial_id}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Drop what Tune logs in this thread: all that matters comes back by the queue."""
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
