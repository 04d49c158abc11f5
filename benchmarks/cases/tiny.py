"""Case 3: tiny fits, one per trial. GaussianNB on iris: what a trial costs beside the fit itself."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB

from benchmarks.machine import N_CORES
from benchmarks.peers import joblib_on_ray, start_ray
from benchmarks.race import Contestant, Ratio, Result, medians, race

X, Y = load_iris(return_X_y=True)
OUTER, INNER = StratifiedShuffleSplit(1, test_size=30, random_state=0), StratifiedShuffleSplit(1, test_size=30, random_state=1)
_TRAIN, _TEST = next(OUTER.split(X, Y))
_Rows = tuple[np.ndarray, np.ndarray]


def splits() -> list[_Rows]:
    """Return the train and test rows of the two searches: within the outer train rows, and over all rows."""
    train, test = next(INNER.split(X[_TRAIN], Y[_TRAIN]))
    return [(_TRAIN[train], _TRAIN[test]), (_TRAIN, _TEST)]


def values(n: int) -> list[float]:
    """Return the values of the one param."""
    return [float(value) for value in np.logspace(-12, -1, n)]


def run(repeats: int, small: bool) -> Result:
    """Time a trial of each; those that take long get fewer trials."""
    n = 100 if small else 1000
    pool = multiprocessing.get_context("spawn").Pool(N_CORES)
    per_trial: dict[str, list[float]] = {}
    try:
        contestants = [
            Contestant("foldwise", lambda: foldwise(n), lambda: foldwise(50)),
            Contestant(f"{N_CORES} plain Python loops", lambda: loops(pool, n), lambda: loops(pool, 10)),
            Contestant("Ray joblib", lambda: ray_joblib(n), lambda: ray_joblib(10)),
            Contestant("Optuna", lambda: optuna(n), lambda: optuna(10)),
        ]
        for name, seconds in race(contestants, repeats).items():
            per_trial[name] = [1000 * one / (2 * n) for one in seconds]
    finally:
        pool.terminate()
    for name, reuse, n_tune in (("Ray Tune, reused actors", True, 20 if small else 60), ("Ray Tune, fresh actors", False, 4)):
        tune_trials(2, reuse=reuse)
        per_trial[name] = [1000 * tune_trials(n_tune, reuse=reuse) / n_tune for _ in range(repeats)]
    figures = medians(per_trial)
    own = figures["foldwise"]
    ratios = [
        Ratio("foldwise / Ray Tune, reused actors", own / figures["Ray Tune, reused actors"], 1 / 100),
        Ratio("foldwise / Ray joblib", own / figures["Ray joblib"], 1 / 5),
        Ratio("speed of plain loops that is reached", figures[f"{N_CORES} plain Python loops"] / own, 0.70, at_least=True),
    ]
    notes = [f"{2 * n} trials of one fit each; Ray Tune: {20 if small else 60} with reused actors and 4 with fresh ones"]
    return Result("tiny", "tiny fits, one per trial: GaussianNB on iris", "ms per trial", figures, ratios, per_trial, notes)


# --- the contestants' ways ---


def foldwise(n: int) -> float:
    """Nested, with one outer and one inner split: a study over the outer train rows, and the final one."""
    import foldwise as fw  # lazily: its time is not the peers'

    search = fw.NestedSearchCV(
        GaussianNB(), {"var_smoothing": values(n)}, search="grid", outer_cv=OUTER, inner_cv=INNER, random_state=0
    )
    return float(search.fit(X, Y).best_score_)


def one_fit(value: float, train: np.ndarray, test: np.ndarray) -> float:
    """Do the work of a trial."""
    model = clone(GaussianNB()).set_params(var_smoothing=value)
    return float(model.fit(X[train], Y[train]).score(X[test], Y[test]))


def loop(some: Sequence[float], train: np.ndarray, test: np.ndarray) -> list[float]:
    """Do it for some values, one after the other."""
    return [one_fit(value, train, test) for value in some]


def loops(pool: Any, n: int) -> float:
    """One plain loop per core, each over its share."""
    shares = np.array_split(values(n), N_CORES // 2 or 1)
    tasks = [(share.tolist(), *rows) for rows in splits() for share in shares]
    done = pool.starmap(loop, tasks, chunksize=1)
    return float(max(score for scores in done[len(shares) :] for score in scores))


def ray_joblib(n: int) -> float:
    """scikit-learn's grid search, on Ray by its joblib backend."""
    best = 0.0
    with joblib_on_ray():
        for split in splits():
            search = GridSearchCV(GaussianNB(), {"var_smoothing": values(n)}, cv=[split], refit=False, n_jobs=N_CORES)
            best = float(search.fit(X, Y).best_score_)
    return best


def optuna(n: int) -> None:
    """Two studies of random draws, one after the other: what it asks is its own, so there is nothing to agree on."""
    import optuna as library

    library.logging.set_verbosity(library.logging.ERROR)
    for train, test in splits():
        study = library.create_study(direction="maximize", sampler=library.samplers.RandomSampler(seed=0))

        def objective(trial: Any, train: np.ndarray = train, test: np.ndarray = test) -> float:
            return one_fit(trial.suggest_float("var_smoothing", 1e-12, 1e-1, log=True), train, test)

        study.optimize(objective, n_trials=n)


def tune_trials(n: int, *, reuse: bool) -> float:
    """Run trials of Ray Tune, and return their seconds."""
    start_ray()
    from ray import tune

    train, test = splits()[-1]

    class Trainable(tune.Trainable):
        def setup(self, config: dict[str, Any]) -> None:
            self.value = config["value"]

        def reset_config(self, config: dict[str, Any]) -> bool:
            self.value = config["value"]
            return True

        def step(self) -> dict[str, Any]:
            return {"score": one_fit(self.value, train, test), "done": True}

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            Trainable,
            param_space={"value": tune.grid_search(values(n))},
            tune_config=tune.TuneConfig(reuse_actors=reuse, max_concurrent_trials=N_CORES),
            run_config=tune.RunConfig(
                storage_path=folder, verbose=0, checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False)
            ),
        )
        clock = time.perf_counter()
        results = tuner.fit()
        assert not results.errors, results.errors[0]
        return time.perf_counter() - clock
