"""Tune's schedulers, one per study: none sees another study's trials, so none decides by rows of its own outer fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from foldwise.executors.tune.compat import ActorErrors, StudyController
from foldwise.executors.tune.past_ends import PastEnds, PastTrial, scheduler_result
from foldwise.executors.tune.tasks import TrialTask, task_of
from foldwise.keys import derive_seed
from foldwise.keys.seeds import seeded
from foldwise.plan.epochs import changed
from foldwise.process.exclusive import ONE_AT_A_TIME

_FITS = ""
"""Stands for the study of plain fits, which no scheduler stops."""
_UNDER_WAY = {TuneTrial.RUNNING, TuneTrial.PENDING}
_REMEMBERING = (AsyncHyperBandScheduler, MedianStoppingRule)
"""Schedulers that judge by all that was ever reported. HyperBand's brackets wait for trials; a population is of living ones."""


class StudySchedulers(TrialScheduler):
    """A scheduler of Tune that hands each trial to the scheduler of its study.

    Parameters
    ----------
    make : callable
        Makes a study's scheduler.
    seed : int
        Seed of what the schedulers draw.
    grace_epochs : int
        Epochs of one of HyperBand's rounds.
    most : int, optional
        So many trials may be under way at once.
    past_ends : PastEnds, optional
        Trials that ended in an earlier run.
    errors : ActorErrors, optional
        Is attached to the run's controller, which Tune hands to a scheduler alone.
    """

    _supports_buffered_results = False

    def __init__(
        self,
        make: Callable[[], TrialScheduler],
        seed: int,
        grace_epochs: int,
        most: int | None = None,
        past_ends: PastEnds | None = None,
        errors: ActorErrors | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._make, self._seed, self._grace, self._most = make, seed, grace_epochs, most
        self._schedulers: dict[str, TrialScheduler] = {_FITS: FIFOScheduler()}  # type: ignore[no-untyped-call]
        self._live: dict[str, dict[TuneTrial, dict[str, Any] | None]] = {_FITS: {}}
        self._tasks: dict[TuneTrial, TrialTask] = {}
        self._past_ends, self._errors = past_ends or PastEnds(), errors
        self._reported = set[str]()
        self._n_called = 0

    # --- what the executor asks ---

    def n_under_way(self) -> int:
        """Count the trials that run, or wait for a place to run."""
        return sum(trial.status in _UNDER_WAY for live in list(self._live.values()) for trial in tuple(live))

    def n_running(self) -> int:
        """Count the trials that run."""
        return sum(trial.status == TuneTrial.RUNNING for live in list(self._live.values()) for trial in tuple(live))

    @property
    def has_capacity(self) -> bool:
        """Whether another trial may begin."""
        return self._most is None or self.n_under_way() < self._most

    # --- what Tune says ---

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:  # noqa: D102
        if self._errors is not None:
            self._errors.attach(tune_controller)
        study = _study_of(trial)
        if study not in self._schedulers:
            self._schedulers[study], self._live[study] = self._make(), {}
        self._live[study][trial] = None
        task = task_of(trial)
        if isinstance(task, TrialTask):
            self._tasks.setdefault(trial, task)
        with self._seeded():
            view = self._view(tune_controller, study)
            if isinstance(self._schedulers[study], _REMEMBERING):
                for end in self._past_ends.take(study):
                    PastTrial(end).replay(self._schedulers[study], view)
            self._schedulers[study].on_trial_add(view, trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> str:  # noqa: D102
        study = _study_of(trial)
        if study == _FITS:
            return str(TrialScheduler.CONTINUE)
        seen = self._live[study][trial] = self._seen(result)
        self._take_changed_params(trial, result)
        with self._seeded():
            view = self._view(tune_controller, study)
            if self._catch_up(study, view, trial, result):
                return str(TrialScheduler.STOP)
            decision = self._schedulers[study].on_trial_result(view, trial, seen)
        self._restore_identity(trial)
        return str(decision)

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> None:  # noqa: D102
        study = _study_of(trial)
        view = self._view(tune_controller, study)
        with self._seeded():
            if result.get("failed", True):  # its value must not be compared with others'
                self._schedulers[study].on_trial_error(view, trial)
            else:
                self._schedulers[study].on_trial_complete(view, trial, self._seen(result))
        self._forget(trial)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:  # noqa: D102
        study = _study_of(trial)
        with self._seeded():
            self._schedulers[study].on_trial_error(self._view(tune_controller, study), trial)
        self._live[study].pop(trial, None)
        if trial.status in _UNDER_WAY:  # otherwise it comes again, with the task that it has
            self._tasks.pop(trial, None)

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:  # noqa: D102
        study = _study_of(trial)
        with self._seeded():
            self._schedulers[study].on_trial_remove(self._view(tune_controller, study), trial)
        self._forget(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:  # noqa: D102
        for study in list(self._schedulers):
            if study != _FITS and self._is_stuck(tune_controller, study):
                self._unblock(tune_controller, study)
            chosen = self._schedulers[study].choose_trial_to_run(self._view(tune_controller, study))
            if chosen is not None and (chosen.status == TuneTrial.PENDING or self.has_capacity):
                return chosen
        return None

    def debug_string(self) -> str:  # noqa: D102
        return f"{len(self._schedulers) - 1} studies"

    # --- HyperBand's paused trials ---

    def _is_stuck(self, controller: Any, study: str) -> bool:
        """Tell whether all trials of a study are paused and none may go on.

        HyperBand halves a bracket when its last trial reaches the rung. If that trial fails instead, the others wait for ever.
        """
        live = self._live[study]
        return (
            bool(live)
            and all(trial.status == TuneTrial.PAUSED for trial in live)
            and self._schedulers[study].choose_trial_to_run(self._view(controller, study)) is None
        )

    def _unblock(self, controller: Any, study: str) -> None:
        """Report the last results of paused trials again, until one may go on. If none may, end them."""
        for trial, seen in list(self._live[study].items()):
            if seen is not None and trial in self._live[study]:
                self._schedulers[study].on_trial_result(self._view(controller, study), trial, seen)
            if not self._is_stuck(controller, study):
                return
        for trial in list(self._live[study]):
            controller.stop_trial(trial)

    # --- helpers ---

    def _seen(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return what schedulers need of a result; some keep all that they are given."""
        return scheduler_result(result["epochs"], result["value"], self._grace)

    def _catch_up(self, study: str, view: Any, trial: TuneTrial, result: Mapping[str, Any]) -> bool:
        """Report the earlier epochs of a trial that goes on from an earlier run, at its first result in this one.

        Returns whether the scheduler has stopped it by one of them, and takes no further result of it.
        """
        scheduler = self._schedulers[study]
        if trial.trial_id in self._reported or not isinstance(scheduler, _REMEMBERING):
            return False
        self._reported.add(trial.trial_id)
        for epoch, value in result["outcome"].curve:
            if epoch < result["epochs"]:
                decision = scheduler.on_trial_result(view, trial, scheduler_result(epoch, value, self._grace))
                if decision == TrialScheduler.STOP and isinstance(scheduler, MedianStoppingRule):
                    return True
        return False

    def _take_changed_params(self, trial: TuneTrial, result: Mapping[str, Any]) -> None:
        """Note the params of a trial that goes on from a state of an earlier run, where they had changed by then."""
        task = task_of(trial)
        if isinstance(task, TrialTask):
            params = result["outcome"].lineage[-1].params
            if params is not task.params and changed(task.params, params):
                trial.config["task"] = replace(task, params=params)

    def _restore_identity(self, trial: TuneTrial) -> None:
        """Put a trial's own key on a task that it has taken over from another trial."""
        task = task_of(trial)
        if isinstance(task, TrialTask) and task.key != self._tasks[trial].key:
            trial.config["task"] = replace(self._tasks[trial], params=task.params, origin=task.origin)

    def _forget(self, trial: TuneTrial) -> None:
        self._live[_study_of(trial)].pop(trial, None)
        self._tasks.pop(trial, None)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Have schedulers draw from generators that the job seeds, and leave those of the process as they were."""
        self._n_called += 1
        with ONE_AT_A_TIME, seeded(derive_seed(self._seed, "judges", self._n_called)):
            yield

    def _view(self, controller: Any, study: str) -> Any:
        return StudyController(controller, self._live[study])


def _study_of(trial: TuneTrial) -> str:
    task = task_of(trial)
    return task.study if isinstance(task, TrialTask) else _FITS
