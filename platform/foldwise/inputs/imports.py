"""Objects named in text, as ``module:name``: estimators, loaders, splitters, scorers."""

from __future__ import annotations

import functools
import importlib
import operator
import os
import site
import socket
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.errors import InputTypeError, MissingPackageError, nearest


def resolve(name: str, place: str) -> Any:
    """Import the object that ``module:name`` names.

    Parameters
    ----------
    name : str
        For example ``sklearn.svm:SVC``.
    place : str
        Where the name was written, for the error.

    Returns
    -------
    object
        What the name stands for.

    Raises
    ------
    MissingPackageError
        If the module cannot be imported or lacks the name.
    InputTypeError
        If the text is not of the form ``module:name``.

    Examples
    --------
    >>> resolve("math:sqrt", "estimator")(4)
    2.0
    """
    module_name, colon, attribute = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not (colon and module_name and attribute):
        raise InputTypeError(place, f"expected module:name, as in sklearn.svm:SVC, got {name!r}")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a user's module may raise anything while it is imported
        cause = f"{type(error).__name__}: {error}"
        raise MissingPackageError(
            place, f"expected a module that can be imported, got {module_name!r} ({cause}); install it, or mend the name"
        ) from error
    try:
        return operator.attrgetter(attribute)(module)
    except AttributeError:
        public = [one for one in dir(module) if not one.startswith("_")]
        raise MissingPackageError(
            place, f"expected a name in {module_name}, got {attribute!r}; {nearest(attribute, public)}"
        ) from None
    except Exception as error:  # a module's own ``__getattr__`` may raise anything
        problem = f"expected a name in {module_name}, got {attribute!r} ({type(error).__name__}: {error})"
        raise MissingPackageError(place, f"{problem}; import what it needs in a module of your own") from error


def import_root(code: Path) -> Path:
    """Return the folder from which code of the user's is imported: what stands in a folder, or a package by its name.

    Examples
    --------
    >>> import_root(Path("models") / "mine.py").name
    'models'
    """
    is_module = code.is_file() or code.suffix == ".py" or (code / "__init__.py").is_file()
    return code.parent if is_module else code


_added: list[str] = []


def add_import_paths(*folders: Path | str) -> None:
    """Let modules in these folders be imported, as a script in them could; workers are told of them."""
    for folder in map(str, folders):
        if folder not in _added:
            _added.append(folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)


@dataclass(frozen=True, slots=True)
class ImportPaths:
    """From where another process is to import what is not installed.

    Parameters
    ----------
    first, last : tuple of str
        Folders and archives that are searched before what is installed, and after it.
    machine : str
        Where they are; on another one they come last, since other things may stand there.
    """

    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    machine: str = ""


def import_paths() -> ImportPaths:
    """Return the folders that were added, and the others from which this process imports what is not installed."""
    entries = list(filter(None, map(_resolved, sys.path)))
    is_installed = [any(Path(one).is_relative_to(root) for root in installed_roots()) for one in entries]
    begin = is_installed.index(True) if True in is_installed else len(entries)
    own = [(place, one) for place, (one, skip) in enumerate(zip(entries, is_installed, strict=True)) if not skip]
    first = dict.fromkeys(one for place, one in own if place < begin)
    last = dict.fromkeys([*(one for place, one in own if place > begin), *_added])
    return ImportPaths(tuple(first), tuple(one for one in last if one not in first), socket.gethostname())


def _resolved(entry: Any) -> str | None:
    """Return an entry of ``sys.path`` as it reads from any folder; None for what Python passes over."""
    try:
        return str(Path(entry).resolve()) if isinstance(entry, str | os.PathLike) else None
    except (OSError, ValueError):  # the working folder has gone; a NUL
        return None


@functools.cache
def installed_roots() -> tuple[Path, ...]:
    """Return where distributions and the standard library are, which each process of this Python finds by itself."""
    archive = Path(sysconfig.get_path("stdlib")).with_name(f"python{sys.version_info.major}{sys.version_info.minor}.zip")
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return (archive, *(Path(one).resolve() for one in dict.fromkeys(paths)))


_taken: list[str] = []
"""Entries of ``sys.path`` that stand for another process's."""


def take_import_paths(paths: ImportPaths) -> None:
    """Let what another process can import be imported here, in its order: on its own machine its folders are here, too."""
    here = [one for one in sys.path if one not in _taken]
    named = [*paths.first, *paths.last]
    first = paths.first if paths.machine == socket.gethostname() else ()
    kept = [one for one in here if one not in first]
    after = [one for one in named if one not in first and one not in kept]
    if sys.path != [*first, *kept, *after]:
        sys.path[:] = [*first, *kept, *after]
        importlib.invalidate_caches()
    _taken[:] = [one for one in named if one not in here]
