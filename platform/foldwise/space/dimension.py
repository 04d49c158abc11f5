"""Step 1, describe: the dimensions of a search space, and what people already have that converts to one.

Lists, scipy distributions and the objects of Optuna and Ray Tune are converted where they have an exact counterpart, and
refused by name where they have none. None of those libraries is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np

from foldwise.errors import Setting, SpaceError
from foldwise.inputs.checks import is_finite, is_integer, is_real

When: TypeAlias = Mapping[str, Any]

MOST_POINTS = 100_000
"""Points of one param in a grid: nobody lists more, and their number alone would fill the memory."""
_MOST_STEPS = 2**53
_WIDEST_INT = 2**63 - 1


@dataclass(frozen=True)
class Float:
    """A real number between two bounds, both included.

    Parameters
    ----------
    low, high : float
        Bounds, ``low < high``; ``low > 0`` with ``log``.
    log : bool, default=False
        Draw uniformly in the logarithm.
    step : float, optional
        Only low, low + step, low + 2 step, ... up to high; not together with ``log``.
    when : mapping, optional
        The param exists only when each named param has the given value (or one of a list of values).

    Examples
    --------
    >>> Float(0, 1, step=0.25).points()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When | None = None

    def __post_init__(self) -> None:
        _check_bounds(self, is_real, "a number")

    def points(self) -> list[float]:
        """List the points of a grid over this dimension."""
        if self.step is None:
            maker = "geomspace" if self.log else "linspace"
            raise SpaceError(
                "",
                f"expected points for a grid, got {self!r}, which has infinitely many; give a list, for example "
                f"np.{maker}({self.low:g}, {self.high:g}, 5){'' if self.log else ', or step='}",
            )
        _check_listable(self, self._n_points())
        return [self._point(number) for number in range(self._n_points())]

    def example(self) -> float:
        """Return a value."""
        return float(self.low)

    @property
    def highest(self) -> float:
        """The highest value there is; below ``high`` where no step ends on it."""
        return self.high if self.step is None else self._point(self._n_points() - 1)

    def rvs(self, random_state: np.random.RandomState) -> float:
        """Draw a value, as scipy's distributions do."""
        if self.step is not None:
            return self._point(int(random_state.randint(self._n_points())))
        if self.log:
            drawn = math.exp(random_state.uniform(math.log(self.low), math.log(self.high)))
            return float(min(max(drawn, self.low), self.high))
        return float(random_state.uniform(self.low, self.high))

    def _n_points(self) -> int:
        return int((_decimal(self.high) - _decimal(self.low)) // _decimal(self.step)) + 1

    def _point(self, number: int) -> float:
        """Compute a point as it would be written: 0.3, not 0.1 + 2 * 0.1."""
        return float(_decimal(self.low) + number * _decimal(self.step))


@dataclass(frozen=True)
class Int:
    """A whole number between two bounds, both included.

    Parameters
    ----------
    low, high : int
        Bounds, ``low < high``; ``low > 0`` with ``log``.
    log : bool, default=False
        Draw uniformly in the logarithm.
    step : int, optional
        Only low, low + step, low + 2 step, ... up to high; not together with ``log``.
    when : mapping, optional
        The param exists only when each named param has the given value (or one of a list of values).

    Examples
    --------
    >>> Int(5, 20, step=5).points()
    [5, 10, 15, 20]
    """

    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When | None = None

    def __post_init__(self) -> None:
        _check_bounds(self, is_integer, "an integer")

    def points(self) -> list[int]:
        """List the points of a grid over this dimension."""
        if self.log:
            raise SpaceError(
                "",
                f"expected points for a grid, got {self!r}; give a list, for example "
                f"[{self.low}, {round(math.sqrt(self.low * self.high))}, {self.high}]",
            )
        points = range(self.low, self.high + 1, self.step or 1)
        _check_listable(self, len(points))
        return list(points)

    def example(self) -> int:
        """Return a value."""
        return int(self.low)

    def rvs(self, random_state: np.random.RandomState) -> int:
        """Draw a value, as scipy's distributions do."""
        if self.log:  # each whole number owns the stretch of half a unit around it
            drawn = math.exp(random_state.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
            return int(min(max(round(drawn), self.low), self.high))
        step = self.step or 1
        return int(self.low + int(random_state.randint((self.high - self.low) // step + 1)) * step)


@dataclass(frozen=True)
class Categorical:
    """One of some values: text, numbers, None, estimators, anything ``set_params`` takes.

    Parameters
    ----------
    choices : sequence
        The values; at least one.
    when : mapping, optional
        The param exists only when each named param has the given value (or one of a list of values).
    """

    choices: Sequence[Any]
    when: When | None = None

    def __post_init__(self) -> None:
        if isinstance(self.choices, str | bytes) or not isinstance(self.choices, Sequence | np.ndarray):
            raise SpaceError("", f"expected a list of values, got {self.choices!r}; write [{self.choices!r}] for a single one")
        if isinstance(self.choices, np.ndarray) and self.choices.ndim != 1:
            raise SpaceError("", f"expected a list of values, got an array of shape {self.choices.shape}")
        if len(self.choices) == 0:
            raise SpaceError("", "expected at least one value, got an empty list")
        object.__setattr__(self, "choices", tuple(self.choices))

    def points(self) -> list[Any]:
        """List the points of a grid over this dimension."""
        return list(self.choices)

    def example(self) -> Any:
        """Return a value."""
        return self.choices[0]


@dataclass(frozen=True)
class Distribution:
    """A scipy frozen distribution, or anything else with ``rvs(random_state=...)``.

    Parameters
    ----------
    frozen : object
        The distribution, drawn from exactly as scikit-learn's ``ParameterSampler`` does.
    when : mapping, optional
        The param exists only when each named param has the given value (or one of a list of values).
    """

    frozen: Any
    when: When | None = None

    def points(self) -> list[Any]:
        """Refuse: a distribution has no points."""
        raise SpaceError("", f"expected points for a grid, got the distribution {_name_of(self.frozen)}; give a list of values")

    def rvs(self, random_state: np.random.RandomState) -> Any:
        """Draw a value."""
        return self.frozen.rvs(random_state=random_state)

    def example(self) -> Any:
        """Return a value."""
        return self.rvs(np.random.RandomState(0))

    def bounded(self) -> Float | Int:
        """Return the dimension with the same distribution, which a model-based search needs.

        Raises
        ------
        SpaceError
            If there is no exact counterpart: only uniform, loguniform (reciprocal) and randint have one.
        """
        family = getattr(getattr(self.frozen, "dist", None), "name", None)
        if family in {"uniform", "loguniform", "reciprocal", "randint"}:
            low, high = self.frozen.support()
            if family == "randint":
                return Int(int(low), int(high), when=self.when)
            shifted = family != "uniform" and not (low > 0 and math.isclose(self.frozen.median(), math.sqrt(low * high)))
            if not shifted:  # a shifted loguniform is not uniform in the logarithm
                return Float(float(low), float(high), log=family != "uniform", when=self.when)
        raise SpaceError(
            "",
            f"expected a distribution with bounds, got {_name_of(self.frozen)}",
            fix=("use Float(low, high) or Int(low, high), or ", Setting("search", "'random'")),
        )


Dimension: TypeAlias = Float | Int | Categorical | Distribution


def to_dimension(value: Any) -> Dimension:
    """Convert what people have to a dimension: a list, a scipy, Optuna or Ray Tune object."""
    if isinstance(value, Float | Int | Categorical | Distribution):
        return value
    if isinstance(value, list | tuple | range | np.ndarray) or hasattr(value, "iloc"):
        return Categorical(value.to_numpy() if hasattr(value, "iloc") else value)
    if isinstance(value, Mapping) and set(value) == {"grid_search"}:
        return Categorical(value["grid_search"])
    library = type(value).__module__.partition(".")[0]
    if library == "optuna":
        return _from_optuna(value)
    if library == "ray":
        return _from_ray_tune(value)
    if callable(getattr(value, "rvs", None)):
        return Distribution(value)
    raise SpaceError(
        "", f"expected a list of values, a Float, an Int or a distribution, got {value!r}; write [{value!r}] for one value"
    )


def _from_optuna(value: Any) -> Dimension:
    match type(value).__name__:
        case "CategoricalDistribution":
            return Categorical(value.choices)
        case "FloatDistribution":
            return (
                Float(value.low, value.high, log=value.log, step=value.step)
                if value.low < value.high
                else Categorical([value.low])
            )
        case "IntDistribution":
            step = None if value.log or value.step == 1 else value.step
            return Int(value.low, value.high, log=value.log, step=step) if value.low < value.high else Categorical([value.low])
        case other:
            raise SpaceError("", f"expected a Float, Int or CategoricalDistribution of Optuna, got {other}")


_RAY_TUNE_NAMES = {
    ("Float", "Normal"): "randn",
    ("Float", "LogUniform"): "loguniform",
    ("Integer", "LogUniform"): "lograndint",
    ("Function", "CallSampler"): "sample_from",
}


def _from_ray_tune(value: Any) -> Dimension:
    sampler = value.get_sampler() if hasattr(value, "get_sampler") else value
    step = getattr(sampler, "q", None)
    inner = sampler.get_sampler() if step is not None else sampler
    kind, how = type(value).__name__, type(inner).__name__.strip("_")
    log = how == "LogUniform"
    if kind == "Categorical":
        return Categorical(list(value.categories))
    if how not in {"Uniform", "LogUniform"} or (log and step is not None):
        name = ("q" if step is not None else "") + _RAY_TUNE_NAMES.get((kind, how), kind)
        raise SpaceError(
            "",
            "expected a Ray Tune domain with an exact counterpart (uniform, quniform, loguniform, randint, qrandint, "
            f"lograndint, choice, grid_search), got {name}; use Float, Int or a list",
        )
    if kind == "Float":
        return Float(value.lower, value.upper, log=log, step=step)
    if step in (None, 1):  # the upper bound is left out
        return _whole(value.lower, value.upper - 1, log, None)
    return _whole(math.ceil(value.lower / step) * step, math.floor(value.upper / step) * step, log, int(step))


def _whole(low: int, high: int, log: bool, step: int | None) -> Dimension:
    """Make an Int, or a single value where the bounds leave no other."""
    return Categorical([low]) if low == high else Int(low, high, log=log, step=step)


def _name_of(frozen: Any) -> str:
    return getattr(getattr(frozen, "dist", None), "name", None) or type(frozen).__name__


def _decimal(number: float | None) -> Decimal:
    return Decimal(str(number))


def _check_listable(dimension: Float | Int, n_points: int) -> None:
    if n_points > MOST_POINTS:
        raise SpaceError(
            "",
            f"expected at most {MOST_POINTS} points for a grid, got {n_points} of {dimension!r}; give a list, or a larger step",
        )


def _check_bounds(dimension: Float | Int, is_one: Callable[[Any], bool], word: str) -> None:
    for field in ("low", "high", "step"):
        value = getattr(dimension, field)
        if value is None and field == "step":
            continue
        if not is_one(value) or not is_finite(value):
            raise SpaceError("", f"expected {field} to be {word}, got {value!r} in {dimension!r}")
        if isinstance(dimension, Int) and abs(value) > _WIDEST_INT:
            raise SpaceError("", f"expected {field} to be an integer of 64 bits, got {value!r}; use Float for larger numbers")
    low, high, step, log = dimension.low, dimension.high, dimension.step, dimension.log
    if not isinstance(log, bool):
        raise SpaceError("", f"expected log to be true or false, got {log!r}")
    if not low < high:
        raise SpaceError("", f"expected low < high, got low={low!r}, high={high!r}")
    if not is_finite(float(high) - float(low)):
        raise SpaceError("", f"expected a distance that is a number, got low={low!r}, high={high!r}; use narrower bounds")
    if log and not low > 0:
        raise SpaceError("", f"expected low > 0 with log, got low={low!r}")
    if log and step is not None:
        raise SpaceError("", f"expected step or log, not both, got step={step!r}, log=True")
    if step is not None and not 0 < _decimal(step) <= _decimal(high) - _decimal(low):
        raise SpaceError("", f"expected 0 < step <= high - low, got step={step!r}, low={low!r}, high={high!r}")
    if step is not None and (float(high) - float(low)) / float(step) > _MOST_STEPS:
        raise SpaceError("", f"expected at most {_MOST_STEPS:.0e} steps, got step={step!r}; leave it out, or use a larger one")
