"""From X to what a network gets, where X is numbers: its shape, and a scale learned from the rows that train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from foldwise.models.scales import centre_and_scale
from foldwise.models.specs import Inputs, Spec


class Encoder(Protocol):
    """Turns X into a network's inputs, by what it learned from the rows that train."""

    @property
    def inputs(self) -> Inputs:
        """The inputs that it makes."""

    def encode(self, X: Any) -> Any:
        """Return the inputs: an array, or arrays by name."""


@dataclass(frozen=True)
class ArrayEncoder:
    """Numbers of one kind, in rows of any shape.

    Parameters
    ----------
    shape : tuple of int
        Shape of a row, as the network gets it.
    mean, scale : array
        Of the last axis, over all others; a constant has scale 1.
    """

    shape: tuple[int, ...]
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, X: np.ndarray, shape: tuple[int, ...], *, standardize: bool) -> ArrayEncoder:
        """Learn from the rows that train."""
        if not standardize:
            return cls(shape, np.zeros(shape[-1]), np.ones(shape[-1]))
        return cls(shape, *centre_and_scale(X.reshape(-1, shape[-1])))

    @property
    def inputs(self) -> Spec:
        """The one input that it makes."""
        return Spec(self.shape)

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Shape and standardise."""
        scaled: np.ndarray = (X.reshape(-1, *self.shape) - self.mean) / self.scale
        return scaled.astype(np.float32)
