"""Convolutional networks: blocks of convolution and pooling on an image, then a tower."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from foldwise.errors import DataError, InputTypeError
from foldwise.inputs.checks import is_integer
from foldwise.models.arrays import OnArrays
from foldwise.models.params import Role, param, whole
from foldwise.models.specs import Meta
from foldwise.models.tasks import KerasClassifierBase
from foldwise.models.tower import Tower


def _check_shape(name: str, value: Any) -> None:
    is_shape = isinstance(value, list | tuple) and len(value) in {2, 3} and all(is_integer(side) and side > 0 for side in value)
    if value is not None and not is_shape:
        raise InputTypeError(name, f"expected None, (height, width) or (height, width, channels), got {value!r}")


@dataclass(kw_only=True, eq=False, repr=False)
class ConvNetClassifier(Tower, OnArrays, KerasClassifierBase):
    """A convolutional network that tells classes of images.

    Its other params are those of `foldwise.models.tower.Tower` (the fully connected layers, and activation, normalisation
    and initialiser of the convolutions too), of `foldwise.models.base.KerasEstimator` (the training), ``standardize`` and
    ``class_weight``.

    Parameters
    ----------
    filters : int, default=32
        Filters of the first block; each block has twice those of the one before.
    blocks : int, default=2
        Blocks of a convolution and a pooling that halves the image, as far as it can be halved.
    kernel_size : int, default=3
        Side of a kernel, in pixels.
    image_shape : tuple of int, optional
        (height, width) or (height, width, channels) of rows that come flat. None: flat rows are square images or, where
        their number of features is no square, one pixel high. Images that come shaped, as (rows, height, width) or
        (rows, height, width, channels), need none.

    Examples
    --------
    >>> ConvNetClassifier(filters=16, image_shape=(8, 8))
    ConvNetClassifier(filters=16, image_shape=(8, 8))
    """

    filters: int = whole(32, Role.NETWORK, at_least=1)
    blocks: int = whole(2, Role.NETWORK, at_least=1)
    kernel_size: int = whole(3, Role.NETWORK, at_least=1)
    image_shape: Any = param(None, Role.START, _check_shape)

    _most_dimensions = 4

    def _row_shape(self, given: tuple[int, ...]) -> tuple[int, ...]:
        shape = tuple(self.image_shape or (given if len(given) > 1 else _square(*given)))
        shape = shape if len(shape) == 3 else (*shape, 1)
        if math.prod(shape) != math.prod(given):
            raise DataError("image_shape", f"expected a shape of {math.prod(given)} values, as X's rows have, got {shape}")
        return shape

    def _build(self, meta: Meta) -> Any:
        import keras  # lazily: TensorFlow takes seconds

        image = X = keras.Input(meta.input_shape)
        for number in range(self.blocks):
            X = keras.layers.Conv2D(self.filters * 2**number, self.kernel_size, padding="same", **self._kernel())(X)
            X = self._activated(X)
            halved = tuple(min(2, side) for side in X.shape[1:3])
            X = keras.layers.MaxPooling2D(halved)(X) if max(halved) > 1 else X
        X = self._add_tower(keras.layers.Flatten()(X))
        return keras.Model(image, keras.layers.Dense(meta.n_outputs)(X))


def _square(n_pixels: int) -> tuple[int, int]:
    side = math.isqrt(n_pixels)
    return (side, side) if side * side == n_pixels else (1, n_pixels)
