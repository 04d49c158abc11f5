"""Multilayer perceptrons: a tower on a row of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foldwise.models.arrays import OnArrays
from foldwise.models.specs import Meta
from foldwise.models.tasks import KerasClassifierBase, KerasRegressorBase
from foldwise.models.tower import Tower


@dataclass(kw_only=True, eq=False, repr=False)
class _MLPNet(Tower, OnArrays):
    """What both multilayer perceptrons are."""

    def _build(self, meta: Meta) -> Any:
        import keras  # lazily: TensorFlow takes seconds

        X = keras.Input(meta.input_shape)
        return keras.Model(X, keras.layers.Dense(meta.n_outputs)(self._add_tower(X)))


@dataclass(kw_only=True, eq=False, repr=False)
class MLPNetClassifier(_MLPNet, KerasClassifierBase):
    """A multilayer perceptron that tells classes.

    Its params are those of `foldwise.models.tower.Tower` (the layers), of `foldwise.models.base.KerasEstimator` (the
    training), ``standardize`` and ``class_weight``.

    Examples
    --------
    >>> MLPNetClassifier(units=32, activation="silu")
    MLPNetClassifier(activation='silu', units=32)
    """


@dataclass(kw_only=True, eq=False, repr=False)
class MLPNetRegressor(_MLPNet, KerasRegressorBase):
    """A multilayer perceptron that tells one or more values.

    Its params are those of `foldwise.models.tower.Tower` (the layers), of `foldwise.models.base.KerasEstimator` (the
    training) and ``standardize``.
    """
