"""What the estimators share whose X is numbers of one kind: vectors, images, sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from foldwise.errors import DataError
from foldwise.models.base import KerasEstimator
from foldwise.models.encoders import ArrayEncoder
from foldwise.models.params import Role, flag


@dataclass(kw_only=True, eq=False, repr=False)
class OnArrays(KerasEstimator):
    """Base of the estimators on arrays.

    Parameters
    ----------
    standardize : bool, default=True
        Whether X is centred and scaled, by the rows that train: each feature; of images each channel.
    """

    standardize: bool = flag(True, Role.START)

    _most_dimensions = 2
    """Dimensions that X may have, the rows' among them."""

    def _row_shape(self, given: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape in which the network gets rows that are given in another."""
        return given

    def _make_encoder(self, X: np.ndarray) -> ArrayEncoder:
        return ArrayEncoder.of(X, self._row_shape(X.shape[1:]), standardize=self.standardize)

    def _validated(self, X: Any, y: Any = None, *, reset: bool) -> Any:
        has_y = y is not None or reset
        checked = validate_data(
            self, X, *([y] if has_y else []), reset=reset, dtype=[np.float64, np.float32], allow_nd=self._most_dimensions > 2,
            **({"multi_output": True} if has_y else {}),
        )  # fmt: skip
        X, y = checked if has_y else (checked, None)
        if X.ndim > self._most_dimensions:
            raise DataError("X", f"expected at most {self._most_dimensions} dimensions, got an array of shape {X.shape}")
        if reset:
            self._given_shape = X.shape[1:]
        elif X.shape[1:] != self._given_shape:
            raise DataError("X", f"expected rows of shape {self._given_shape}, as in fit, got {X.shape[1:]}")
        return (X, self._check_y(y)) if has_y else X
