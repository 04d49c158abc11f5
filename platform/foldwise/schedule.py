"""Step 3, plan: a schedule has Ray Tune judge trials while they train, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from foldwise.checks import is_integer
from foldwise.errors import InputError, InputTypeError, nearest

METHODS = ("asha", "hyperband", "median", "pbt")


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
        Of so many trials that reach a rung, one goes on (asha, hyperband); the best and the worst 1 / reduction of a
        population change places (pbt).
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
        if given is None or isinstance(given, Schedule):
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
