"""Limits of a job in time. They change when something is given up, never what is computed, and are no part of any key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.inputs.checks import is_finite, is_real


@dataclass(frozen=True)
class Limits:
    """How long a job takes at most; None: as long as it needs.

    Parameters
    ----------
    fit_seconds : float, optional
        Seconds of one fit with its scoring; one that takes longer fails, and the others go on.
    seconds : float, optional
        Seconds of the whole job, which then ends in good order, with a partial report.
    wait_seconds : float, optional
        Seconds for which nothing runs since resources are missing; the job then fails and names them.
    """

    fit_seconds: float | None = None
    seconds: float | None = None
    wait_seconds: float | None = None

    @classmethod
    def of(cls, given: Any) -> Limits:
        """Read ``{"fit_seconds": 60, "seconds": 3600, "wait_seconds": 600}``.

        Raises
        ------
        InputError
            If a limit is unknown, or no positive number.

        Examples
        --------
        >>> Limits.of({"fit_seconds": 60})
        Limits(fit_seconds=60.0, seconds=None, wait_seconds=None)
        """
        if isinstance(given, Limits):
            return given
        if given is None:
            return cls()
        if not isinstance(given, Mapping):
            raise InputTypeError("limits", f"expected a mapping such as {{'fit_seconds': 60}}, got {given!r}")
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise InputError(f"limits.{name}", f"expected a known limit, got {name!r}; {nearest(name, known)}")
        return cls(**{name: _seconds(name, value) for name, value in given.items()})


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if not is_real(value):
        raise InputTypeError(f"limits.{name}", f"expected seconds > 0, got {value!r}")
    if not is_finite(value) or value <= 0:
        raise InputError(f"limits.{name}", f"expected seconds > 0, got {value!r}; leave it out for no limit")
    return float(value)
