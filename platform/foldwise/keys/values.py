"""What names a fit: how numbers, containers, arrays and sparse matrices are fed."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from foldwise.keys.walk import Walk


def feed_int(walk: Walk, value: int) -> None:
    """Feed a whole number."""
    walk.tag("int", str(value).encode())


def feed_float(walk: Walk, value: float) -> None:
    """Feed a number; every NaN is the same."""
    walk.tag("float", struct.pack(">d", value) if value == value else b"nan")


def feed_sequence(walk: Walk, value: Any) -> None:
    """Feed a list or a tuple, in order."""
    if not walk.guard(value):
        return
    items = list(value)
    walk.tag(f"{'tuple' if isinstance(value, tuple) else 'list'}{len(items)}")
    for item in items:
        walk.feed(item)
    walk.leave()


def feed_mapping(walk: Walk, value: Mapping[Any, Any]) -> None:
    """Feed a mapping, in the order of its keys' own keys."""
    if not walk.guard(value):
        return
    walk.tag(f"dict{len(value)}")
    for key, item in sorted(((walk.apart(k), v) for k, v in value.items()), key=lambda pair: pair[0]):
        walk.tag("key", key.encode())
        walk.feed(item)
    walk.leave()


def feed_set(walk: Walk, value: Iterable[Any]) -> None:
    """Feed a set, in the order of its items' keys."""
    walk.tag("set")
    for key in sorted(walk.apart(item) for item in value):
        walk.tag("item", key.encode())


def feed_array(walk: Walk, value: np.ndarray) -> None:
    """Feed an array: class, shape, dtype, layout and content."""
    if type(value) is not np.ndarray:
        walk.feed(type(value))
        walk.feed(
            {name: one for name, one in getattr(value, "__dict__", {}).items() if not name.startswith(("_mask", "_fill"))}
        )
    if isinstance(value, np.ma.MaskedArray):
        walk.tag("masked")
        walk.feed([np.ma.getmaskarray(value), value.fill_value])
        value = np.ma.getdata(value)
    if value.dtype.names:
        walk.tag(f"array-fields{value.shape}")
        walk.feed([(name, value[name]) for name in value.dtype.names])
        return
    if value.ndim > 1:  # which decides the last bits of sums
        walk.tag("layout", _layout(value))
    if value.dtype.hasobject or value.dtype.kind == "T":
        if not walk.guard(value):
            return
        walk.tag(f"array-{value.dtype}{value.shape}")
        for item in value.ravel().tolist():
            walk.feed(item)
        walk.leave()
        return
    walk.tag(f"array-{value.dtype.str}{value.shape}")
    contiguous = np.ascontiguousarray(value)
    walk.sink.update(contiguous.view(np.uint8).reshape(-1).data if contiguous.size else b"")


_OF_MASKED = {"_mask", "_fill_value", "_sharedmask", "_isfield", "_baseclass", "_optinfo", "_basedict", "_hardmask"}
"""What NumPy's masked arrays attach to themselves."""


def _layout(value: np.ndarray) -> bytes:
    """Tell columns first from rows first, which rows that are taken have of what is neither."""
    return b"F" if value.flags.f_contiguous and not value.flags.c_contiguous else b"C"


def feed_scalar(walk: Walk, value: np.generic) -> None:
    """Feed a number of NumPy's with its type: a factor of numpy.float64 makes float64 of float32 rows, Python's does not."""
    walk.tag(f"scalar-{value.dtype.str}", value.tobytes())


def feed_random_state(walk: Walk, value: np.random.RandomState) -> None:
    """Feed a generator's state."""
    from sklearn.utils import check_random_state  # lazily: it takes a second

    if value is check_random_state(None):  # the global one, which scipy's distributions hold, is no content of theirs
        walk.tag("RandomState-global")
        return
    walk.tag("RandomState")
    walk.feed(value.get_state(legacy=False))


def feed_sparse(walk: Walk, value: Any) -> None:
    """Feed a sparse matrix."""
    walk.tag(f"sparse-{type(value).__qualname__}{value.shape}")
    if value.format in {"csr", "csc"}:  # as they are stored: unsorted indices and double entries reach the estimator
        walk.feed([value.data, value.indices, value.indptr])
    else:
        rows = value.tocsr(copy=True)
        rows.sum_duplicates()
        walk.feed([rows.data, rows.indices.astype(np.int64), rows.indptr.astype(np.int64)])
