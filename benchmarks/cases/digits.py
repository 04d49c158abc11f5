"""Case 1: a nested grid search with a pipeline, on digits, against every peer that can do it by hand, and against the bound."""

from __future__ import annotations

import itertools
import statistics
import time
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from benchmarks.machine import N_CORES
from benchmarks.nested import Nested, contestants
from benchmarks.race import Contestant, Ratio, Result, medians, race

GRID = {"pca__n_components": [10, 20, 30], "svc__C": [1.0, 10.0, 100.0], "svc__gamma": [0.001, 0.01, 0.1]}


def run(repeats: int, small: bool) -> Result:
    """Race, and compare with the bound: what the distinct work takes one core, spread over all."""
    X, y = load_digits(return_X_y=True)
    n_rows = 400 if small else len(X)
    estimator = make_pipeline(StandardScaler(), PCA(random_state=0), SVC())
    task, few = Nested(X[:n_rows], y[:n_rows], estimator, GRID), Nested(X[:200], y[:200], estimator, {"svc__C": [1.0, 10.0]})
    cpu_seconds: list[float] = []
    by_hand = Contestant("distinct work, serial", lambda: distinct(task, cpu_seconds))
    seconds = race([*contestants(task, few, ray_joblib=True), by_hand], repeats)
    figures = medians(seconds)
    del figures[by_hand.name]
    peers = {name: value for name, value in figures.items() if name != "foldwise"}
    bound = figures["the bound"] = statistics.median(cpu_seconds) / N_CORES
    best = min(peers, key=lambda name: peers[name])
    sklearn = min(value for name, value in peers.items() if name.startswith("sklearn"))
    ratios = [
        Ratio(f"foldwise / best peer ({best})", figures["foldwise"] / peers[best], 0.60),
        Ratio("foldwise / best of sklearn", figures["foldwise"] / sklearn, 0.60),
        Ratio("foldwise / the bound", figures["foldwise"] / bound, 1.15),
    ]
    notes = [f"the bound: {bound * N_CORES:.2f} CPU seconds of the distinct work / {N_CORES} cores"]
    title = "nested 5-fold grid, digits, scaler + PCA + SVC, 27 params"
    return Result("digits", title, "s", figures, ratios, seconds, notes)


def distinct(task: Nested, cpu_seconds: list[float]) -> list[float]:
    """Do the distinct work by hand, serially: each fit once, each transformer once per train rows and params."""
    clock = time.process_time()
    found: dict[tuple[Any, ...], float] = {}
    every, points = range(task.n_outer), list(itertools.product(*GRID.values()))
    with threadpool_limits(1):
        for left_out in [*itertools.combinations(every, 2), *((i,) for i in every)]:
            _fit_all(task, left_out, found)
        scores = []
        for outer in every:
            means = [np.mean([found[tuple(sorted({i, outer})), i, point] for i in every if i != outer]) for point in points]
            scores.append(found[(outer,), outer, points[int(np.argmax(means))]])
        means = [np.mean([found[(i,), i, point] for i in every]) for point in points]
        best = int(np.argmax(means))
        clone(task.estimator).set_params(**dict(zip(GRID, points[best], strict=True))).fit(task.X, task.y)
    cpu_seconds.append(time.process_time() - clock)
    return [*scores, float(means[best])]


def _fit_all(task: Nested, left_out: tuple[int, ...], found: dict[tuple[Any, ...], float]) -> None:
    rows, scaler = task.train(*left_out), StandardScaler()
    X, y = scaler.fit_transform(task.X[rows]), task.y[rows]
    tests = {i: (scaler.transform(task.X[task.tests[i]]), task.y[task.tests[i]]) for i in left_out}
    for n_components in GRID["pca__n_components"]:
        pca = PCA(n_components, random_state=0)
        Xt = pca.fit_transform(X)
        reduced = {i: (pca.transform(one), labels) for i, (one, labels) in tests.items()}
        for C, gamma in itertools.product(GRID["svc__C"], GRID["svc__gamma"]):
            model = SVC(C=C, gamma=gamma).fit(Xt, y)
            for i, (one, labels) in reduced.items():
                found[left_out, i, (n_components, C, gamma)] = float(model.score(one, labels))
