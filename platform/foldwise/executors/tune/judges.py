"""Tune's schedulers, one per study: none hears of another study's trials, so none decides by rows of its own outer fold."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    FIFOScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)

from foldwise.executors.tune.explore import explore
from foldwise.executors.tune.known import Known, Recalled, as_seen
from foldwise.executors.tune.tasks import Task, TrialTask
from foldwise.keys import derive_seed
from foldwise.keys.seeds import seeded
from foldwise.plan.epochs import changed
from foldwise.plan.plan import Plan
from foldwise.plan.schedule import Schedule, changing
from foldwise.process import ONE_AT_A_TIME

_FITS = ""
"""Stands for the study of plain fits, which nobody judges."""
_UNDER_WAY = {TuneTrial.RUNNING, TuneTrial.PENDING}
_REMEMBERING = (AsyncHyperBandScheduler, MedianStoppingRule)
"""Those that judge by all that was ever reported; HyperBand's brackets wait for trials, and a population is of the living."""


class Judges(TrialScheduler):
    """Hands what Tune says of a trial to the scheduler of its study.

    Parameters
    ----------
    make : callable
        Makes a study's scheduler.
    seed : int
        What the schedulers' luck derives from.
    grace_epochs : int
        What HyperBand counts in.
    most : int, optional
        So many trials may be under way at once.
    known : Known, optional
        Trials that ended in an earlier run.
    """

    _supports_buffered_results = False

    def __init__(
        self,
        make: Callable[[], TrialScheduler],
        seed: int,
        grace_epochs: int,
        most: int | None = None,
        known: Known | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._make, self._seed, self._grace, self._most = make, seed, grace_epochs, most
        self._judges: dict[str, TrialScheduler] = {_FITS: FIFOScheduler()}  # type: ignore[no-untyped-call]
        self._live: dict[str, dict[TuneTrial, dict[str, Any] | None]] = {_FITS: {}}
        self._own: dict[TuneTrial, TrialTask] = {}
        self._known, self._reported = known or Known(), set[str]()
        self._n_called = 0

    # --- what the executor asks ---

    def n_under_way(self) -> int:
        """Count the trials that run, or wait for a place to run."""
        return sum(trial.status in _UNDER_WAY for live in list(self._live.values()) for trial in tuple(live))

    def n_running(self) -> int:
        """Count the trials that run."""
        return sum(trial.status == TuneTrial.RUNNING for live in list(self._live.values()) for trial in tuple(live))

    @property
    def has_room(self) -> bool:
        """Whether another trial may begin."""
        return self._most is None or self.n_under_way() < self._most

    # --- what Tune says ---

    def on_trial_add(self, tune_controller: Any, trial: TuneTrial) -> None:  # noqa: D102
        study = _study_of(trial)
        if study not in self._judges:
            self._judges[study], self._live[study] = self._make(), {}
        self._live[study][trial] = None
        task = _task_of(trial)
        if isinstance(task, TrialTask):
            self._own.setdefault(trial, task)
        with self._luck():
            view = self._view(tune_controller, study)
            if isinstance(self._judges[study], _REMEMBERING):
                for end in self._known.take(study):
                    Recalled(end).tell(self._judges[study], view)
            self._judges[study].on_trial_add(view, trial)

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> str:  # noqa: D102
        study = _study_of(trial)
        if study == _FITS:
            return str(TrialScheduler.CONTINUE)
        seen = self._live[study][trial] = self._seen(result)
        self._follow(trial, result)
        with self._luck():
            view = self._view(tune_controller, study)
            self._catch_up(study, view, trial, result)
            decision = self._judges[study].on_trial_result(view, trial, seen)
        self._rename(trial)
        return str(decision)

    def on_trial_complete(self, tune_controller: Any, trial: TuneTrial, result: Mapping[str, Any]) -> None:  # noqa: D102
        study = _study_of(trial)
        view = self._view(tune_controller, study)
        with self._luck():
            if result.get("failed", True):  # its value must not be compared with others'
                self._judges[study].on_trial_error(view, trial)
            else:
                self._judges[study].on_trial_complete(view, trial, self._seen(result))
        self._forget(trial)

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:  # noqa: D102
        study = _study_of(trial)
        with self._luck():
            self._judges[study].on_trial_error(self._view(tune_controller, study), trial)
        self._live[study].pop(trial, None)
        if trial.status in _UNDER_WAY:  # otherwise it comes again, with the task that it has
            self._own.pop(trial, None)

    def on_trial_remove(self, tune_controller: Any, trial: TuneTrial) -> None:  # noqa: D102
        study = _study_of(trial)
        with self._luck():
            self._judges[study].on_trial_remove(self._view(tune_controller, study), trial)
        self._forget(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:  # noqa: D102
        for study in list(self._judges):
            if study != _FITS and self._is_stuck(tune_controller, study):
                self._wake(tune_controller, study)
            chosen = self._judges[study].choose_trial_to_run(self._view(tune_controller, study))
            if chosen is not None and (chosen.status == TuneTrial.PENDING or self.has_room):
                return chosen
        return None

    def debug_string(self) -> str:  # noqa: D102
        return f"{len(self._judges) - 1} studies"

    # --- HyperBand's paused trials ---

    def _is_stuck(self, controller: Any, study: str) -> bool:
        """Tell whether all trials of a study are paused and none may go on.

        HyperBand halves a bracket when its last trial reaches the rung; if that one fails instead, nobody comes.
        """
        live = self._live[study]
        return (
            bool(live)
            and all(trial.status == TuneTrial.PAUSED for trial in live)
            and self._judges[study].choose_trial_to_run(self._view(controller, study)) is None
        )

    def _wake(self, controller: Any, study: str) -> None:
        """Have paused trials say again what they said last, until one may go on; failing that, end them."""
        for trial, seen in list(self._live[study].items()):
            if seen is not None and trial in self._live[study]:
                self._judges[study].on_trial_result(self._view(controller, study), trial, seen)
            if not self._is_stuck(controller, study):
                return
        for trial in list(self._live[study]):
            controller.stop_trial(trial)

    # --- helpers ---

    def _seen(self, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return what schedulers need of a result; some keep all that they are given."""
        return as_seen(result["epochs"], result["value"], self._grace)

    def _catch_up(self, study: str, view: Any, trial: TuneTrial, result: Mapping[str, Any]) -> None:
        """Tell a scheduler what a trial that goes on from an earlier run had come to by its first result in this one."""
        judge = self._judges[study]
        if trial.trial_id in self._reported or not isinstance(judge, _REMEMBERING):
            return
        self._reported.add(trial.trial_id)
        for epoch, value in result["outcome"].curve:
            if epoch < result["epochs"]:
                judge.on_trial_result(view, trial, as_seen(epoch, value, self._grace))

    def _follow(self, trial: TuneTrial, result: Mapping[str, Any]) -> None:
        """Take note where a trial goes on from what it kept in an earlier run, with params that had changed by then."""
        task = _task_of(trial)
        if isinstance(task, TrialTask):
            params = result["outcome"].lineage[-1].params
            if params is not task.params and changed(task.params, params):
                trial.config["task"] = replace(task, params=params)

    def _rename(self, trial: TuneTrial) -> None:
        """Put a trial's own name on a task that it has taken over from another."""
        task = _task_of(trial)
        if isinstance(task, TrialTask) and task.key != self._own[trial].key:
            trial.config["task"] = replace(self._own[trial], params=task.params, origin=task.origin)

    def _forget(self, trial: TuneTrial) -> None:
        self._live[_study_of(trial)].pop(trial, None)
        self._own.pop(trial, None)

    @contextmanager
    def _luck(self) -> Iterator[None]:
        """Have schedulers draw from generators that are seeded by the job, and leave those of the process as they were."""
        self._n_called += 1
        with ONE_AT_A_TIME, seeded(derive_seed(self._seed, "judges", self._n_called)):
            yield

    def _view(self, controller: Any, study: str) -> Any:
        return _View(controller, self._live[study])


class _View:
    """Tune's controller as a study's scheduler sees it: with the study's own trials, and no search to mind."""

    search_alg = None

    def __init__(self, controller: Any, trials: Mapping[TuneTrial, Any]) -> None:
        self._controller, self._trials = controller, trials

    def get_trials(self) -> list[TuneTrial]:
        return list(self._trials)

    def get_live_trials(self) -> set[TuneTrial]:
        return set(self._trials)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._controller, name)


def judge_maker(plan: Plan) -> Callable[[], TrialScheduler]:
    """Return what makes a study's scheduler, as the plan's schedule has it."""
    schedule = plan.problem.settings.schedule
    assert schedule is not None
    makers: dict[str, Callable[[], TrialScheduler]] = {
        "asha": lambda: _asha(schedule), "hyperband": lambda: _hyperband(schedule), "median": lambda: _median(schedule),
        "pbt": lambda: _pbt(schedule, plan),
    }  # fmt: skip
    return makers[schedule.method]


def _asha(schedule: Schedule) -> TrialScheduler:
    return AsyncHyperBandScheduler(
        time_attr="epochs", metric="value", mode="max", max_t=schedule.max_epochs, grace_period=schedule.grace_epochs,
        reduction_factor=schedule.reduction,
    )  # fmt: skip


def _hyperband(schedule: Schedule) -> TrialScheduler:
    # Its shortest bracket trains a single round, so that a round is the grace period. The last trials train to their end.
    return HyperBandScheduler(
        time_attr="rounds", metric="value", mode="max", max_t=max(1, schedule.max_epochs // schedule.grace_epochs),
        reduction_factor=schedule.reduction, stop_last_trials=False,
    )  # fmt: skip


def _median(schedule: Schedule) -> TrialScheduler:
    never: Any = inf  # trials are not paused in favour of others: that would cost a checkpoint each epoch
    return MedianStoppingRule(
        time_attr="epochs", metric="value", mode="max", grace_period=schedule.grace_epochs, min_time_slice=never
    )


def _pbt(schedule: Schedule, plan: Plan) -> TrialScheduler:
    problem = plan.problem
    may_change = changing(problem.estimator, problem.space)

    def take_over(config: dict[str, Any]) -> dict[str, Any]:
        task: TrialTask = config["task"]
        drawn = np.random.RandomState(np.random.randint(2**31))  # noqa: NPY002  (`_luck` has seeded it)
        params = explore(problem.space, task.params, may_change, drawn)
        return {**config, "task": replace(task, params=params, origin=uuid.uuid4().hex)}

    return PopulationBasedTraining(
        time_attr="epochs", metric="value", mode="max", perturbation_interval=schedule.grace_epochs,
        quantile_fraction=1 / schedule.reduction, custom_explore_fn=take_over, log_config=False,
    )  # fmt: skip


def _task_of(trial: TuneTrial) -> Task:
    task: Task = trial.config["task"]
    return task


def _study_of(trial: TuneTrial) -> str:
    task = _task_of(trial)
    return task.study if isinstance(task, TrialTask) else _FITS
