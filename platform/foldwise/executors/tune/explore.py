"""How population based training changes the params that a trial has taken over. Pure.

Each param that may change is drawn anew with a probability of 1/4, as the space has it; otherwise it moves a little: a
number by a factor of 0.8 or 1.2, within its bounds and at least by a step, and a choice to one beside it.

References
----------
Jaderberg et al. (2017), Population Based Training of Neural Networks, https://arxiv.org/abs/1711.09846
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from foldwise.keys import label
from foldwise.space.dimension import Categorical, Dimension, Distribution, Float, Int
from foldwise.space.space import SearchSpace
from foldwise.trial import Params

DRAWN_ANEW = 0.25
FACTORS = (0.8, 1.2)


def explored_params(
    space: SearchSpace, params: Params, may_change: Collection[str], random: np.random.RandomState
) -> dict[str, Any]:
    """Return the params of a trial that goes on from another's state.

    Parameters
    ----------
    space : SearchSpace
        What the params are drawn from.
    params : mapping
        The other's.
    may_change : collection of str
        Params that may change in mid-training.
    random : RandomState
        Generator of what is drawn.

    Returns
    -------
    dict
        Params, of which those that may not change are the other's.
    """
    dimensions = _dimensions_of(space, params)
    changes = {name: _move(dimensions[name], params[name], random) for name in sorted(may_change) if name in dimensions}
    return {**params, **changes}


def _dimensions_of(space: SearchSpace, params: Params) -> dict[str, Dimension]:
    """Return the dimensions that params were drawn from: those of the first subspace that has them all, and their values."""
    for sub in space.subspaces:
        if all(name in sub and _contains(sub[name], value) for name, value in params.items()):
            return {name: sub[name] for name in params}
    return {}


def _move(dimension: Dimension, value: Any, random: np.random.RandomState) -> Any:
    if isinstance(dimension, Categorical):
        return _move_choice(dimension, value, random)
    if isinstance(dimension, Distribution) or random.uniform() < DRAWN_ANEW:
        return dimension.rvs(random)
    moved = value * FACTORS[random.randint(len(FACTORS))]
    least = dimension.step or (1 if isinstance(dimension, Int) else 0.0)
    if abs(moved - value) < least:
        moved = value + (least if random.randint(2) else -least)
    return _within(dimension, moved)


def _move_choice(dimension: Categorical, value: Any, random: np.random.RandomState) -> Any:
    choices = list(dimension.choices)
    if random.uniform() < DRAWN_ANEW:
        return choices[random.randint(len(choices))]
    position = next(number for number, choice in enumerate(choices) if _is_same(choice, value))
    return choices[min(max(position + (1 if random.randint(2) else -1), 0), len(choices) - 1)]


def _within(dimension: Float | Int, value: float) -> Any:
    """Bring a number to the next one that the dimension has."""
    if dimension.step is not None:
        points = dimension.points()
        return points[int(np.abs(np.asarray(points, dtype=np.float64) - value).argmin())]
    bounded = min(max(value, dimension.low), dimension.high)
    return round(bounded) if isinstance(dimension, Int) else float(bounded)


def _contains(dimension: Dimension, value: Any) -> bool:
    if isinstance(dimension, Categorical):
        return any(_is_same(choice, value) for choice in dimension.choices)
    if isinstance(dimension, Distribution):
        return True
    return isinstance(value, int | float | np.number) and bool(dimension.low <= value <= dimension.high)


def _is_same(one: Any, other: Any) -> bool:
    return one is other or label(one) == label(other)
