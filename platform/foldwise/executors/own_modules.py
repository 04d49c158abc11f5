"""On a worker: user modules that fits have imported, and that a later search must import anew if they have changed.

A worker outlives a search. Meanwhile a module can have changed, or moved on the driver's path. The driver would import it as
it is now.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from foldwise.inputs.imports import installed_roots

State = tuple[str, int, int]
"""A file, its time in nanoseconds, and its size."""

_looked_at: set[str] = set()
_own: dict[str, State] = {}
"""The modules by name, with their files as they were soon after they were imported."""


def note_own_modules() -> None:
    """Note the user modules that were imported since the last call."""
    if len(_looked_at) == len(sys.modules):
        return
    roots = tuple(f"{root}{os.sep}" for root in installed_roots())
    for name in sys.modules.keys() - _looked_at:
        if name.partition(".")[0] in {"foldwise", "__main__"}:
            continue
        file = getattr(sys.modules[name], "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and not file.startswith(roots):
            state = _state(file)
            if state is not None:
                _own[name] = state
    _looked_at.update(sys.modules)
    _looked_at.intersection_update(sys.modules)


def forget_changed_modules() -> None:
    """Forget all user modules if one has changed, or would be found elsewhere now: they can refer to each other."""
    note_own_modules()
    if not any(name in sys.modules and _has_changed(name, state) for name, state in _own.items()):
        return
    for name in _own:
        sys.modules.pop(name, None)
    _looked_at.difference_update(_own)
    _own.clear()
    importlib.invalidate_caches()


def _has_changed(name: str, state: State) -> bool:
    if _state(state[0]) != state:
        return True
    if "." in name:  # it is found by its package
        return False
    found = PathFinder.find_spec(name)
    return found is not None and found.origin != state[0]


def _state(file: str) -> State | None:
    """Return the state of a module's file, or of the archive that it is in."""
    for path in (Path(file), *Path(file).parents[:-1]):
        try:
            stat = path.stat()
        except OSError:
            continue
        return file, stat.st_mtime_ns, stat.st_size
    return None
