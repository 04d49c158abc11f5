"""Checks that all faces share: what counts as a number, as a file, and as a URL."""

from __future__ import annotations

import math
import numbers
import re
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np


def is_integer(value: Any) -> TypeGuard[int]:
    """Tell whether a value is a whole number, of Python or numpy; a bool is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def is_real(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a real number, of Python or numpy; a bool is none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def is_finite(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a real number that a float can hold: no NaN, no infinity, no whole number beyond 1.8e308."""
    try:
        return is_real(value) and math.isfinite(value)
    except OverflowError:
        return False


def is_file(path: Path) -> bool:
    """Tell whether a path leads to a file; a name that no file can have leads nowhere."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, not to be looked at, with a null character
        return False


def is_url(address: str) -> bool:
    """Tell whether an address is a URL; otherwise it is a path."""
    return re.match(r"[A-Za-z][\w+.-]*://", address) is not None
