"""Contestants, and the race that times them in turn."""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Contestant:
    """Somebody who does the work.

    Parameters
    ----------
    name : str
        As the table calls it.
    run : callable
        Does the whole work once; returns what all must agree on, or None.
    warm : callable, optional
        Called before each timed run: sees to it that workers are up, and makes a small call.
    cool : callable, optional
        Lets go of what `warm` made.
    """

    name: str
    run: Callable[[], Any]
    warm: Callable[[], Any] = lambda: None
    cool: Callable[[], Any] = lambda: None


@dataclass(frozen=True)
class Ratio:
    """A figure that a case must show: ``value`` is at most (or at least) ``limit``."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


@dataclass
class Result:
    """What came of a case.

    Parameters
    ----------
    case, title : str
        Its name, and what it is about.
    unit : str
        Of the figures: "s", "ms per trial", "bytes per fit".
    figures : dict of str to float
        Per contestant, the median over repeats.
    ratios : list of Ratio
        What must be shown.
    repeats : dict of str to list of float
        Per contestant, each repeat.
    notes : list of str
        What a reader must know.
    """

    case: str
    title: str
    unit: str = "s"
    figures: dict[str, float] = field(default_factory=dict)
    ratios: list[Ratio] = field(default_factory=list)
    repeats: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def race(contestants: Sequence[Contestant], repeats: int, *, rtol: float = 1e-9) -> dict[str, list[float]]:
    """Time each contestant ``repeats`` times, in turn, and check that all come to the same.

    Returns
    -------
    dict of str to list of float
        Seconds of each repeat.

    Raises
    ------
    AssertionError
        If two contestants disagree.
    """
    seconds: dict[str, list[float]] = {one.name: [] for one in contestants}
    agreed: Any = None
    try:
        for repeat in range(repeats):
            turn = repeat % len(contestants)
            for one in [*contestants[turn:], *contestants[:turn]]:  # nobody always comes first
                one.warm()
                gc.collect()
                clock = time.perf_counter()
                scores = one.run()
                seconds[one.name].append(time.perf_counter() - clock)
                say(f"  {one.name}: {seconds[one.name][-1]:.3f} s")
                if scores is not None:
                    agreed = scores if agreed is None else agreed
                    np.testing.assert_allclose(scores, agreed, rtol=rtol, err_msg=f"{one.name} disagrees")
    finally:
        for one in contestants:
            one.cool()
    return seconds


def medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each contestant's repeats."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def say(line: str) -> None:
    """Tell how it goes, where it does not stand among the results."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
