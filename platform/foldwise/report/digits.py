"""Step 8, show: how many digits of a score are worth showing."""

from __future__ import annotations

import math
from dataclasses import dataclass

_ROUNDING = 1e-9  # share of a score below which a spread is one of rounding
_LEAST, _MOST = 3, 6
"""Decimals of scores of the order of one; below the last, scores are shown by powers of ten."""


@dataclass(frozen=True, slots=True)
class Digits:
    """Shows scores of one metric to the same decimal place.

    Parameters
    ----------
    decimals : int
        The last place that is shown.

    Examples
    --------
    >>> Digits.of(0.9792, spread=0.014)(0.9792), Digits.of(2871.3, spread=212.0)(2871.3)
    ('0.979', '2871')
    >>> Digits.of(-2.96e-05, spread=1.3e-06)(-2.9613e-05)
    '-2.96e-05'
    """

    decimals: int

    @classmethod
    def of(cls, score: float, spread: float) -> Digits:
        """Show two digits of the spread (half of an interval's width, or a deviation)."""
        if not math.isfinite(score):
            return cls(_LEAST)
        if not (math.isfinite(spread) and spread > _ROUNDING * abs(score)):
            spread = abs(score) / 10 or 0.1
        decimals = max(0, 1 - math.floor(math.log10(spread)))
        is_of_order_one = abs(score) < 10 and max(abs(score), spread) >= 1e-2
        return cls(max(decimals, _LEAST) if is_of_order_one else decimals)

    def more(self) -> Digits:
        """Show a digit more."""
        return Digits(self.decimals + 1)

    def __call__(self, score: float, *, sign: bool = False) -> str:
        """Show a score, with its sign if wanted."""
        plus = "+" if sign else ""
        if not math.isfinite(score):
            return f"{score}"
        if self.decimals <= _MOST:
            return f"{score:{plus}.{self.decimals}f}"
        rounded = round(score, self.decimals)
        places = self.decimals + math.floor(math.log10(abs(rounded))) if rounded else 0
        return f"{rounded:{plus}.{max(places, 0)}e}"
