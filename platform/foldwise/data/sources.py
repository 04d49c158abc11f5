"""Where data comes from: a loader function, or a file."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from foldwise.data.dataset import Dataset
from foldwise.errors import DataError, nearest
from foldwise.inputs.checks import is_file
from foldwise.inputs.imports import resolve


def load_dataset(
    *,
    loader: str | None = None,
    args: Mapping[str, Any] | None = None,
    path: Path | None = None,
    target: str | Sequence[str] | None = None,
    drop: Sequence[str] = (),
    groups: str | None = None,
    fit_params: Mapping[str, str] | None = None,
) -> Dataset:
    """Load a dataset.

    Parameters
    ----------
    loader : str, optional
        ``module:function``, which returns a Bunch, (X, y) or a frame.
    args : mapping, optional
        Arguments of the loader.
    path : Path, optional
        A csv, tsv, parquet or npz file; csv and tsv may be compressed (``.gz``, ``.bz2``, ``.xz``, ``.zip``).
    target : str or list of str, optional
        Column of y (of an npz file: array of y, "y" if left out). A list names several outputs.
    drop : str or sequence of str
        Columns that are left out.
    groups : str, optional
        Column of the groups, which is no feature then.
    fit_params : mapping, optional
        Name of an argument of ``fit`` -> column that holds it, which is no feature then.

    Returns
    -------
    Dataset
        The data.

    Raises
    ------
    DataError
        If the file or a column is missing; ``place`` is the argument.
    """
    if path is not None:
        name, loaded = path.name, _read(path)
    else:
        assert loader is not None
        name, loaded = loader.partition(":")[2], _call(loader, args or {})
    X, y, extra = _unpack(loaded, target, "loader" if path is None else "path")
    by_row = {role: _column(X, extra, column, f"fit_params.{role}") for role, column in (fit_params or {}).items()}
    group_values = None if groups is None else _column(X, extra, groups, "groups")
    roles = [column for column in (groups, *(fit_params or {}).values()) if column is not None and _has_column(X, column)]
    X = _without(X, [*([drop] if isinstance(drop, str) else drop), *roles])
    return Dataset(X, y, group_values, by_row, name)


def _call(loader: str, args: Mapping[str, Any]) -> Any:
    function = resolve(loader, "loader")
    if not callable(function):
        raise DataError("loader", f"expected a function, got {loader!r}, which is {type(function).__name__}")
    try:
        with suppress(ValueError):  # some built-in functions do not tell their arguments
            inspect.signature(function).bind(**args)
    except TypeError as error:
        raise DataError("args", f"expected arguments that {loader} takes, got {dict(args)!r} ({error})") from error
    try:
        return function(**args)
    except (Exception, SystemExit) as error:  # a user's loader may raise anything
        raise DataError("loader", f"expected {loader} to return data, got {type(error).__name__}: {error}") from error


def _unpack(loaded: Any, target: str | Sequence[str] | None, place: str) -> tuple[Any, Any, Mapping[str, Any]]:
    """Split what was loaded into X, y and whatever else may be named."""
    if isinstance(loaded, tuple) and len(loaded) == 2:
        return loaded[0], loaded[1], {}
    if isinstance(loaded, Mapping):  # a Bunch, or the arrays of an npz file
        wanted = target if isinstance(target, str) else "target" if "target" in loaded else "y"
        features = next((key for key in ("data", "X") if key in loaded), None)
        if features is None:
            raise DataError(
                place, f"expected arrays named X (or data) and y (or target), got {', '.join(map(str, loaded)) or 'none'}"
            )
        if wanted in loaded and (target is None or isinstance(target, str)):
            return loaded[features], loaded[wanted], loaded
        if target is None or not hasattr(loaded[features], "columns"):
            raise DataError("target", f"expected an array that is there, got {wanted!r}; {nearest(wanted, loaded)}")
        loaded = loaded[features]
    if hasattr(loaded, "columns"):
        if target is None:
            raise DataError("target", f"expected the column of y, got none; Known: {', '.join(map(str, loaded.columns))}")
        if isinstance(target, str):
            return loaded.drop(columns=[target], errors="ignore"), _column(loaded, {}, target, "target"), {}
        for name in target:
            _column(loaded, {}, name, "target")
        return loaded.drop(columns=list(target)), loaded[list(target)], {}
    raise DataError(place, f"expected a Bunch, (X, y) or a frame, got {type(loaded).__name__}")


def _has_column(X: Any, column: str) -> bool:
    return hasattr(X, "columns") and column in X.columns


def _column(X: Any, extra: Mapping[str, Any], column: str, role: str) -> Any:
    if _has_column(X, column):
        return X[column]
    if column in extra:
        return extra[column]
    known = [str(one) for one in [*getattr(X, "columns", ()), *extra]]
    raise DataError(role, f"expected a column that is there, got {column!r}; {nearest(column, known)}")


def _without(X: Any, names: Sequence[str]) -> Any:
    if not names:
        return X
    if not hasattr(X, "columns"):
        raise DataError("drop", f"expected data with named columns, got {type(X).__name__}; leave drop out")
    for name in names:
        if name not in X.columns:
            raise DataError("drop", f"expected a column that is there, got {name!r}; {nearest(name, X.columns)}")
    return X.drop(columns=list(dict.fromkeys(names)))


def _read(path: Path) -> Any:
    if not is_file(path):
        raise DataError("path", f"expected a file, got {str(path)!r}, {_why_no_file(path)}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = next((s for s in reversed(suffixes) if s not in {".gz", ".bz2", ".xz", ".zip", ".zst"}), "")
    reader = _READERS.get(kind)
    if reader is None:
        raise DataError("path", f"expected a file of type {', '.join(_READERS)}, got {path.name!r}")
    try:
        return reader(path)
    except DataError:
        raise
    except Exception as error:  # parsers raise many types for a broken file
        raise DataError(
            "path", f"expected a readable {kind[1:]} file, got {str(path)!r} ({type(error).__name__}: {error})"
        ) from error


def _why_no_file(path: Path) -> str:
    if re.search(r"\w{2,}:/", str(path)):
        return "an address; download it first, or use a loader"
    with suppress(OSError, ValueError):
        if path.is_dir():
            return "which is a folder; name a file in it"
    return "which is not there; mend the path"


def _read_csv(path: Path, separator: str = ",") -> Any:
    import pandas as pd  # lazily: only jobs that read tables need it

    frame = pd.read_csv(path, sep=separator)
    if frame.empty:
        raise DataError("path", f"expected rows, got none in {str(path)!r}")
    return frame


def _read_parquet(path: Path) -> Any:
    import pandas as pd  # lazily: only jobs that read tables need it

    return pd.read_parquet(path)


def _read_npz(path: Path) -> Mapping[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".csv": _read_csv,
    ".tsv": lambda path: _read_csv(path, "\t"),
    ".parquet": _read_parquet,
    ".npz": _read_npz,
}
