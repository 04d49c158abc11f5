"""Environment variables and the working folder: what differs from before, and what holds for a time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

Changes = Mapping[str, str | None]
"""Variables and their values; None stands for one that is not set."""


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str | None]:
    """Say what makes one environment of another.

    Examples
    --------
    >>> changes({"A": "1", "B": "2", "C": "3"}, {"A": "1", "B": "4"})
    {'B': '4', 'C': None}
    """
    return {name: after.get(name) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}


@contextlib.contextmanager
def changed(variables: Changes) -> Iterator[Changes]:
    """Let variables have other values for a time, and say which they had; what is changed meanwhile by others is left so."""
    before = {name: os.environ.get(name) for name in variables}
    differing = {name: value for name, value in variables.items() if before[name] != value}
    _set(differing)
    try:
        yield before
    finally:
        _set({name: before[name] for name, value in differing.items() if os.environ.get(name) == value})


@contextlib.contextmanager
def working_in(folder: str | None) -> Iterator[None]:
    """Work in a folder for a time, if there is one of this name here."""
    before = working_folder()
    with contextlib.suppress(OSError):  # it has gone, or may not be entered: what needs it will say so
        if folder is not None and folder != before:
            os.chdir(folder)
    try:
        yield
    finally:
        if before is not None and before != folder and working_folder() == folder:
            os.chdir(before)


def _set(variables: Changes) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def working_folder() -> str | None:
    """Return the working folder, or None if it has been removed."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return None
