"""From a table to what a wide and deep network gets: scaled numbers, and codes of categories and of their crosses.

All of it is learned from the rows that train. A category that they lack has code 0, a missing one code 1; what training
never met keeps the embedding and the weight 0, and so leaves a prediction as it is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldwise.errors import DataError, InputError, nearest
from foldwise.models.scales import centre_and_scale
from foldwise.models.specs import Spec

UNSEEN, MISSING, FIRST = 0, 1, 2
"""Codes of what the training rows lack, of what is missing, and of the first category."""


@dataclass(frozen=True)
class Numbers:
    """A numeric column; what is missing counts as the mean and, where training rows lack some too, is told by a flag.

    Parameters
    ----------
    name : object
        The column.
    mean, scale : float
        Of the values that are there.
    has_flag : bool
        Whether a second value tells that the first is missing.
    """

    name: Any
    mean: float
    scale: float
    has_flag: bool

    @classmethod
    def of(cls, frame: Any, name: Any) -> Numbers:
        """Learn from the rows that train."""
        values = _floats(frame, name)
        there = values[~np.isnan(values)]
        mean, scale = (float(one[0]) for one in centre_and_scale(there[:, np.newaxis])) if len(there) else (0.0, 1.0)
        return cls(name, mean, scale, len(there) < len(values))

    def encode(self, frame: Any) -> list[np.ndarray]:
        """Return one or two columns of numbers."""
        values = _floats(frame, self.name)
        missing = np.isnan(values)
        scaled = np.where(missing, 0.0, (values - self.mean) / self.scale)
        return [scaled, missing.astype(np.float64)] if self.has_flag else [scaled]


@dataclass(frozen=True)
class Vocabulary:
    """A categorical column.

    Parameters
    ----------
    name : object
        The column.
    known : tuple
        Its categories; the code of the first is 2.
    """

    name: Any
    known: tuple[Any, ...]

    @classmethod
    def of(cls, frame: Any, name: Any, min_count: int) -> Vocabulary:
        """Learn from the rows that train; what stands in fewer of them than ``min_count`` stays unseen."""
        counts = frame[name].value_counts(dropna=True)
        known = (value for value, count in counts.items() if count >= max(1, min_count))
        return cls(name, tuple(sorted(known, key=lambda value: (type(value).__name__, str(value)))))

    @property
    def size(self) -> int:
        """Number of codes."""
        return FIRST + len(self.known)

    def encode(self, frame: Any) -> np.ndarray:
        """Return each row's code."""
        import pandas as pd  # lazily: only tables need it

        column = frame[self.name]
        places = pd.Index(self.known, dtype=object).get_indexer(column.to_numpy(dtype=object))
        codes = np.where(places < 0, UNSEEN, places + FIRST)
        return np.where(column.isna().to_numpy(), MISSING, codes).astype(np.int64)


