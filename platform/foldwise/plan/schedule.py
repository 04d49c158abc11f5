"""Step 4, plan: a schedule has Ray Tune judge trials while they train, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import cycle, product
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.multiclass import type_of_target

from foldwise.errors import InputError, InputTypeError, Setting, nearest
from foldwise.inputs.checks import is_integer
from foldwise.plan.epochs import changeable, check_epochs
from foldwise.plan.iterations import Way, refused_names, scikit_learn_name, way_of
from foldwise.plan.steps import last_step
from foldwise.search import Search
from foldwise.space.dimension import Categorical, Dimension, Float, Int
from foldwise.space.space import SearchSpace

PBT = "pbt"
METHODS = ("asha", "hyperband", "median", PBT)


@dataclass(frozen=True)
class Schedule:
    """How trials are judged while they train.

    Parameters
    ----------
    method : {"asha", "hyperband", "median", "pbt"}
        Asynchronous successive halving, HyperBand, the median rule, or population based training.
    max_epochs : int, default=30
        Epochs of a trial that is not stopped.
    grace_epochs : int, default=1
        Epochs that every trial trains before it may be stopped; for population based training, epochs between two
        changes of params.
    reduction : int, default=3
        Of so many trials that reach a rung, one goes on (asha, hyperband); the worst 1 / reduction of a population go on
        from where the best stand (pbt).
    """

    method: str
    max_epochs: int = 30
    grace_epochs: int = 1
    reduction: int = 3

    @classmethod
    def of(cls, given: Any) -> Schedule | None:
        """Read ``{"method": "asha", "max_epochs": 30, "grace_epochs": 3, "reduction": 3}``; None is no schedule.

        Raises
        ------
        InputError
            If a key is unknown, or a value is none that it takes.

        Examples
        --------
        >>> Schedule.of({"method": "asha", "max_epochs": 9})
        Schedule(method='asha', max_epochs=9, grace_epochs=1, reduction=3)
        """
        if given is None:
            return None
        if isinstance(given, Schedule):
            given.check()
            return given
        if not isinstance(given, Mapping):
            raise InputTypeError(
                "schedule", f"expected a mapping such as {{'method': 'asha', 'max_epochs': 30}}, got {given!r}"
            )
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise InputError(f"schedule.{name}", f"expected a known key, got {name!r}; {nearest(str(name), known)}")
        if "method" not in given:
            raise InputError("schedule.method", f"expected one of {', '.join(METHODS)}, got none")
        schedule = cls(**given)
        schedule.check()
        return schedule

    def check(self) -> None:
        """Refuse what no scheduler takes.

        Raises
        ------
        InputError
            With the key and its value.
        """
        if self.method not in METHODS:
            raise InputError("schedule.method", f"expected a method, got {self.method!r}; {nearest(str(self.method), METHODS)}")
        for name, least in (("max_epochs", 1), ("grace_epochs", 1), ("reduction", 2)):
            value = getattr(self, name)
            if not is_integer(value):
                raise InputTypeError(f"schedule.{name}", f"expected an integer >= {least}, got {value!r}")
            if value < least:
                raise InputError(f"schedule.{name}", f"expected an integer >= {least}, got {value!r}")
        if self.grace_epochs > self.max_epochs:
            raise InputError(
                "schedule.grace_epochs", f"expected at most max_epochs ({self.max_epochs}), got {self.grace_epochs}"
            )

    def check_suits(self, estimator: Any, space: SearchSpace, search: Search, n_trials: int) -> None:
        """Refuse an estimator, a space or a search that does not go with the schedule.

        Raises
        ------
        InputError
            At ``estimator``, ``space.<name>`` or ``schedule.method``.
        """
        for assembled in assemblies(estimator, space):
            check_epochs(assembled, space.names)
        if self.method != PBT:
            return
        if search.adapts:
            raise InputError(
                "schedule.method",
                f"expected asha, hyperband or median with search={search.method!r}, got 'pbt', which itself changes params by "
                "results",
                fix=("use ", Setting("search", "'random'"), " or ", Setting("search", "'grid'")),
            )
        if n_trials < 2:
            raise InputError(
                "schedule.method", f"expected at least 2 trials for 'pbt', got {n_trials}", fix=("raise ", Setting("n_trials"))
            )
        if not changing(estimator, space):
            name = type(last_step(estimator)).__name__
            raise InputError(
                "schedule.method", f"expected a space with a param that may change while {name} trains for 'pbt', got "
                f"{', '.join(space.names)}; add one, or use 'asha'"
            )  # fmt: skip

    def check_targets(self, estimator: Any, space: SearchSpace, y: Any) -> None:
        """Refuse an estimator that is fitted to such targets, but cannot train in epochs on them.

        Raises
        ------
        InputError
            At ``estimator``.
        """
        if y is None or not type_of_target(y).startswith("multilabel"):
            return
        for assembled in assemblies(estimator, space):
            if scikit_learn_name(last_step(assembled)) == "OneVsRestClassifier":
                raise InputError(
                    "estimator", "expected an estimator whose partial_fit takes several labels a row, got OneVsRestClassifier; "
                    "use MultiOutputClassifier"
                )  # fmt: skip

    def notes(self, estimator: Any, space: SearchSpace, n_trials: int) -> list[str]:
        """Say in lines for a plan what an epoch is, and which of so many trials can be stopped."""
        learners = {type(last).__name__: last for last in map(last_step, assemblies(estimator, space))}
        kinds = {name: way.words for name, last in learners.items() if isinstance(way := way_of(last), Way)}
        listed = "; ".join(f"of {name} {words.replace('`', '')}" for name, words in kinds.items())
        lines = [f"epoch      {listed}; a stop of its own (tol, n_iter_no_change) ends no trial"]
        if self.method == "hyperband":
            parts = [f"{n} {_judged(epoch)}" for epoch, n in sorted(self.brackets(n_trials).items())]
            lines.append(f"brackets   of {n_trials} trials a study {', '.join(parts)}")
        if why := self._why_none_stops(n_trials):
            lines.append(f"warning    no trial can be stopped: {why}")
        return lines

    def brackets(self, n_trials: int) -> dict[float, int]:
        """Say how Tune's HyperBand spreads trials: the epoch at which they may first be stopped -> how many; inf: never.

        Brackets are filled in the order in which trials are asked; the first one halves nothing.
        """
        rounds, eta = max(1, self.max_epochs // self.grace_epochs), self.reduction
        n_brackets = int(np.round(np.log(rounds) / np.log(eta))) + 1
        spread: dict[float, int] = {}
        for number in cycle(range(n_brackets)):
            if n_trials <= 0:
                return spread
            first = int(rounds * eta ** (-number))
            if first == 0:
                continue
            size = math.ceil(n_brackets / (number + 1) * eta**number)
            inside = min(size, n_trials)
            epoch = self._first_stop(inside, size, number, first, rounds)
            spread[epoch] = spread.get(epoch, 0) + inside
            n_trials -= inside
        return spread

    def _first_stop(self, inside: int, size: int, halvings: int, at: int, rounds: int) -> float:
        """Return the first epoch at which a bracket holds more trials than go on."""
        for _ in range(halvings):
            size = math.ceil(size / self.reduction)
            if inside > size:
                return at * self.grace_epochs
            at = min(at * self.reduction, rounds)
        return math.inf

    def _why_none_stops(self, n_trials: int) -> str:
        if self.method == PBT:
            return ""
        if self.grace_epochs >= self.max_epochs:
            return f"grace_epochs is max_epochs ({self.max_epochs}); lower it"
        if self.method == "hyperband":
            is_none = set(self.brackets(n_trials)) == {math.inf}
            return "its brackets hold no more trials than go on; raise n_trials, or lower grace_epochs" * is_none
        least = 4 if self.method == "median" else 2
        return f"{self.method} compares at least {least}, and {n_trials} are asked; raise n_trials" * (n_trials < least)

    def to_dict(self) -> dict[str, Any]:
        """Return it as a job file has it."""
        return asdict(self)

    def __str__(self) -> str:
        words = f"{self.method}, at most {self.max_epochs} epochs a trial, judged by the mean over its inner folds"
        if self.method == PBT:
            return (
                f"{words}; every {self.grace_epochs} the worst 1 in {self.reduction} go on from where the best stand, with "
                "changed params"
            )
        halving = f"; 1 in {self.reduction} goes on" if self.method in {"asha", "hyperband"} else ""
        return f"{words} from epoch {self.grace_epochs} on{halving}"


def _judged(epoch: float) -> str:
    return "train to their end" if math.isinf(epoch) else f"from epoch {epoch:g} on"


def changing(estimator: Any, space: SearchSpace) -> frozenset[str]:
    """Return the params that population based training may change on the way.

    All others are drawn once: those of steps before the last, those that are read in the first epoch only, and those that
    other params depend on.
    """
    parents = {parent for sub in space.subspaces for dimension in sub.values() for parent in dimension.when or {}}
    return changeable(estimator, set(space.names) - parents)


def assemblies(estimator: Any, space: SearchSpace) -> Iterator[Any]:
    """Go through what a space makes of an estimator, as far as it decides how it trains in epochs.

    Each value of a param that may decide it is set once: those of which `refused_names` are the names, and those that are
    estimators, each with the values that it depends on.
    """
    for number, sub in enumerate(space.subspaces):
        yield from _with(estimator, space.choose(number, lambda name, dimension: _values(dimension)[0]))
        decide = [name for name in sub if _may_decide(name, sub[name])]
        for name in decide:
            owners = [owner for owner in sub if name.startswith(f"{owner}__")]
            for picked in product(*(_values(sub[one]) for one in (*owners, name))):
                picks = {**_needed_by(name, sub), **dict(zip((*owners, name), picked, strict=True))}
                chosen = space.choose(number, lambda other, dimension: picks.get(other, _values(dimension)[0]))  # noqa: B023
                if name in chosen:
                    yield from _with(estimator, chosen)


def _with(estimator: Any, params: Mapping[str, Any]) -> list[Any]:
    """Set params, if they can be set together; what cannot fails in its trial, as it does without a schedule."""
    try:
        return [clone(estimator).set_params(**clone(dict(params), safe=False))]
    except Exception:  # whatever an estimator raises of params that it does not take
        return []


def _may_decide(name: str, dimension: Dimension) -> bool:
    return name.rpartition("__")[2] in refused_names() or any(hasattr(value, "get_params") for value in _values(dimension))


def _values(dimension: Dimension) -> list[Any]:
    """Return all values of a list, and the ends of a range."""
    if isinstance(dimension, Categorical):
        return list(dimension.choices)
    return [dimension.low, dimension.high] if isinstance(dimension, Float | Int) else [dimension.example()]


def _needed_by(name: str, sub: Mapping[str, Dimension]) -> dict[str, Any]:
    """Return values of the params that a param depends on, with which it exists."""
    needed: dict[str, Any] = {}
    for parent, wanted in (sub[name].when or {}).items():
        needed |= _needed_by(parent, sub)
        needed[parent] = next(iter(wanted)) if isinstance(wanted, list | set | frozenset) else wanted
    return needed
