"""On a worker: an actor of Tune that trains a trial, an epoch a step, or does a plain fit in one step.

Whatever an estimator raises is an outcome like others. So Tune counts lost processes alone as failures, and begins these
again: from the state that the trial has kept, which is at most an epoch or a twentieth of the time behind.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from ray import cloudpickle
from ray.tune import PlacementGroupFactory, Trainable

from foldwise.errors import Failure
from foldwise.executors.code import packed
from foldwise.executors.devices import is_out_of_gpu_memory, tell_share
from foldwise.executors.ray_tasks import make_ready, open_context
from foldwise.executors.tune.states import SaveInterval, Storage
from foldwise.executors.tune.tasks import AS_ASKED, FitTask, Task, TrialTask
from foldwise.inputs.imports import ImportPaths
from foldwise.plan.resources import Resources
from foldwise.trial import FitResult
from foldwise.worker.fit import FitContext
from foldwise.worker.guard import FitGuard
from foldwise.worker.lockstep import Lockstep, Progress

_NOT_KEPT = "builtins:RuntimeWarning"


@dataclass(frozen=True)
class ActorSpec:
    """What the actors of a run are made of.

    Parameters
    ----------
    references : list of ObjectRef
        The run's world and its fit context, in the object store.
    paths : ImportPaths
        Folders that modules are imported from.
    resources : Resources
        Of one actor.
    fit_seconds : float or None
        ``limits.fit_seconds``.
    storage : Storage
        Where the states of trials are kept.
    tune_storage : Storage
        Where Tune's own files lie meanwhile. Tune unpickles some of them.
    """

    references: list[Any]
    paths: ImportPaths
    resources: Resources
    fit_seconds: float | None
    storage: Storage
    tune_storage: Storage


class GpuMemorySpent(Exception):  # noqa: N818  (it is how an actor is left)
    """The GPU's memory is spent, and the process holds it. Tune then gives the task another actor, which tells its outcome."""

    def __init__(self, outcome: Progress | FitResult) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class CannotOpen(Exception):  # noqa: N818  (the driver makes an error of it)
    """The fit context cannot be opened in this actor, nor in any other."""


class FoldTrainable(Trainable):
    """Does one task after the other; Tune makes it an actor.

    Its config holds the ``task``, the ``resources`` of the actor, and the ``storage`` where states are kept.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        """Ask for what one running process holds."""
        return PlacementGroupFactory([config["resources"].amounts()])

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a task."""
        self._task: Task = config["task"]
        self._states: Storage = config["storage"]
        self._resources: Resources = config["resources"]
        self._lockstep: Lockstep | None = None
        self._taken_over: tuple[str, Lockstep] | None = None
        self._save_interval = SaveInterval()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another task in the same process."""
        self.setup(new_config)
        return True

    def open(self, references: list[Any], paths: ImportPaths) -> None:
        """Open the run's fit context. The driver calls this before the first step of each task."""
        tell_share(self._resources)
        self._opened: FitContext | CannotOpen
        try:
            self._opened = open_context(references, paths)
            make_ready(self._opened, self._task.fits if isinstance(self._task, TrialTask) else (self._task.fit,))
        except Exception as error:  # told by the step, to which Tune listens
            self._opened = CannotOpen(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")  # then, a traceback

    def step(self) -> dict[str, Any]:
        """Train an epoch of each inner fold, or do the whole of a plain fit."""
        if isinstance(self._opened, CannotOpen):
            raise self._opened
        task = self._task
        outcome = task.ended or (
            self._fit(task, self._opened) if isinstance(task, FitTask) else self._train(task, self._opened)
        )
        if isinstance(outcome, FitResult):
            return {"outcome": outcome, "epochs": 1, "value": 0.0, "failed": False, "done": True}
        failed = outcome.has_failed
        done = failed or (isinstance(task, TrialTask) and outcome.epochs >= task.horizon)
        return {"outcome": outcome, "epochs": outcome.epochs, "value": outcome.value, "failed": failed, "done": done}

    def _fit(self, task: FitTask, context: FitContext) -> FitResult:
        seconds = context.guard.seconds
        if seconds is not None and task.fit.lineage:  # an epoch's time is limited, and it has many
            n_epochs = sum(segment.epochs for segment in task.fit.lineage)
            context = replace(context, guard=FitGuard(seconds * n_epochs, context.guard.may_exit))
        (result,) = map(packed, context.run((task.fit,)))
        self._leave_if_spent(result.failure_on(*task.fit.held_out), result)
        return result

    def _train(self, task: TrialTask, context: FitContext) -> Progress:
        if self._lockstep is None:
            self._lockstep = self._begin(task)
        progress = self._lockstep.progress
        if progress is None or progress.epochs < task.horizon:
            progress = self._lockstep.train_epoch(context)
            self._leave_if_spent(progress.error, progress)
            if not progress.has_failed and progress.epochs < task.horizon:
                self._keep(task)
        return progress

    @staticmethod
    def _leave_if_spent(error: Failure | None, outcome: Progress | FitResult) -> None:
        if is_out_of_gpu_memory(error):
            raise GpuMemorySpent(outcome)

    # --- states ---

    def _begin(self, task: TrialTask) -> Lockstep:
        """Go on from the state that was kept or taken over, whichever is further, or begin anew."""
        kept = self._kept(task)
        if kept is None or (task.origin != AS_ASKED and kept[0] != task.origin):
            kept = None  # of a life before it took another's place
        known = [one for one in (self._taken_over, kept) if one is not None]
        if not known:
            return Lockstep(task.fits)
        _, lockstep = max(known, key=lambda one: one[1].epochs)
        if task.origin != AS_ASKED:
            lockstep.set_params(task.params)
        return lockstep

    def _kept(self, task: TrialTask) -> tuple[str, Lockstep] | None:
        try:
            content = self._states.read(task.file)
            return None if content is None else cloudpickle.loads(content)
        except Exception:  # a state that cannot be read, whatever it raises, is none: the trial begins anew
            return None

    def _keep(self, task: TrialTask) -> None:
        if not self._save_interval.is_due():
            return
        assert self._lockstep is not None
        clock = time.perf_counter()
        try:
            state = cloudpickle.dumps((task.origin, self._lockstep))  # type: ignore[no-untyped-call]
            self._states.write(task.file, state)
        except Exception as error:  # a model may train well that cannot be saved
            self._lockstep.note(_NOT_KEPT, f"the state of a trial could not be kept in {self._states.url}: {error}")
        self._save_interval.took(time.perf_counter() - clock)

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Give the state to Tune, which pauses the trial or has another one take it over."""
        assert isinstance(self._task, TrialTask)
        return {"origin": self._task.origin, "lockstep": self._lockstep or self._begin(self._task)}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Take over a state that Tune hands on."""
        assert checkpoint is not None
        self._taken_over = checkpoint["origin"], checkpoint["lockstep"]
