"""Dataset: rows by number."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from foldwise.data.compat import taken
from foldwise.errors import DataError, InputTypeError
from foldwise.keys import digest

Slice: TypeAlias = tuple[Any, Any, dict[str, Any]]
"""X, y and fit params of some rows."""


@dataclass(frozen=True)
class Dataset:
    """Rows by number: features, targets, groups and what is handed to ``fit`` row by row.

    Parameters
    ----------
    X : array, sparse matrix, frame or list of shape (n_rows, ...)
        Features. Kept as they are: a frame stays a frame, text stays text.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs), optional
        Targets.
    groups : array-like of shape (n_rows,), optional
        Rows of one group never stand on both sides of a fold.
    fit_params : mapping, optional
        Handed to ``fit``; what is as long as the data is sliced with the rows (``sample_weight``).
    name : str, default="data"
        How reports call it.

    Raises
    ------
    DataError
        If lengths differ, y has gaps, or there are no rows.
    """

    X: Any
    y: Any = None
    groups: Any = None
    fit_params: Mapping[str, Any] = field(default_factory=dict)
    name: str = "data"

    def __post_init__(self) -> None:
        for field_name in ("X", "y"):
            values = getattr(self, field_name)
            if hasattr(values, "__array__") and not hasattr(values, "shape"):
                object.__setattr__(self, field_name, np.asarray(values))
        n_rows = _length(self.X, "X")
        if hasattr(self.X, "tocsr"):  # as scikit-learn's searches hand sparse rows on
            object.__setattr__(self, "X", self.X.tocsr())
        if n_rows == 0:
            raise DataError("X", "expected at least one row, got Found array with 0 sample(s)")
        if self.shape[1:2] == (0,):
            raise DataError(
                "X",
                f"expected at least one column, got none (0 feature(s) (shape={self.shape}) while a minimum of 1 is required)",
            )
        for place, values in (("y", self.y), ("groups", self.groups)):
            if values is not None and _length(values, place) != n_rows:
                raise DataError(
                    place,
                    f"expected as many rows as X has, {n_rows}, got {_length(values, place)}"
                    " (Found input variables with inconsistent numbers of samples)",
                )
        if self.groups is not None:
            _refuse_missing(self.groups, "groups")
            object.__setattr__(self, "groups", np.asarray(self.groups))
            if self.groups.ndim != 1:
                raise DataError("groups", f"expected one group per row, got an array of shape {self.groups.shape}")
            _refuse_mixed(self.groups, "groups")
        if self.y is not None:
            _check_target(self.y)
        if not isinstance(self.fit_params, Mapping):
            raise InputTypeError("fit_params", f"expected names and values, got {self.fit_params!r}; write a dict")
        object.__setattr__(self, "fit_params", dict(self.fit_params))
        for name, values in self.fit_params.items():
            if name.endswith("sample_weight") and np.ndim(values) and not self._is_by_row(values):
                raise DataError(
                    f"fit_params.{name}", f"expected as many values as X has rows, {n_rows}, got {_length(values, name)}"
                )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return _length(self.X, "X")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of X; of a list only the length is known."""
        return tuple(np.shape(self.X)) if hasattr(self.X, "shape") else (self.n_rows,)

    @cached_property
    def digest(self) -> str:
        """Key of what a fit can learn from: X, y and the fit params; one of its own where their content cannot be read."""
        return self._key_or_problem[0]

    @property
    def unread(self) -> str | None:
        """Why the content cannot be read, so that what is learned from it is never found again; None if it can."""
        return self._key_or_problem[1]

    @cached_property
    def _key_or_problem(self) -> tuple[str, str | None]:
        try:
            return digest(self.X, self.y, dict(self.fit_params)), None
        except InputTypeError as error:
            return uuid.uuid4().hex, error.problem

    @property
    def row_labels(self) -> np.ndarray:
        """Row numbers, for splitters that look at a length only."""
        return np.arange(self.n_rows)

    def take(self, rows: np.ndarray, against: np.ndarray | None = None) -> Slice:
        """Return copies of some rows.

        Parameters
        ----------
        rows : array of int, shape (n,)
            Row numbers, in the order wanted.
        against : array of int, optional
            Columns to keep, for a precomputed kernel: the train rows.

        Returns
        -------
        X, y, fit_params
            y is None where there are no targets.
        """
        if against is not None and (len(self.shape) != 2 or self.shape[0] != self.shape[1]):
            raise DataError("X", f"expected a square kernel matrix, got shape {self.shape}")
        if against is None:
            X = self._rows_of(self.X, rows)
        else:
            X = self.X.iloc[rows, against] if hasattr(self.X, "iloc") else self.X[np.ix_(rows, against)]
        y = None if self.y is None else self._rows_of(self.y, rows)
        return X, y, self.take_of(self.fit_params, rows)

    def take_of(self, params: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
        """Return some params for some rows: what has a value per row is sliced, the rest goes as it is."""
        return {name: self._rows_of(value, rows) if self._is_by_row(value) else value for name, value in params.items()}

    def _rows_of(self, values: Any, rows: np.ndarray) -> Any:
        """Take rows; all of them as they lie in memory, since scikit-learn's searches fit the final model on the data."""
        is_whole = len(rows) == self.n_rows and bool((rows == np.arange(self.n_rows)).all())
        if is_whole and isinstance(values, np.ndarray):
            return values.copy(order="K")
        if (
            is_whole
            and hasattr(values, "shape")
            and callable(copied := getattr(values, "copy", getattr(values, "clone", None)))
        ):
            return copied()
        return take_rows(values, rows)

    def splits(
        self, splitter: Any, rows: np.ndarray | None = None, params: Mapping[str, Any] | None = None
    ) -> Iterable[tuple[np.ndarray, np.ndarray]]:
        """Let a scikit-learn splitter split the data, or some rows of it, into (train, held-out) positions.

        Parameters
        ----------
        splitter : splitter
            With ``split(X, y, groups)``.
        rows : array of int, optional
            Which rows; None: all.
        params : mapping, optional
            What else the splitter requests.
        """
        every = np.arange(self.n_rows) if rows is None else rows
        others = self.take_of(params or {}, every)
        if rows is None:
            return splitter.split(self.X, self.y, self.groups, **others)  # type: ignore[no-any-return]
        X, y, _ = self.take(rows)
        return splitter.split(X, y, None if self.groups is None else self.groups[rows], **others)  # type: ignore[no-any-return]

    def _is_by_row(self, value: Any) -> bool:
        if isinstance(value, str | bytes | Mapping) or not (hasattr(value, "__len__") or hasattr(value, "shape")):
            return False
        return np.shape(value)[:1] == (self.n_rows,) if hasattr(value, "shape") else len(value) == self.n_rows


def take_rows(values: Any, rows: np.ndarray) -> Any:
    """Return a copy of some rows of an array, sparse matrix, frame, series or list (and of a list's rows)."""
    if hasattr(values, "iloc") or hasattr(values, "shape"):
        return taken(values, rows)
    return [copy.copy(values[row]) for row in rows]


def _length(values: Any, place: str) -> int:
    if hasattr(values, "shape"):
        if len(values.shape) == 0:
            raise InputTypeError(place, f"expected one value per row, got the single value {values!r}")
        return int(values.shape[0])
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
        raise InputTypeError(place, f"expected an array, a frame or a list, got {type(values).__name__}")
    return len(values)


def _check_target(y: Any) -> None:
    if hasattr(y, "tocsr"):
        raise InputTypeError("y", "expected a dense array; sparse data was passed, use y.toarray()")
    try:
        values = np.asarray(y)
    except ValueError as error:
        raise DataError("y", f"expected one target per row, or as many in each row, got rows that differ ({error})") from None
    if values.ndim > 2:
        raise DataError("y", f"expected rows of targets, got an array of shape {values.shape}; use y.reshape(len(y), -1)")
    if np.iscomplexobj(values):
        raise DataError("y", "expected real numbers or labels; Complex data not supported")
    _refuse_missing(y, "y")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        at = int(np.argwhere(~np.isfinite(values))[0][0])
        raise DataError("y", f"expected finite numbers, got inf at row {at} (y contains infinity); drop such rows")
    _refuse_mixed(values, "y")


def _refuse_mixed(values: np.ndarray, place: str) -> None:
    """Refuse objects that cannot be put in order, as classes and groups must be."""
    if values.dtype.kind != "O":
        return
    try:
        for column in values.reshape(len(values), -1).T:
            np.unique(column)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in column})
        raise DataError(
            place, f"expected values of one type, got {' and '.join(kinds)}; convert them, for example with astype(str)"
        ) from None


def _missing(values: Any) -> Any:
    if hasattr(values, "isna"):
        return np.asarray(values.isna())
    array = np.asarray(values)
    if array.dtype.kind in "fc":
        return np.isnan(array)
    if array.dtype.kind in "mM":
        return np.isnat(array)
    if array.dtype.kind != "O":
        return np.zeros(array.shape, dtype=bool)
    import pandas as pd  # lazily: only it knows all that stands for a missing value among objects

    return np.asarray(pd.isna(array))


def _refuse_missing(values: Any, place: str) -> None:
    missing = _missing(values)
    missing = missing.reshape(len(missing), -1).any(axis=1)
    if missing.any():
        at = int(np.argwhere(missing)[0][0])
        raise DataError(
            place,
            f"expected a value in every row, got NaN in {int(missing.sum())} of {len(missing)}, first at row {at}"
            f" ({place} contains NaN); drop or fill these rows",
        )
