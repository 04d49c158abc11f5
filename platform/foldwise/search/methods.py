"""Search methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.search.base import Search
from foldwise.search.grid import GridSearch
from foldwise.search.random import RandomSearch


def _optuna(**options: Any) -> Search:
    from foldwise.search.optuna import OptunaSearch  # lazily: grid and random search do without Optuna

    return OptunaSearch(**options)


OPTIONS: Mapping[str, tuple[str, ...]] = {"grid": (), "random": (), "optuna": ("sampler", "options")}
METHODS: Mapping[str, Callable[..., Search]] = {"grid": GridSearch, "random": RandomSearch, "optuna": _optuna}


def make_search(search: Any, **options: Any) -> Search:
    """Turn a method's name and its options, or a Search, into a Search."""
    if isinstance(search, Search):
        return search
    if not isinstance(search, str):
        raise InputTypeError("search", f"expected a method's name or a Search, got {search!r}; {nearest('', METHODS)}")
    if search not in METHODS:
        raise InputError("search", f"expected a search method, got {search!r}; {nearest(search, METHODS)}")
    known = OPTIONS[search]
    for option in options:
        if option not in known:
            raise InputError(f"search.{option}", f"expected an option of {search!r}, got {option!r}; {nearest(option, known)}")
    return METHODS[search](**options)
