"""Targets: how a network's outputs stand for classes or for values, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import expit, log_softmax, softmax

from foldwise.errors import DataError
from foldwise.models.scales import centre_and_scale


class Target(Protocol):
    """What y is to a network."""

    @property
    def n_outputs(self) -> int:
        """Units of the network's last layer."""

    @property
    def kind(self) -> str:
        """What the outputs are: ``"binary"``, ``"classes"`` or ``"values"``."""

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Turn y into what the loss compares the outputs with."""

    def loss(self, outputs: np.ndarray, encoded: np.ndarray, weight: np.ndarray) -> float:
        """Return the weighted mean loss of outputs (logits, or values)."""


@dataclass(frozen=True)
class Classes:
    """Classes: one logit where there are two of them, else one for each.

    Parameters
    ----------
    labels : array
        The classes, sorted.
    """

    labels: np.ndarray

    @property
    def n_outputs(self) -> int:
        """Units of the network's last layer."""
        return 1 if len(self.labels) == 2 else len(self.labels)

    @property
    def kind(self) -> str:
        """What the outputs are."""
        return "binary" if len(self.labels) == 2 else "classes"

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Give each row its class's number."""
        codes = np.searchsorted(self.labels, y).astype(np.int32)
        codes = np.minimum(codes, len(self.labels) - 1)
        unknown = y[self.labels[codes] != y]
        if len(unknown):
            known = ", ".join(map(str, self.labels[:20]))
            raise DataError("y", f"expected the classes {known}, got {unknown[0]!r}; name all in the first call of partial_fit")
        return codes[:, np.newaxis].astype(np.float32) if self.kind == "binary" else codes

    def loss(self, outputs: np.ndarray, encoded: np.ndarray, weight: np.ndarray) -> float:
        """Return the weighted mean cross-entropy."""
        if self.kind == "binary":
            costs = np.logaddexp(0, np.where(encoded == 1, -outputs, outputs))[:, 0]
        else:
            costs = -log_softmax(outputs, axis=1)[np.arange(len(outputs)), encoded]
        return float(np.average(costs, weights=weight))

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return each class's probability, one row each."""
        if self.kind == "binary":
            second: np.ndarray = expit(outputs)
            return np.hstack([1 - second, second])
        shares: np.ndarray = softmax(outputs, axis=1)
        return shares


@dataclass(frozen=True)
class Values:
    """One or more numbers, standardised by the rows that train: networks begin with outputs of that size.

    Parameters
    ----------
    mean, scale : array of shape (n_outputs,)
        Of the training rows; a constant output has scale 1.
    is_flat : bool
        Whether y has one dimension.
    """

    mean: np.ndarray
    scale: np.ndarray
    is_flat: bool

    kind = "values"

    @classmethod
    def of(cls, y: np.ndarray) -> Values:
        """Learn from the y of the training rows."""
        return cls(*centre_and_scale(_columns(y)), y.ndim == 1)

    @property
    def n_outputs(self) -> int:
        """Units of the network's last layer."""
        return len(self.mean)

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Standardise."""
        scaled: np.ndarray = (_columns(y) - self.mean) / self.scale
        return scaled.astype(np.float32)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs into values, in the shape that y had."""
        values: np.ndarray = outputs * self.scale + self.mean
        return values[:, 0] if self.is_flat else values

    def loss(self, outputs: np.ndarray, encoded: np.ndarray, weight: np.ndarray) -> float:
        """Return the weighted mean squared error, in standard units."""
        return float(np.average(np.square(outputs - encoded).mean(axis=1), weights=weight))


def _columns(y: Any) -> np.ndarray:
    values = np.asarray(y, dtype=np.float64)
    return values.reshape(-1, 1) if values.ndim == 1 else values
