"""How Ray Tune takes tasks from the queue, and stops when it is closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from foldwise.executors.tune.study_schedulers import StudySchedulers
from foldwise.executors.tune.task_queue import QueueClosed, TaskQueue
from foldwise.executors.tune.trainable import ActorSpec


class QueueSearcher(Searcher):
    """Hands the queue's tasks to Tune as trials. What to try is asked elsewhere.

    Parameters
    ----------
    queue : TaskQueue
        Where the tasks come from.
    schedulers : StudySchedulers
        Say whether another trial may begin.
    spec : ActorSpec
        What actors are made of.
    """

    def __init__(self, queue: TaskQueue, schedulers: StudySchedulers, spec: ActorSpec) -> None:
        super().__init__(mode="max")
        self._queue, self._schedulers = queue, schedulers
        self._config = {"resources": spec.resources, "storage": spec.storage}

    def suggest(self, trial_id: str) -> Any:  # noqa: D102
        try:
            task = self._queue.next_task() if self._schedulers.has_capacity else None
        except QueueClosed:
            return Searcher.FINISHED
        return None if task is None else {"task": task, **self._config}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Do nothing: `TuneCallback` completes the task."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: what is to be kept is kept elsewhere."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing."""


class StopWhenClosed(tune.Stopper):
    """Stops Tune once the queue is closed.

    Parameters
    ----------
    queue : TaskQueue
        Where the tasks come from.
    """

    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:  # noqa: D102
        return False

    def stop_all(self) -> bool:  # noqa: D102
        return self._queue.is_closed

    def __deepcopy__(self, memo: Mapping[int, Any]) -> StopWhenClosed:
        return self  # Tune copies what trials are made from, with each

    def __getstate__(self) -> dict[str, Any]:
        return {}  # and writes down how it was set up, which nobody reads
