"""Estimators that cost what a case wants them to."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Sleeping(ClassifierMixin, BaseEstimator):
    """Predicts one class; its fit sleeps for some seconds and uses no CPU.

    Parameters
    ----------
    seconds : float
        How long.
    a, b : float
        Something to search over.
    """

    def __init__(self, seconds: float = 0.0, a: float = 0.0, b: float = 0.0) -> None:
        self.seconds, self.a, self.b = seconds, a, b

    def fit(self, X: Any, y: Any) -> Sleeping:
        """Sleep."""
        if self.seconds:
            time.sleep(self.seconds)
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict class 0."""
        return np.zeros(len(X), dtype=int)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return something that depends on the params."""
        return self.a * 1e-6 + self.b * 1e-9


class Spinning(Sleeping):
    """Likewise, but its fit keeps a core busy."""

    def fit(self, X: Any, y: Any) -> Spinning:
        """Compute nothing of use, until it has used its seconds of CPU time."""
        end = time.process_time() + self.seconds
        while time.process_time() < end:
            pass
        self.classes_ = np.array([0, 1])
        return self


def rows(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return a few rows of two classes."""
    return np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2
