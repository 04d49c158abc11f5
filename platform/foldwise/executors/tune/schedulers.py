"""A scheduler of Ray Tune for one study, as the plan's schedule describes it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
from ray.tune.schedulers import (
    AsyncHyperBandScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    TrialScheduler,
)

from foldwise.executors.tune.explore import explored_params
from foldwise.executors.tune.tasks import TrialTask
from foldwise.plan.plan import Plan
from foldwise.plan.schedule import Schedule, changing


def scheduler_maker(plan: Plan) -> Callable[[], TrialScheduler]:
    """Return a function that makes a study's scheduler."""
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

    def explore(config: dict[str, Any]) -> dict[str, Any]:
        task: TrialTask = config["task"]
        drawn = np.random.RandomState(np.random.randint(2**31))  # noqa: NPY002  (`StudySchedulers` has seeded it)
        params = explored_params(problem.space, task.params, may_change, drawn)
        return {**config, "task": replace(task, params=params, origin=uuid.uuid4().hex)}

    return PopulationBasedTraining(
        time_attr="epochs", metric="value", mode="max", perturbation_interval=schedule.grace_epochs,
        quantile_fraction=1 / schedule.reduction, custom_explore_fn=explore, log_config=False,
    )  # fmt: skip
