"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foldwise.errors import InputError, InputTypeError, Setting, nearest
from foldwise.executors.base import Executor, ScheduledExecutor
from foldwise.executors.serial import SerialExecutor
from foldwise.plan.problem import Problem


def _ray(**options: Any) -> Executor:
    from foldwise.executors.ray import RayExecutor  # lazily: Ray takes a second to import

    return RayExecutor(**options)


def _tune(**options: Any) -> Executor:
    from foldwise.executors.tune import TuneExecutor  # lazily: likewise

    return TuneExecutor(**options)


EXECUTORS: Mapping[str, Callable[..., Executor]] = {"ray": _ray, "serial": SerialExecutor}
_SCHEDULED: Mapping[str, Callable[..., Executor]] = {"ray": _tune}


def make_executor(executor: Any, *, scheduled: bool = False, **options: Any) -> Executor:
    """Return the executor of a name; an Executor is returned as it is.

    Parameters
    ----------
    executor : str or Executor
        What the user gave.
    scheduled : bool, default=False
        Whether a schedule judges trials, so that it must run whole trials.
    **options
        Arguments of an executor that is given by name.

    Raises
    ------
    InputError
        If there is none of the name.
    """
    if isinstance(executor, Executor):
        return executor
    if not isinstance(executor, str):
        raise InputTypeError("executor", f"expected 'ray', 'serial' or an Executor, got {executor!r}")
    if executor not in EXECUTORS:
        raise InputError("executor", f"expected an executor, got {executor!r}; {nearest(executor, EXECUTORS)}")
    if scheduled and executor not in _SCHEDULED:
        raise InputError("executor", f"expected 'ray', which runs schedules, got {executor!r}; leave the schedule or this out")
    return (_SCHEDULED if scheduled else EXECUTORS)[executor](**options)


def check_can_run(executor: Executor, problem: Problem) -> None:
    """Refuse an executor that cannot run a problem.

    Raises
    ------
    InputError
        If its resources, limits or schedule are nothing for it.
    """
    if problem.schedule is not None and not isinstance(executor, ScheduledExecutor):
        raise InputError(
            "executor",
            f"expected one that runs schedules, got {type(executor).__name__}",
            fix=("use ", Setting("executor", "'ray'")),
        )
    executor.check(problem.resources, problem.limits)
