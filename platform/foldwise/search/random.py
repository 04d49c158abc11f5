"""Random search: the draws of scikit-learn's ``ParameterSampler``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from sklearn.model_selection import ParameterSampler

from foldwise.search.base import Asker, ListedAsker, Search
from foldwise.space.dimension import Int
from foldwise.space.space import SearchSpace

DEFAULT_TRIALS = 50
_SUBSPACE = ""  # sorts before every name


@dataclass(frozen=True)
class RandomSearch(Search):
    """Independent draws; without replacement where the space is a finite grid."""

    method: ClassVar[str] = "random"
    adapts: ClassVar[bool] = False

    def check(self, space: SearchSpace, n_trials: int | None) -> int:  # noqa: D102
        wanted = n_trials or DEFAULT_TRIALS
        if not space.is_finite:
            return wanted
        n_points = space.n_points
        if n_trials is not None and n_points < n_trials:
            warnings.warn(
                f"n_trials={n_trials}, but the space has {n_points} points: each is tried once", UserWarning, stacklevel=2
            )
        return min(wanted, n_points)

    def open(self, space: SearchSpace, n_trials: int, seed: int) -> Asker:  # noqa: D102
        return ListedAsker(_Draws(space, n_trials, seed), n_trials)


@dataclass(frozen=True)
class _Draws:
    """The same draws each time they are iterated over."""

    space: SearchSpace
    n_trials: int
    seed: int

    def __iter__(self) -> Iterator[dict[str, Any]]:
        draws = self.space.draws()
        if (
            self.space.is_finite and self.space.n_points > sys.maxsize
        ):  # ParameterSampler cannot count them; none will come twice
            for drawn in ParameterSampler(
                [{**draw, _SUBSPACE: Int(0, 1)} for draw in draws], self.n_trials, random_state=self.seed
            ):
                drawn.pop(_SUBSPACE)
                yield drawn
            return
        if self.space.is_finite or not self.space.is_conditional:
            yield from ParameterSampler(draws, self.n_trials, random_state=self.seed)
            return
        marked = [{**draw, _SUBSPACE: [index]} for index, draw in enumerate(draws)]
        for drawn in ParameterSampler(marked, self.n_trials, random_state=self.seed):
            yield self.space.prune(drawn, drawn.pop(_SUBSPACE))
