"""Grid search: every point, in the order of scikit-learn's ``ParameterGrid``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sklearn.model_selection import ParameterGrid

from foldwise.errors import InputError, Setting
from foldwise.search.base import Asker, ListedAsker, Search
from foldwise.space.space import SearchSpace


@dataclass(frozen=True)
class GridSearch(Search):
    """Every point of a grid. Never cut: more points than ``n_trials`` is an error."""

    method: ClassVar[str] = "grid"
    adapts: ClassVar[bool] = False

    def check(self, space: SearchSpace, n_trials: int | None) -> int:  # noqa: D102
        n_points = space.n_points
        if n_trials is not None and n_points > n_trials:
            raise InputError(
                "n_trials",
                f"expected at least {n_points} for a grid of {n_points} points, got {n_trials}; a grid is never cut",
                fix=("leave ", Setting("n_trials"), " out, or use ", Setting("search", "'random'")),
            )
        return n_points

    def open(self, space: SearchSpace, n_trials: int, seed: int) -> Asker:  # noqa: D102
        return ListedAsker(ParameterGrid(space.grid()), n_trials)
