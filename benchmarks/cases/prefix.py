"""Case 2: a costly prefix. PCA(100) on 2000 x 500, then 20 cheap tails, in a nested search."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import Pipeline

from benchmarks.nested import Nested, contestants
from benchmarks.race import Ratio, Result, medians, race

GRID = {"ridge__alpha": list(np.logspace(-3, 3, 20))}


def run(repeats: int, small: bool) -> Result:
    """Race."""
    estimator = Pipeline([("pca", PCA(100, random_state=0)), ("ridge", RidgeClassifier())])
    task = Nested(*make_classification(400 if small else 2000, 500, n_informative=40, random_state=0), estimator, GRID)
    few = Nested(*make_classification(200, 120, n_informative=40, random_state=0), estimator, {"ridge__alpha": [0.1, 1.0]})
    seconds = race(contestants(task, few, ray_joblib=False), repeats)
    figures = medians(seconds)
    sklearn = min(value for name, value in figures.items() if name.startswith("sklearn"))
    dask = min(value for name, value in figures.items() if name.startswith("dask"))
    ratios = [
        Ratio("foldwise / sklearn", figures["foldwise"] / sklearn, 0.25),
        Ratio("foldwise / dask-ml", figures["foldwise"] / dask, 0.60),
    ]
    return Result("prefix", "nested 5-fold grid, PCA(100) on 2000 x 500, 20 ridge tails", "s", figures, ratios, seconds)
