"""Step 3, plan: a schedule has Ray Tune judge trials while they train, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from foldwise.checks import is_integer
from foldwise.epochs import changeable, check_epochs, parts_of
from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.search import Search
from foldwise.space import SearchSpace

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
        for learner in _learners(estimator, space):
            check_epochs(learner, space.names)
        if self.method != PBT:
            return
        if search.adapts:
            raise InputError(
                "schedule.method", f"expected asha, hyperband or median with search={search.method!r}, got 'pbt', which itself "
                "changes params by results; use search='random' or 'grid'"
            )  # fmt: skip
        if n_trials < 2:
            raise InputError("schedule.method", f"expected at least 2 trials for 'pbt', got {n_trials}; raise n_trials")
        if not changing(estimator, space):
            name = type(parts_of(estimator)[-1][1]).__name__
            raise InputError(
                "schedule.method", f"expected a space with a param that may change while {name} trains for 'pbt', got "
                f"{', '.join(space.names)}; add one, or use 'asha'"
            )  # fmt: skip

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


def changing(estimator: Any, space: SearchSpace) -> frozenset[str]:
    """Return the params that population based training may change on the way.

    All others are drawn once: those of steps before the last, those that are read in the first epoch only, and those that
    other params depend on.
    """
    parents = {parent for sub in space.subspaces for dimension in sub.values() for parent in dimension.when or {}}
    return changeable(estimator, set(space.names) - parents)


def _learners(estimator: Any, space: SearchSpace) -> Iterator[Any]:
    """Go through the estimators that may come to train: the last step, and what the space puts in its place."""
    place = parts_of(estimator)[-1][0].removesuffix("__")
    choices = [getattr(sub.get(place), "choices", None) for sub in space.subspaces]
    if not place or None in choices:
        yield estimator
    yield from (choice for some in choices for choice in some or () if hasattr(choice, "get_params"))
