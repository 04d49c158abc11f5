"""What the executor relies on of Tune's private parts, each with its reason. A test of each fails when a version changes it.

Nothing here changes Tune for the process. `ActorErrors` replaces two methods of one run's actor manager, and these go with it.
Tune has no public way: a Callback and a Searcher see trials and no errors, ``Trial.get_pickled_error`` unpickles a file of
Tune's storage, a scheduler alone is handed the controller, and an error that Tune does not know ends the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial as TuneTrial

from foldwise.executors.losses import Loss

_NODE_WORDS = ("its node has died", "actor's node was", "node died", "NodeDiedError")


class ActorErrors:
    """What ended each trial's actor last, in one run of Tune.

    Tune knows of actors that died and of tasks that raised. Where the memory monitor has ended an actor, or an object is lost
    with its node, Ray raises errors of other classes, at which Tune would end altogether; here they become errors of the
    actor. An actor that died while it was idle is found dead by the trial that is to use it next. Tune hears of that twice,
    and would give the trial up; here it hears once.
    """

    def __init__(self) -> None:
        self._last: WeakKeyDictionary[TuneTrial, BaseException] = WeakKeyDictionary()

    def attach(self, controller: Any) -> None:
        """Listen to the actor manager of a run; its controller may be handed over again and again."""
        controller = vars(controller).get("_tune_controller", controller)  # schedulers are handed a wrapper of it
        manager = controller._actor_manager
        if "_actor_task_failed" in vars(manager):
            return
        task_failed, start_failed = manager._actor_task_failed, manager._actor_start_failed

        def on_task_failed(tracked_actor_task: Any, exception: Exception) -> None:
            exception = _as_actor_error(exception)
            self._note(controller, tracked_actor_task._tracked_actor, exception)
            if isinstance(exception, RayActorError):
                _tell_once(controller, tracked_actor_task)
            task_failed(tracked_actor_task=tracked_actor_task, exception=exception)

        def on_start_failed(tracked_actor: Any, exception: Exception) -> None:
            self._note(controller, tracked_actor, exception)
            start_failed(tracked_actor=tracked_actor, exception=exception)

        manager._actor_task_failed, manager._actor_start_failed = on_task_failed, on_start_failed

    def of(self, trial: TuneTrial) -> BaseException | None:
        """Return what ended a trial's actor last, or what was raised in it where it lived on."""
        error: Any = self._last.get(trial)
        cause = getattr(error, "cause", None)
        return error if cause is None else cause  # type: ignore[no-any-return]

    def _note(self, controller: Any, actor: Any, error: BaseException) -> None:
        trial = controller._actor_to_trial.get(actor)
        if trial is not None:
            self._last[trial] = error


def _as_actor_error(error: Exception) -> Exception:
    """Turn an error of Ray that Tune's manager does not know into one of the actor."""
    if not isinstance(error, RayError) or isinstance(error, RayActorError | RayTaskError):
        return error
    kinds = [one.__name__ for one in (ObjectLostError, OutOfMemoryError) if isinstance(error, one)]
    return RayActorError(error_msg=f"{(*kinds, type(error).__name__)[0]}: {error}")


def _tell_once(controller: Any, tracked_actor_task: Any) -> None:
    """Where a trial that has not begun hears that its actor is lost, do not tell it that its reset failed, too."""
    trial = controller._actor_to_trial.get(tracked_actor_task._tracked_actor)
    if trial in (controller._pending_trials | controller._paused_trials):
        tracked_actor_task._on_error = None
        controller._resetting_trials.discard(trial)


def loss_of(error: BaseException | None) -> Loss:
    """Tell how an actor was lost. Ray has one error for all causes, so its words are read."""
    words = str(error)
    if isinstance(error, OutOfMemoryError) or "running low on memory" in words:
        return Loss.MEMORY
    if any(one in words for one in _NODE_WORDS):
        return Loss.NODE
    return Loss.DATA if isinstance(error, ObjectLostError) or words.startswith("ObjectLostError") else Loss.WORKER


class StudyController:
    """Tune's controller as the scheduler of one study sees it: with that study's trials, and no search.

    Tune's schedulers ask the controller for its trials, and population based training refuses some searches. A scheduler
    that saw all trials would judge by rows of its own outer fold.
    """

    search_alg = None

    def __init__(self, controller: Any, trials: Mapping[TuneTrial, Any]) -> None:
        self._controller, self._trials = controller, trials

    def get_trials(self) -> list[TuneTrial]:
        """Return the study's trials that have not ended."""
        return list(self._trials)

    def get_live_trials(self) -> set[TuneTrial]:
        """Return them as a set."""
        return set(self._trials)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


def actor_of(trial: TuneTrial) -> Any:
    """Return the handle of the actor that a trial runs in; None if it has none. Tune starts actors, and hands out none."""
    return trial.temporary_state.ray_actor


def allow_more_failures(trial: TuneTrial, n: int) -> None:
    """Let a trial lose so many more actors. ``max_failures`` of a run is one number, and some trials need another."""
    trial.max_failures = trial.run_metadata.num_failures + n


def staging_folder(trial: TuneTrial) -> Path:
    """Return the folder in which Tune keeps a run's files on this machine. Tune never removes it."""
    return Path(trial.local_experiment_path).parent
