"""Towers: hidden layers that become smaller, with dropout that becomes heavier. Only `stack` needs Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from foldwise.models.params import Role, flag, one_of, real, whole

ACTIVATIONS = ("relu", "silu", "gelu", "tanh", "elu", "selu")
INITIALIZERS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal")


@dataclass(kw_only=True, eq=False, repr=False)
class Sizes:
    """Params of a stack of hidden layers: how many, how wide, and what each drops.

    Parameters
    ----------
    units : int, default=64
        Units of the first hidden layer.
    layers : int, default=2
        Hidden layers.
    shrink : float, default=0.5
        Size of a layer as a share of the one before; 1 makes all alike.
    dropout : float, default=0.0
        Share of the first hidden layer's outputs that are dropped in training.
    last_dropout : float, optional
        Share of the last hidden layer's; those between lie between. None: as the first.
    """

    units: int = whole(64, Role.NETWORK, at_least=1)
    layers: int = whole(2, Role.NETWORK, at_least=1)
    shrink: float = real(0.5, Role.NETWORK, "(0, 1]")
    dropout: float = real(0.0, Role.RATE, "[0, 1)")
    last_dropout: float | None = real(None, Role.RATE, "[0, 1)")

    def _stack(self) -> list[tuple[int, float]]:
        """Return units and dropout of each hidden layer.

        Examples
        --------
        >>> Sizes(units=8, layers=3, dropout=0.0, last_dropout=0.5)._stack()
        [(8, 0.0), (4, 0.25), (2, 0.5)]
        """
        last = self.dropout if self.last_dropout is None else self.last_dropout
        steps = max(1, self.layers - 1)
        return [
            (max(1, round(self.units * self.shrink**number)), self.dropout + (last - self.dropout) * number / steps)
            for number in range(self.layers)
        ]


@dataclass(kw_only=True, eq=False, repr=False)
class Tower(Sizes):
    """Params of a tower of fully connected layers.

    Parameters
    ----------
    activation : str, default="relu"
        ``"relu"``, ``"silu"``, ``"gelu"``, ``"tanh"``, ``"elu"`` or ``"selu"``.
    batch_norm : bool, default=False
        Whether each layer's values are normalised over the batch, before the activation.
    initializer : str, default="glorot_uniform"
        Of kernels: ``"glorot_uniform"``, ``"glorot_normal"``, ``"he_uniform"``, ``"he_normal"`` or ``"lecun_normal"``.
    """

    activation: str = one_of("relu", Role.NETWORK, ACTIVATIONS)
    batch_norm: bool = flag(False, Role.NETWORK)
    initializer: str = one_of("glorot_uniform", Role.NETWORK, INITIALIZERS)

    def _add_tower(self, X: Any) -> Any:
        """Add the tower's layers to a Keras tensor."""
        import keras  # lazily: TensorFlow takes seconds

        for units, dropout in self._stack():
            X = self._activated(keras.layers.Dense(units, **self._kernel())(X))
            X = keras.layers.Dropout(dropout)(X) if dropout else X
        return X

    def _kernel(self) -> dict[str, Any]:
        """Return the options of a layer with a kernel that `_activated` follows."""
        return {"kernel_initializer": self.initializer, "use_bias": not self.batch_norm}

    def _activated(self, X: Any) -> Any:
        """Add what follows a kernel."""
        import keras  # lazily: TensorFlow takes seconds

        X = keras.layers.BatchNormalization()(X) if self.batch_norm else X
        return keras.layers.Activation(self.activation)(X)
