"""Recurrent networks: LSTM or GRU layers over the steps of a sequence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from foldwise.errors import DataError
from foldwise.models.arrays import OnArrays
from foldwise.models.params import Role, flag, one_of, whole
from foldwise.models.specs import Meta
from foldwise.models.tasks import KerasClassifierBase
from foldwise.models.tower import INITIALIZERS, Sizes


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentClassifier(Sizes, OnArrays, KerasClassifierBase):
    """A recurrent network that tells classes of sequences: X is (rows, steps, features).

    Its other params are those of `foldwise.models.tower.Sizes` (the layers: dropout is on what goes from one to the
    next), of `foldwise.models.base.KerasEstimator` (the training), ``standardize`` and ``class_weight``.

    Parameters
    ----------
    cell : str, default="lstm"
        ``"lstm"`` or ``"gru"``.
    bidirectional : bool, default=False
        Whether each layer reads the sequence from both ends; its units are doubled then.
    initializer : str, default="glorot_uniform"
        Of the input kernels.
    n_steps : int, optional
        Steps into which flat rows are cut. None: each value of a flat row is a step of its own.

    Examples
    --------
    >>> RecurrentClassifier(cell="gru", n_steps=8)
    RecurrentClassifier(cell='gru', n_steps=8)
    """

    cell: str = one_of("lstm", Role.NETWORK, ("lstm", "gru"))
    bidirectional: bool = flag(False, Role.NETWORK)
    initializer: str = one_of("glorot_uniform", Role.NETWORK, INITIALIZERS)
    n_steps: int | None = whole(None, Role.START, at_least=1)

    _most_dimensions = 3

    def _row_shape(self, given: tuple[int, ...]) -> tuple[int, ...]:
        if len(given) == 2 and self.n_steps in {None, given[0]}:
            return given
        n_values = math.prod(given)
        steps = self.n_steps or n_values
        if len(given) == 2 or n_values % steps:
            raise DataError("n_steps", f"expected steps that X's rows of shape {given} can be cut into, got {steps}")
        return steps, n_values // steps

    def _build(self, meta: Meta) -> Any:
        import keras  # lazily: TensorFlow takes seconds

        make = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[self.cell]
        sequence = X = keras.Input(meta.input_shape)
        for number, (units, dropout) in enumerate(self._stack(), start=1):
            layer = make(units, return_sequences=number < self.layers, kernel_initializer=self.initializer)
            X = (keras.layers.Bidirectional(layer) if self.bidirectional else layer)(X)
            X = keras.layers.Dropout(dropout)(X) if dropout else X
        return keras.Model(sequence, keras.layers.Dense(meta.n_outputs)(X))