@dataclass(frozen=True)
class Cross:
    """Several categorical columns taken together, one-hot among what training rows hold or hashed.

    Parameters
    ----------
    columns : tuple of int
        Places of the columns among the vocabularies.
    sizes : tuple of int
        Their numbers of codes.
    buckets : int, optional
        Number of hashed buckets; None: one code for each combination known.
    known : array of int64
        The combinations known, sorted; empty where they are hashed.
    """

    columns: tuple[int, ...]
    sizes: tuple[int, ...]
    buckets: int | None
    known: np.ndarray

    @classmethod
    def of(cls, codes: np.ndarray, columns: Sequence[int], sizes: Sequence[int], buckets: int | None, min_count: int) -> Cross:
        """Learn from the codes of the rows that train."""
        if np.prod([float(size) for size in sizes]) >= 2**62:
            raise InputError("crosses", f"expected fewer than 2**62 combinations, got columns of {tuple(sizes)} categories")
        cross = cls(tuple(columns), tuple(sizes), buckets, np.array([], dtype=np.int64))
        if buckets is not None:
            return cross
        combined, are_known = cross._combined(codes)
        values, counts = np.unique(combined[are_known], return_counts=True)
        return cls(cross.columns, cross.sizes, None, values[counts >= min_count])

    @property
    def size(self) -> int:
        """Number of codes; 0 is that of combinations with an unseen part or, where they are not hashed, unseen ones."""
        return 1 + (len(self.known) if self.buckets is None else self.buckets)

    def encode(self, codes: np.ndarray) -> np.ndarray:
        """Return each row's code."""
        combined, are_known = self._combined(codes)
        if self.buckets is not None:
            return np.where(are_known, 1 + _mixed(combined) % np.uint64(self.buckets), 0).astype(np.int64)
        if not len(self.known):
            return np.zeros(len(codes), dtype=np.int64)
        places = np.minimum(np.searchsorted(self.known, combined), len(self.known) - 1)
        return np.where(are_known & (self.known[places] == combined), 1 + places, 0)

    def _combined(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's combination as one number, and whether all of its parts were seen."""
        parts = [codes[:, place] for place in self.columns]
        combined = np.zeros(len(codes), dtype=np.int64)
        for part, size in zip(parts, self.sizes, strict=True):
            combined = combined * size + part
        return combined, np.all([part != UNSEEN for part in parts], axis=0)


@dataclass(frozen=True)
class TableEncoder:
    """A table, encoded.

    Parameters
    ----------
    numbers, vocabularies, crosses : tuple
        Of the columns.
    has_deep, has_wide : bool
        Which side of the network there is: codes serve the deep one as they are, and the wide one in one numbering of all
        columns and crosses.
    """

    numbers: tuple[Numbers, ...]
    vocabularies: tuple[Vocabulary, ...]
    crosses: tuple[Cross, ...]
    has_deep: bool
    has_wide: bool

    @classmethod
    def of(
        cls, frame: Any, numeric: Any, categorical: Any, crosses: Any, part: str, buckets: int | None, min_count: int
    ) -> TableEncoder:
        """Learn from the rows that train; the arguments are the params of `foldwise.models.WideDeepClassifier`."""
        numeric, categorical = columns_of(frame, numeric, categorical)
        vocabularies = tuple(Vocabulary.of(frame, name, min_count) for name in categorical)
        has_wide = part != "deep"
        crossed = _places(crosses, categorical) if has_wide else []
        codes = _stacked([vocabulary.encode(frame) for vocabulary in vocabularies], len(frame), np.int64)
        made = [
            Cross.of(codes, places, [vocabularies[place].size for place in places], buckets, min_count) for places in crossed
        ]
        return cls(tuple(Numbers.of(frame, name) for name in numeric), vocabularies, tuple(made), part != "wide", has_wide)

    @property
    def inputs(self) -> Mapping[str, Spec]:
        """The inputs that it makes: those that are there of numbers, codes and wide."""
        n_numbers = sum(1 + column.has_flag for column in self.numbers)
        deep = tuple(vocabulary.size for vocabulary in self.vocabularies) if self.has_deep else ()
        wide = (*(one.size for one in self.vocabularies), *(one.size for one in self.crosses)) if self.has_wide else ()
        specs = {
            "numbers": Spec((n_numbers,)),
            "codes": Spec((len(deep),), "int32", deep),
            "wide": Spec((len(wide),), "int32", wide),
        }
        return {name: spec for name, spec in specs.items() if spec.shape != (0,)}

    def encode(self, X: Any) -> dict[str, np.ndarray]:
        """Return numbers and codes."""
        codes = [vocabulary.encode(X) for vocabulary in self.vocabularies]
        stacked = _stacked(codes, len(X), np.int64)
        wide = [*codes, *(cross.encode(stacked) for cross in self.crosses)]
        sizes = [*(one.size for one in self.vocabularies), *(one.size for one in self.crosses)]
        starts = itertools.accumulate(sizes, initial=0)
        made = {
            "numbers": _stacked([values for column in self.numbers for values in column.encode(X)], len(X), np.float32),
            "codes": stacked.astype(np.int32),
            "wide": _stacked([part + start for part, start in zip(wide, starts, strict=False)], len(X), np.int32),
        }
        return {name: made[name] for name in self.inputs}


def columns_of(frame: Any, numeric: Any, categorical: Any) -> tuple[list[Any], list[Any]]:
    """Return the numeric and the categorical columns; ``"auto"`` takes those of the type that the other does not name.

    Raises
    ------
    InputError
        If a column is named that is not there, or in both; ``place`` is the param.
    DataError
        If there is none, or one is of a type that is neither.
    """
    found = {}
    for place, given, other in (("numeric", numeric, categorical), ("categorical", categorical, numeric)):
        taken = [] if isinstance(other, str) else list(other)
        if isinstance(given, str):
            found[place] = [name for name, dtype in frame.dtypes.items() if name not in taken and _kind(name, dtype) == place]
        else:
            found[place] = _named(place, given, frame, taken)
    if not any(found.values()):
        raise DataError("X", "expected at least one column of numbers or categories, got none")
    return found["numeric"], found["categorical"]


def _named(place: str, given: Iterable[Any], frame: Any, taken: Sequence[Any]) -> list[Any]:
    names = list(dict.fromkeys(given))
    for name in names:
        if name not in frame.columns:
            raise InputError(place, f"expected columns of X, got {name!r}; {nearest(str(name), frame.columns)}")
        if name in taken:
            raise InputError(place, f"expected columns that are either numeric or categorical, got {name!r} as both")
    return names


def _kind(name: Any, dtype: Any) -> str:
    from pandas.api import types  # lazily: only tables need it

    is_text = types.is_object_dtype(dtype) or types.is_string_dtype(dtype) or dtype == "category"
    if types.is_bool_dtype(dtype) or is_text:
        return "categorical"
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        return "numeric"
    raise DataError("X", f"expected columns of numbers, texts or categories, got {name!r} of type {dtype}; convert or drop it")


def _places(crosses: Iterable[Sequence[Any]], categorical: Sequence[Any]) -> list[list[int]]:
    """Return each cross's places among the categorical columns."""
    for name in itertools.chain.from_iterable(crosses):
        if name not in categorical:
            raise InputError(
                "crosses", f"expected categorical columns of X, got {name!r}; {nearest(str(name), map(str, categorical))}"
            )
    return [[categorical.index(name) for name in cross] for cross in crosses]


def _floats(frame: Any, name: Any) -> np.ndarray:
    try:
        values = np.asarray(frame[name].to_numpy(dtype=np.float64, na_value=np.nan))
    except (TypeError, ValueError) as error:
        raise DataError("X", f"expected numbers in the column {name!r} ({error}); name it in categorical") from error
    if np.isinf(values).any():
        raise DataError("X", f"expected finite numbers, got infinity in the column {name!r}")
    return values


def _stacked(columns: Sequence[np.ndarray], n_rows: int, dtype: Any) -> np.ndarray:
    return np.column_stack(columns).astype(dtype) if columns else np.empty((n_rows, 0), dtype)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Mix numbers so that near ones lie far apart, the same on every machine.

    References
    ----------
    G. L. Steele, D. Lea and C. H. Flood. Fast splittable pseudorandom number generators. OOPSLA 2014. (splitmix64)
    """
    mixed = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
