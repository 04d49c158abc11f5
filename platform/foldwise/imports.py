"""Objects named in text, as ``module:name``: estimators, loaders, splitters, scorers."""

from __future__ import annotations

import importlib
import operator
import sys
from collections.abc import Iterable
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


def import_paths() -> tuple[str, ...]:
    """Return the folders that were added, and the others from which this process imports what is not installed."""
    others = (Path(folder).resolve() for folder in sys.path)
    installed = (Path(sys.prefix), Path(sys.base_prefix))
    own = (str(one) for one in others if not any(one.is_relative_to(root) for root in installed))
    return tuple(dict.fromkeys([*_added, *own]))


def take_import_paths(folders: Iterable[str]) -> None:
    """Let what another process can import be imported here: on its own machine its folders are here, too."""
    for folder in folders:
        if folder not in sys.path:
            sys.path.append(folder)
