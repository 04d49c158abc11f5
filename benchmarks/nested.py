"""A nested search over shared folds, as each contestant does it: outer loop, final search, final model.

All get the same folds: the inner folds of an outer fold are the other outer folds. So all must come to the same scores.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from threadpoolctl import threadpool_limits

from benchmarks.machine import N_CORES
from benchmarks.peers import DaskCluster, joblib_on_ray
from benchmarks.race import Contestant

_Splits = list[tuple[np.ndarray, np.ndarray]]


class Nested:
    """The task.

    Parameters
    ----------
    X, y : array
        The data.
    estimator : estimator
        What is searched over.
    grid : mapping
        Name -> values.
    n_outer : int
        Outer folds.
    """

    def __init__(self, X: Any, y: Any, estimator: Any, grid: Mapping[str, Any], n_outer: int = 5) -> None:
        self.X, self.y, self.estimator, self.grid, self.n_outer = X, y, estimator, grid, n_outer
        self.tests = [test for _, test in StratifiedKFold(n_outer).split(X, y)]

    def train(self, *left_out: int) -> np.ndarray:
        """Return the rows of all outer folds but some."""
        return np.sort(np.concatenate([test for i, test in enumerate(self.tests) if i not in left_out]))

    def inner_splits(self, outer: int) -> _Splits:
        """Split the train rows of an outer fold, as positions among them: into its other folds."""
        rows = self.train(outer)
        others = [i for i in range(self.n_outer) if i != outer]
        return [(np.searchsorted(rows, self.train(outer, i)), np.searchsorted(rows, self.tests[i])) for i in others]

    def outer_splits(self) -> _Splits:
        """Split all rows into the outer folds."""
        return [(self.train(i), test) for i, test in enumerate(self.tests)]

    # --- the contestants' ways; each returns the outer scores and the best mean of the final search ---

    def foldwise(self) -> list[float]:
        """One call, on Ray."""
        import foldwise as fw  # lazily: its time is not the peers'

        search = fw.NestedSearchCV(self.estimator, self.grid, search="grid", outer_cv=self.outer_splits(), random_state=0)
        search.fit(self.X, self.y)
        return [*search.outer_scores_["score"], search.best_score_]

    def sklearn(self, parallel: str) -> list[float]:
        """GridSearchCV in an outer loop, parallel in the "inner" or in the "outer" one."""
        n_jobs = N_CORES if parallel == "inner" else None
        if parallel == "inner":
            scores = [self._judge(i, n_jobs) for i in range(self.n_outer)]
        else:
            scores = joblib.Parallel(N_CORES)(joblib.delayed(self._judge)(i, None) for i in range(self.n_outer))
        search = GridSearchCV(self.estimator, self.grid, cv=self.outer_splits(), n_jobs=N_CORES)
        return [*scores, float(search.fit(self.X, self.y).best_score_)]

    def _judge(self, outer: int, n_jobs: int | None) -> float:
        rows, test = self.train(outer), self.tests[outer]
        search = GridSearchCV(self.estimator, self.grid, cv=self.inner_splits(outer), n_jobs=n_jobs)
        return float(search.fit(self.X[rows], self.y[rows]).score(self.X[test], self.y[test]))

    def ray_joblib(self) -> list[float]:
        """GridSearchCV in an outer loop, on Ray by its joblib backend."""
        with joblib_on_ray():
            return self.sklearn("inner")

    def dask(self, scheduler: Any) -> list[float]:
        """dask-ml's GridSearchCV, which shares pipeline prefixes, in an outer loop."""
        from dask_ml.model_selection import GridSearchCV as DaskGridSearchCV  # lazily: likewise

        def search(X: Any, y: Any, splits: _Splits) -> Any:
            one = DaskGridSearchCV(self.estimator, dict(self.grid), cv=splits, scheduler=scheduler, n_jobs=N_CORES, iid=False)
            return one.fit(X, y)

        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            scores = []
            for i in range(self.n_outer):
                rows, test = self.train(i), self.tests[i]
                fitted = search(self.X[rows], self.y[rows], self.inner_splits(i))
                scores.append(float(fitted.score(self.X[test], self.y[test])))
            return [*scores, float(search(self.X, self.y, self.outer_splits()).best_score_)]


def contestants(task: Nested, few: Nested, *, ray_joblib: bool) -> list[Contestant]:
    """Enter everyone who can do it; ``few`` is the small call that warms them up."""
    cluster = DaskCluster()
    entered = [
        Contestant("foldwise", task.foldwise, few.foldwise),
        Contestant("sklearn, inner n_jobs", lambda: task.sklearn("inner"), lambda: few.sklearn("inner")),
        Contestant("sklearn, outer n_jobs", lambda: task.sklearn("outer"), lambda: few.sklearn("outer")),
        Contestant("dask-ml, threads", lambda: task.dask("threads"), lambda: few.dask("threads")),
        Contestant("dask-ml, processes", lambda: task.dask(cluster.client), lambda: few.dask(cluster.start()), cluster.stop),
    ]
    return [*entered, Contestant("Ray joblib", task.ray_joblib, few.ray_joblib)] if ray_joblib else entered
