"""What names a fit: how frames, series and labels of pandas' and polars' are fed. Neither library is imported here."""

from __future__ import annotations

from typing import Any

import numpy as np

from foldwise.keys.values import feed_array
from foldwise.keys.walk import Walk


def feed_frame(walk: Walk, value: Any) -> None:
    """Feed a frame of pandas': its columns, their values, its row labels, and what is attached to it."""
    walk.tag(f"frame{value.shape}")
    feed_attached(walk, value)
    walk.feed([value.columns, value.index])
    for position in range(value.shape[1]):
        feed_values(walk, value.iloc[:, position])


def feed_series(walk: Walk, value: Any) -> None:
    """Feed a series of pandas': name, row labels and values."""
    walk.tag("series")
    feed_attached(walk, value)
    walk.feed([value.name, value.index])
    feed_values(walk, value)


def feed_attached(walk: Walk, value: Any) -> None:
    """Feed the class, and what is attached to a frame or a series beside its values."""
    walk.feed(type(value))
    named = {name: getattr(value, name, None) for name in type(value)._metadata}
    walk.feed([value.attrs, value.flags.allows_duplicate_labels, named])


def feed_index(walk: Walk, value: Any) -> None:
    """Feed row or column labels of pandas'."""
    walk.tag("index", f"{type(value).__qualname__} {value.dtype!r}".encode())
    walk.feed(list(value.names))
    if hasattr(value, "levels"):
        walk.feed([list(value.levels), list(value.codes)])
    elif hasattr(value, "step"):
        walk.feed([value.start, value.stop, value.step])
    else:
        feed_values(walk, value)


def feed_values(walk: Walk, value: Any) -> None:
    """Feed the dtype and the values of a series, an index or an extension array of pandas'."""
    dtype = value.dtype
    walk.tag("dtype", f"{dtype!r} {getattr(dtype, 'storage', '')} {getattr(value, 'freq', '')}".encode())
    if hasattr(dtype, "categories"):
        codes = getattr(value, "cat", value).codes
        walk.feed([dtype.categories, dtype.ordered])
        feed_array(walk, np.asarray(codes))
    elif isinstance(dtype, np.dtype):
        feed_array(walk, value.to_numpy())
    else:
        missing = np.asarray(value.isna())
        feed_array(walk, missing)
        for item in value[~missing].tolist():
            walk.feed(item)


def feed_polars(walk: Walk, value: Any) -> None:
    """Feed a frame or series of polars': names, dtypes and values."""
    columns = value.get_columns() if hasattr(value, "get_columns") else [value]
    walk.tag(f"polars{value.shape}")
    walk.feed(type(value))
    for column in columns:
        walk.tag("dtype", repr(column.dtype).encode())
        walk.feed([column.name, column.is_null().to_list()])
        if column.dtype.is_numeric() and not column.null_count():
            walk.feed(column.to_numpy())
        else:
            walk.feed(column.to_list())
