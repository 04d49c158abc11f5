"""What the plan relies on of scikit-learn's private parts: what a scorer is made of, which scikit-learn tells in no other way.

A test of each fails when a version changes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.metrics import get_scorer


@dataclass(frozen=True, slots=True)
class ScorerParts:
    """What ``make_scorer`` made a scorer of.

    Parameters
    ----------
    function : callable
        The metric.
    sign : int
        1, or -1 where less is better.
    keywords : mapping
        What the metric is called with.
    """

    function: Callable[..., Any]
    sign: int
    keywords: Mapping[str, Any]


def is_made(scorer: Any) -> bool:
    """Tell whether ``make_scorer`` made it: then it gives a number, and looks at nothing but predictions."""
    return type(scorer) is type(get_scorer("accuracy"))


def parts_of_scorer(scorer: Any) -> ScorerParts:
    """Return what ``make_scorer`` made a scorer of."""
    return ScorerParts(scorer._score_func, scorer._sign, scorer._kwargs)


def scorers_within(scorer: Any) -> Mapping[str, Any] | None:
    """Return the scorers of a scorer of several metrics; None of another."""
    scorers: Mapping[str, Any] | None = getattr(scorer, "_scorers", None)
    return scorers


def accepts_weights(scorer: Any) -> bool | None:
    """Tell whether a scorer that ``make_scorer`` made can weigh rows; None of another."""
    own = getattr(scorer, "_accept_sample_weight", None)
    return None if own is None else bool(own())
