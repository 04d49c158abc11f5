"""What a network gets and gives: the shapes that it is built for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Spec:
    """One input of a network, a row of it.

    Parameters
    ----------
    shape : tuple of int
        Shape without the rows.
    dtype : str
        ``"float32"``, or ``"int32"`` for codes.
    sizes : tuple of int
        How many codes each column has, where it holds codes.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    sizes: tuple[int, ...] = ()


Inputs: TypeAlias = Spec | Mapping[str, Spec]
"""The input of a network, or its inputs by name."""


@dataclass(frozen=True)
class Meta:
    """What the data asks of a network; the first argument of a ``build`` function.

    Parameters
    ----------
    inputs : Spec or mapping of str to Spec
        The input, or the inputs by name.
    n_outputs : int
        Units of the last layer: 1 for two classes (a logit or, with a sigmoid, a probability), else one for each class, or
        one for each value of a regression.
    n_classes : int, optional
        Number of classes; None for a regression.
    """

    inputs: Inputs
    n_outputs: int
    n_classes: int | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a row, where there is one input."""
        assert isinstance(self.inputs, Spec)
        return self.inputs.shape
