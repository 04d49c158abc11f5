"""Executors by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.executors.base import Executor
from foldwise.executors.serial import SerialExecutor


def _ray(**options: Any) -> Executor:
    from foldwise.executors.ray import RayExecutor  # lazily: Ray takes a second to import

    return RayExecutor(**options)


EXECUTORS: Mapping[str, Callable[..., Executor]] = {"ray": _ray, "serial": SerialExecutor}


def make_executor(executor: Any, **options: Any) -> Executor:
    """Turn an executor's name, or an Executor, into an Executor."""
    if isinstance(executor, Executor):
        return executor
    if not isinstance(executor, str):
        raise InputTypeError("executor", f"expected 'ray', 'serial' or an Executor, got {executor!r}")
    if executor not in EXECUTORS:
        raise InputError("executor", f"expected an executor, got {executor!r}; {nearest(executor, EXECUTORS)}")
    return EXECUTORS[executor](**options)
