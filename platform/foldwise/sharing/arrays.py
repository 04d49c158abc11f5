"""Values that fits share: arrays, sparse matrices and frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldwise.digest import digest
from foldwise.errors import InputTypeError


def untouchable(values: Any) -> Any:
    """Return values that can be used by one without being changed for another: read-only, or a copy that costs little."""
    for array in _arrays(values):
        array.flags.writeable = False
    if hasattr(values, "iloc"):
        return values.copy(deep=False)  # pandas copies what is written
    return list(values) if type(values) is list else values


def is_shareable(values: Any) -> bool:
    """Tell whether `untouchable` keeps its promise for such values."""
    return bool(_arrays(values)) or hasattr(values, "iloc")


def n_bytes(values: Any) -> int:
    """Return the size of an array, sparse matrix or frame, in bytes."""
    if hasattr(values, "memory_usage"):
        usage = values.memory_usage(index=False)
        return int(usage.sum() if hasattr(usage, "sum") else usage)
    return sum(array.nbytes for array in _arrays(values))


def content_name(values: Any) -> str | None:
    """Name values by their content and layout, which decides the last bits of sums; None for what cannot be compared."""
    if not is_shareable(values):
        return None
    layout = [(array.flags.c_contiguous, array.flags.f_contiguous) for array in _arrays(values)]
    try:
        return digest(type(values), layout, values)
    except InputTypeError:
        return None


def _arrays(values: Any) -> list[np.ndarray]:
    if isinstance(values, np.ndarray):
        return [values]
    if hasattr(values, "tocsr"):
        parts = (getattr(values, name, None) for name in ("data", "indices", "indptr", "row", "col"))
        return [part for part in parts if isinstance(part, np.ndarray)]
    return []
