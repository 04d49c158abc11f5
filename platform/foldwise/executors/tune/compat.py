"""What is relied on of Tune's private parts, each with a test that tells when it is not there any more."""

from __future__ import annotations

import functools
from typing import Any
from weakref import WeakKeyDictionary

from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError, RayError, RayTaskError
from ray.tune.experiment import Trial as TuneTrial

from foldwise.executors.losses import Loss

_errors: WeakKeyDictionary[TuneTrial, BaseException] = WeakKeyDictionary()
_NODE_WORDS = ("its node has died", "actor's node was", "node died", "NodeDiedError")


def see_all_losses() -> None:
    """Have Tune take whatever Ray says of a lost actor for a loss, take each once, and remember it.

    It knows of actors that died and of tasks that raised. Where the memory monitor has ended an actor, or an object is lost
    with its node, Ray says so in errors of other classes, at which Tune would end altogether. An actor that died while it
    stood idle is found dead by the trial that is to use it next: Tune hears of that twice, and gives the trial up.
    """
    plain, note = RayActorManager._actor_task_failed, TuneTrial.handle_error
    if hasattr(plain, "__wrapped__"):
        return

    @functools.wraps(plain)
    def failed(self: RayActorManager, tracked_actor_task: TrackedActorTask, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            kinds = [one.__name__ for one in (ObjectLostError, OutOfMemoryError) if isinstance(exception, one)]
            exception = RayActorError(error_msg=f"{(*kinds, type(exception).__name__)[0]}: {exception}")
        if isinstance(exception, RayActorError):
            _tell_once(tracked_actor_task)
        plain(self, tracked_actor_task=tracked_actor_task, exception=exception)

    @functools.wraps(note)
    def noted(self: TuneTrial, exc: Any = None) -> None:
        if isinstance(exc, BaseException):
            _errors[self] = exc
        note(self, exc)

    RayActorManager._actor_task_failed = failed  # type: ignore[method-assign]
    TuneTrial.handle_error = noted  # type: ignore[method-assign]


def error_of(trial: TuneTrial) -> BaseException | None:
    """Return what ended a trial's process last, or was raised in it where it lived on."""
    error: Any = _errors.get(trial)
    cause = getattr(error, "cause", None)
    return error if cause is None else cause  # type: ignore[no-any-return]


def loss_of(error: BaseException | None) -> Loss:
    """Tell how a process was lost, by what Ray says of it."""
    words = str(error)
    if isinstance(error, OutOfMemoryError) or "running low on memory" in words:
        return Loss.MEMORY
    if any(one in words for one in _NODE_WORDS):
        return Loss.NODE
    return Loss.DATA if isinstance(error, ObjectLostError) or words.startswith("ObjectLostError") else Loss.WORKER


def _tell_once(tracked_actor_task: TrackedActorTask) -> None:
    """Where the loss of an actor is told for a trial that has not begun, do not tell that its reset failed, too."""
    actor = tracked_actor_task._tracked_actor
    controller = getattr(actor._on_error, "__self__", None)
    trial = getattr(controller, "_actor_to_trial", {}).get(actor)
    if controller is not None and trial in (controller._pending_trials | controller._paused_trials):
        tracked_actor_task._on_error = None
        controller._resetting_trials.discard(trial)
