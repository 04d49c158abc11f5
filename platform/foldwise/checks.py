"""Checks that all faces share: what counts as a number."""

from __future__ import annotations

import numbers
from typing import Any, TypeGuard

import numpy as np


def is_integer(value: Any) -> TypeGuard[int]:
    """Tell whether a value is a whole number, of Python or numpy; a bool is none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def is_real(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a real number, of Python or numpy; a bool is none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
