"""Estimators that fail on purpose, or write down what they see."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from foldwise.keys import digest


class FaultyEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that predicts the commonest class, unless it is told to fail.

    Parameters
    ----------
    fault : str or None
        None: no fault. "raise"; "nan" or "inf" (its score); "sleep" (for ``seconds``, then well); "hang" (for ever, in
        Python); "wait" (for ever, in C, where no signal reaches it); "freeze" (likewise, and no thread runs); "exit",
        "segfault" or "kill" (its process); "allocate" (``n_bytes``, held for ``seconds``).
    times : int, optional
        Fail so many fits only, counted in ``counter``; None: all.
    after : int, default=0
        Fits that come first and go well, counted likewise.
    counter : str, optional
        A file that grows by one byte with each fit of any process.
    seconds : float, default=0.1
        How long it sleeps, or holds what it allocated.
    n_bytes : int, default=2**30
        What it allocates.
    bias : float, default=0
        Added to its score; something to search over.
    """

    changes_in_training = frozenset({"bias"})  # population based training must not take well ones to a fault

    def __init__(
        self,
        fault: str | None = None,
        times: int | None = None,
        after: int = 0,
        counter: str | None = None,
        seconds: float = 0.1,
        n_bytes: int = 2**30,
        bias: float = 0.0,
    ) -> None:
        self.fault = fault
        self.times = times
        self.after = after
        self.counter = counter
        self.seconds = seconds
        self.n_bytes = n_bytes
        self.bias = bias

    def fit(self, X: Any, y: Any) -> FaultyEstimator:
        """Count the fit, and fail if it is time to."""
        n_before = self._count()
        last = math.inf if self.times is None else self.after + self.times
        self.is_failing_ = self.fault is not None and self.after <= n_before < last
        if self.is_failing_ and (happen := _IN_FIT.get(str(self.fault))) is not None:
            happen(self, n_before)
        self.classes_, counts = np.unique(y, return_counts=True)
        self.commonest_ = self.classes_[counts.argmax()]
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> FaultyEstimator:
        """Train an epoch, which counts as a fit."""
        return self.fit(X, y)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the commonest class."""
        return np.full(len(X), self.commonest_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return accuracy plus bias, NaN or infinity."""
        if self.is_failing_ and self.fault in {"nan", "inf"}:
            return float(self.fault)
        return float(np.mean(self.predict(X) == np.asarray(y))) + self.bias

    def _count(self) -> int:
        if self.counter is None:
            return 0
        file = os.open(self.counter, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            os.write(file, b".")
            before = os.lseek(file, 0, os.SEEK_CUR) - 1  # where it was appended, whoever else writes
        finally:
            os.close(file)
        return before


def _raise(estimator: FaultyEstimator, number: int) -> None:
    raise ValueError(f"fault asked for, at fit {number}")


def _hang(estimator: FaultyEstimator, number: int) -> None:
    while True:
        time.sleep(0.01)


def _lock_out(library: ctypes.CDLL) -> None:
    mutex = ctypes.create_string_buffer(256)
    for _ in range(2):  # the second time it waits for itself
        library.pthread_mutex_lock(mutex)


def _allocate(estimator: FaultyEstimator, number: int) -> None:
    held = np.ones(estimator.n_bytes, dtype=np.uint8)
    time.sleep(estimator.seconds)
    del held


_IN_FIT: Mapping[str, Callable[[FaultyEstimator, int], object]] = {
    "raise": _raise,
    "sleep": lambda estimator, number: time.sleep(estimator.seconds),
    "hang": _hang,
    "wait": lambda estimator, number: _lock_out(ctypes.CDLL(None)),
    "freeze": lambda estimator, number: _lock_out(ctypes.PyDLL(None)),  # which holds the interpreter meanwhile
    "exit": lambda estimator, number: os._exit(17),
    "segfault": lambda estimator, number: ctypes.string_at(0),
    "kill": lambda estimator, number: os.kill(os.getpid(), signal.SIGKILL),
    "allocate": _allocate,
}


class RecordingEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that writes down which rows it saw; the first column of X must be the row's number.

    Parameters
    ----------
    folder : str
        A file per call is written there: ``<train rows>.fit`` and ``<train rows>-<n>.predict``, as npy.
    shift : int, default=0
        Added to its predictions; something to search over.
    """

    def __init__(self, folder: str = ".", shift: int = 0) -> None:
        self.folder = folder
        self.shift = shift

    def fit(self, X: Any, y: Any) -> RecordingEstimator:
        """Write down the rows to learn from."""
        self.rows_ = np.asarray(X)[:, 0].astype(np.int64)
        self.classes_ = np.unique(y)
        self._write("fit", self.rows_)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Write down the rows to be judged on; predict by their numbers."""
        rows = np.asarray(X)[:, 0].astype(np.int64)
        self._write("predict", rows)
        return self.classes_[(rows + self.shift) % len(self.classes_)]

    def _write(self, what: str, rows: np.ndarray) -> None:
        name = f"{digest(self.rows_)}-{self.shift}-{digest(rows)}.{what}.npy"
        np.save(Path(self.folder) / name, rows)
