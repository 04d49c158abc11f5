"""What the limit on threads relies on of CatBoost's private parts. A test fails when a version changes it.

CatBoost counts the machine's cores once, and reads no environment variable. So it is told the number with each call.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

_DEFAULTS = (None, -1)
"""What leaves the number of threads to CatBoost."""
_WITH_PARAMS = {"_train", "_cv"}
"""Functions that take it among the params of training."""
_OWNERS = ("_CatBoostBase", "Pool")


def limit_catboost(core: Any, threads: int) -> Callable[[], None]:
    """Let ``catboost.core`` train and predict in so many threads where nobody asks for others; returns what ends that."""
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in _functions(core)]
    for owner, name, parameters in _functions(core):
        setattr(owner, name, _told(vars(owner)[name], parameters, threads))

    def undo() -> None:
        for owner, name, function in before:
            setattr(owner, name, function)

    return undo


@functools.lru_cache(maxsize=1)
def _functions(core: Any) -> tuple[tuple[Any, str, tuple[str, ...]], ...]:
    """List what hands a number of threads to CatBoost's library, with its parameters; public ones are left as they are."""
    owners = [core, *(vars(core)[name] for name in _OWNERS if name in vars(core))]
    inner = [(owner, *one) for owner in owners for one in vars(owner).items() if _is_inner(*one)]
    named = [(owner, name, _parameters(function)) for owner, name, function in inner]
    return tuple(one for one in named if "thread_count" in one[2] or (one[1] in _WITH_PARAMS and "params" in one[2]))


def _is_inner(name: str, function: Any) -> bool:
    return name.startswith("_") and name != "__init__" and callable(function) and not isinstance(function, type)


def _parameters(function: Any) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # compiled, and it does not say
        return ()


def _told(function: Any, parameters: tuple[str, ...], threads: int) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        named = dict(zip(parameters, args, strict=False)) | kwargs
        params = named.get("params")
        told: dict[str, Any] = {}
        if "thread_count" in parameters and named.get("thread_count") in _DEFAULTS:
            told["thread_count"] = threads
        if isinstance(params, dict) and params.get("thread_count") in _DEFAULTS:
            told["params"] = {**params, "thread_count": threads}
        by_place = [told.pop(name, value) for name, value in zip(parameters, args, strict=False)]
        return function(*by_place, *args[len(by_place) :], **{**kwargs, **told})

    return call
