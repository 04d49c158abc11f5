"""Step 4, plan: a splitter for each loop, of what a user gives: a number, a splitter, or rows. It splits alike each time."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold, PredefinedSplit, StratifiedGroupKFold, check_cv

from foldwise.data import Dataset
from foldwise.errors import FoldsError
from foldwise.inputs.checks import is_integer
from foldwise.keys import derive_seed

_MOST_REPEATS = 1000


def outer_splitter(dataset: Dataset, cv: Any, stratify: bool, seed: int, repeats: int) -> Any:
    """Make the outer loop's splitter of what was given as ``outer_cv``; an int may be repeated."""
    if repeats != 1:
        if not is_integer(cv):
            raise FoldsError("repeats", f"expected a number of folds beside repeats, got {cv!r}; use a Repeated* splitter")
        return _repeated(dataset, int(cv), stratify, derive_seed(seed, "outer_cv"), repeats)
    return _splitter(dataset, cv, stratify, derive_seed(seed, "outer_cv"), "outer_cv")


def inner_splitter(dataset: Dataset, cv: Any, stratify: bool, seed: int, rows: np.ndarray) -> Any:
    """Make the inner loop's splitter of some rows, of what was given as ``inner_cv``."""
    if isinstance(cv, PredefinedSplit):
        test_fold = cv.test_fold
        if len(test_fold) != dataset.n_rows:
            raise FoldsError(
                "inner_cv", f"expected a PredefinedSplit as long as the data, {dataset.n_rows} rows, got {len(test_fold)}"
            )
        return PredefinedSplit(np.asarray(test_fold)[rows])
    if not is_integer(cv) and not _is_splitter(cv):
        fix = "; row numbers of the whole data cannot split the rows of each study, use a splitter such as PredefinedSplit"
        raise FoldsError(
            "inner_cv",
            f"expected 'shared', a number of folds or a splitter, got {cv!r}{fix if _is_iterable(cv) else ''}",
        )
    return _splitter(dataset, cv, stratify, derive_seed(seed, "inner_cv"), "inner_cv")


def _splitter(dataset: Dataset, cv: Any, stratify: bool, seed: int, place: str) -> Any:
    """Make a splitter that splits alike each time it is asked, on a copy of the user's."""
    if isinstance(cv, type):
        raise FoldsError(place, f"expected an instance, got the class {cv.__name__}; write {cv.__name__}()")
    if not (is_integer(cv) or _is_splitter(cv) or _is_iterable(cv)):
        raise FoldsError(place, f"expected a number of folds, a splitter or a list of (train, held-out) rows, got {cv!r}")
    if is_integer(cv):
        if not 2 <= cv <= dataset.n_rows:
            raise FoldsError(place, f"expected 2 to {dataset.n_rows} folds (n_samples={dataset.n_rows}), got {cv}")
        if dataset.groups is not None:
            return (StratifiedGroupKFold if stratify else GroupKFold)(int(cv))
        return check_cv(int(cv), dataset.y, classifier=stratify)
    if not _is_splitter(cv):
        cv = [_as_rows(pair, place) for pair in cv]
        if not cv:
            raise FoldsError(place, "expected at least one (train, held-out) pair, got an empty list")
        return check_cv(cv)
    splitter = copy.deepcopy(cv)
    if getattr(splitter, "random_state", 0) is None and getattr(splitter, "shuffle", True):
        splitter.random_state = seed
    return splitter


def _repeated(dataset: Dataset, n_folds: int, stratify: bool, seed: int, repeats: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Repeat an int's splitter, shuffled with a seed of its own each time."""
    if not is_integer(repeats) or not 1 <= repeats <= _MOST_REPEATS:
        raise FoldsError("repeats", f"expected an integer from 1 to {_MOST_REPEATS}, got {repeats!r}")
    plain = _splitter(dataset, n_folds, stratify, seed, "outer_cv")
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    for repeat in range(repeats):
        shuffled = type(plain)(n_folds, shuffle=True, random_state=derive_seed(seed, repeat))
        pairs += list(dataset.splits(shuffled))
    return check_cv(pairs)  # type: ignore[no-any-return]


def _is_splitter(cv: Any) -> bool:
    return hasattr(cv, "split") and not isinstance(cv, str | bytes)


def _is_iterable(cv: Any) -> bool:
    return hasattr(cv, "__iter__") and not isinstance(cv, str | bytes | dict)


def _as_rows(pair: Any, place: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        train, held_out = (np.asarray(rows) for rows in pair)
    except (TypeError, ValueError):
        raise FoldsError(place, f"expected (train, held-out) pairs of row numbers, got {pair!r}") from None
    return train, held_out
