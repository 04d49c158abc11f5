"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foldwise.errors import InputError, InputTypeError, Setting, nearest
from foldwise.executors.base import Executor, ScheduledExecutor
from foldwise.executors.serial import SerialExecutor
from foldwise.plan.settings import Settings


def _ray(**options: Any) -> Executor:
    from foldwise.executors.ray import RayExecutor  # lazily: Ray takes a second to import

    return RayExecutor(**options)


def _tune(**options: Any) -> Executor:
    from foldwise.executors.tune import TuneExecutor  # lazily: likewise

    return TuneExecutor(**options)


EXECUTORS: Mapping[str, Callable[..., Executor]] = {"ray": _ray, "serial": SerialExecutor}
_SCHEDULED: Mapping[str, Callable[..., Executor]] = {"ray": _tune}


def find_executor(executor: Any, *, scheduled: bool, **options: Any) -> Executor:
    """Return an Executor as it is, or the one of a name; nothing is checked of what it can run.

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


def make_executor(executor: Any, settings: Settings, **options: Any) -> Executor:
    """Turn an executor's name, or an Executor, into an Executor; one that runs whole trials where a schedule judges them.

    Parameters
    ----------
    executor : str or Executor
        What was asked for.
    settings : Settings
        Whose schedule, resources and limits it must be able to keep.
    **options
        Handed to the named one.

    Raises
    ------
    InputError
        If there is none of the name, or its resources, limits or schedule are nothing for it.
    """
    made = find_executor(executor, scheduled=settings.schedule is not None, **options)
    if settings.schedule is not None:
        runs_schedules(made)
    made.check(settings.resources, settings.limits)
    return made


def runs_schedules(executor: Executor) -> ScheduledExecutor:
    """Return an executor that runs whole trials.

    Raises
    ------
    InputError
        If it runs none.
    """
    if isinstance(executor, ScheduledExecutor):
        return executor
    raise InputError(
        "executor",
        f"expected one that runs schedules, got {type(executor).__name__}",
        fix=("use ", Setting("executor", "'ray'")),
    )
