"""Params of the Keras estimators: each is declared in one line, with its default, what it may be and when it may change."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Collection
from typing import Any

from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.inputs.checks import is_finite, is_integer


class Role(enum.Enum):
    """What a param acts on, and so whether it may change between two epochs."""

    NETWORK = "the network's layers and weights"
    START = "what is settled when training begins"
    RATE = "a rate that is part of the network's graph"
    LOOP = "how the next epoch is trained"

    @property
    def may_change(self) -> bool:
        """Whether ``set_params`` may change it in the middle of training."""
        return self in {Role.RATE, Role.LOOP}

    @property
    def is_in_graph(self) -> bool:
        """Whether networks that differ in it need graphs of their own."""
        return self in {Role.NETWORK, Role.RATE}


_Check = Callable[[str, Any], None]


def param(default: Any, role: Role, check: _Check | None = None) -> Any:
    """Declare a param of a dataclass; ``check`` is given its name and value."""
    return dataclasses.field(default=default, metadata={"role": role, "check": check})


def whole(default: int | None, role: Role, at_least: int) -> Any:
    """Declare a whole number; None passes where it is the default."""

    def check(name: str, value: Any) -> None:
        if value is None and default is None:
            return
        if not is_integer(value):
            raise InputTypeError(name, f"expected an integer >= {at_least}, got {value!r}")
        if value < at_least:
            raise InputError(name, f"expected an integer >= {at_least}, got {value!r}")

    return param(default, role, check)


def real(default: float | None, role: Role, inside: str) -> Any:
    """Declare a real number of an interval such as ``"[0, 1)"``; None passes where it is the default."""
    low, high = (float(end) for end in inside[1:-1].split(","))

    def check(name: str, value: Any) -> None:
        if value is None and default is None:
            return
        if not is_finite(value):
            raise InputTypeError(name, f"expected a number in {inside}, got {value!r}")
        above = value > low or (inside[0] == "[" and value == low)
        below = value < high or (inside[-1] == "]" and value == high)
        if not (above and below):
            raise InputError(name, f"expected a number in {inside}, got {value!r}")

    return param(default, role, check)


def one_of(default: str, role: Role, known: Collection[str]) -> Any:
    """Declare a choice among names."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, str) or value not in known:
            raise InputError(name, f"expected one of {', '.join(known)}, got {value!r}; {nearest(str(value), known)}")

    return param(default, role, check)


def flag(default: bool, role: Role) -> Any:
    """Declare a yes or no."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, bool) and type(value).__name__ not in {"bool", "bool_"}:
            raise InputTypeError(name, f"expected True or False, got {value!r}")

    return param(default, role, check)


def check_params(estimator: Any) -> None:
    """Check every declared param of an estimator.

    Raises
    ------
    InputError
        If one cannot be; ``place`` is its name.
    """
    for field in dataclasses.fields(estimator):
        check = field.metadata.get("check")
        if check is not None:
            check(field.name, getattr(estimator, field.name))


def params_of(estimator: Any, wanted: Callable[[Role], bool]) -> dict[str, Any]:
    """Return the params of an estimator whose role is wanted, by name."""
    return {
        field.name: getattr(estimator, field.name)
        for field in dataclasses.fields(estimator)
        if "role" in field.metadata and wanted(field.metadata["role"])
    }
