"""Values that fits share: arrays, sparse matrices, frames, and lists of plain values.

Only what is known to the last detail is shared: exact types whose content can be made read-only, or whose copies cost little.
Whatever else an estimator is given, subclasses included, each fit gets a copy of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from foldwise.errors import InputTypeError
from foldwise.keys import Digester

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_SPARSE_FORMATS = {"csr", "csc", "coo", "bsr"}  # whose content is arrays alone, and all of them known
_SPARSE_PARTS = ("data", "indices", "indptr", "row", "col")


def untouchable(values: Any) -> Any:
    """Return values that can be used by one without being changed for another: an object of its own, read-only or copied.

    Raises
    ------
    TypeError
        If they are not shareable.
    """
    maker = _maker_for(values)
    if maker is None:
        raise TypeError(f"expected values that can be shared, got {type(values).__name__}")
    return maker(values)


def own_copy(values: Any) -> Any:
    """Return a copy of shareable values that may be written into, laid out in memory as they are."""
    if isinstance(values, np.ndarray):
        return values.copy(order="K")
    if hasattr(values, "iloc"):
        return values.copy(deep=True)
    return values.clone() if hasattr(values, "clone") else values.copy()


def is_unchanged(used: Any, values: Any) -> bool:
    """Tell whether a copy that someone has used is still equal to the shareable values that it was made of, to the last bit."""
    if isinstance(values, np.ndarray):
        return used.shape == values.shape and used.dtype == values.dtype and _bytes_of(used) == _bytes_of(values)
    if hasattr(values, "tocsr"):
        pairs = zip(_arrays(used), _arrays(values), strict=False)
        return used.shape == values.shape and all(is_unchanged(one, other) for one, other in pairs)
    if isinstance(values, list):
        return bool(used == values)
    same = used.equals(values)
    return bool(same) and getattr(used, "name", None) == getattr(values, "name", None)


def is_shareable(values: Any) -> bool:
    """Tell whether `untouchable` takes such values."""
    return _maker_for(values) is not None


def n_bytes(values: Any) -> int:
    """Return the size of an array, sparse matrix or frame, in bytes; 0 of what has none that is known."""
    if hasattr(values, "iloc"):
        usage = values.memory_usage(index=False)
        return int(usage.sum() if hasattr(usage, "sum") else usage)
    if hasattr(values, "estimated_size"):
        return int(values.estimated_size())
    return sum(array.nbytes for array in _arrays(values)) or int(getattr(values, "nbytes", 0))


def content_name(values: Any, digester: Digester) -> str | None:
    """Name values by their content; None for what cannot be shared or read."""
    if not is_shareable(values):
        return None
    try:
        return digester.digest(values)
    except InputTypeError:
        return None


def _maker_for(values: Any) -> Callable[[Any], Any] | None:
    kind = type(values)
    if kind is np.ndarray:
        return _array
    module = kind.__module__.partition(".")[0]
    if module == "scipy" and getattr(values, "format", None) in _SPARSE_FORMATS:
        return _sparse
    if module == "pandas" and kind.__name__ in {"DataFrame", "Series"}:
        return _frame
    if module == "polars" and kind.__name__ in {"DataFrame", "Series"}:
        return _polars
    if kind is list and all(type(item) in _PLAIN for item in values):
        return list
    return None


def _bytes_of(values: np.ndarray) -> bytes:
    return values.tobytes(order="K")


def _array(values: np.ndarray) -> np.ndarray:
    _protect(values)
    return values.view()  # whose shape may be set without setting that of others


def _sparse(values: Any) -> Any:
    for array in _arrays(values):
        array.flags.writeable = False
    return copy.copy(values)  # whose parts may be replaced; the parts themselves are read-only


def _frame(values: Any) -> Any:
    # pandas copies what is written into a frame, and scikit-learn writes into the arrays behind it all the same.
    columns = [values] if values.ndim == 1 else (values.iloc[:, place] for place in range(values.shape[1]))
    for column in columns:
        if isinstance(column.dtype, np.dtype):
            _protect(column.to_numpy())
    return values.copy(deep=False)


def _protect(array: Any) -> None:
    while isinstance(array, np.ndarray):
        array.flags.writeable = False
        array = array.base


def _polars(values: Any) -> Any:
    return values.clone()


def _arrays(values: Any) -> list[np.ndarray]:
    if isinstance(values, np.ndarray):
        return [values]
    if hasattr(values, "tocsr"):
        parts = (getattr(values, name, None) for name in _SPARSE_PARTS)
        return [part for part in parts if isinstance(part, np.ndarray)]
    return []
