"""Case 9: trials that train in epochs on Ray Tune. A perceptron on digits: what the Tune executor costs beside Tune itself.

No trial is stopped, so that all do the same training: three outer folds, their inner ones in lockstep, the final search, the
refits and the final model. The peers are written by hand, as briefly as it goes: they keep no states to be resumed from.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

from benchmarks.peers import start_ray
from benchmarks.race import Contestant, Ratio, Result, medians, race
from benchmarks.tune_by_hand import Lockstep, trained

X, Y = load_digits(return_X_y=True)
OUTER = StratifiedKFold(3, shuffle=True, random_state=0)
MODEL = MLPClassifier((64,), random_state=0)
ALPHAS, RATES = [1e-5, 1e-3, 0.1], [1e-3, 1e-2]


def run(repeats: int, small: bool) -> Result:
    """Race foldwise with a Tuner for all studies at once, and with a Tuner per study."""
    epochs = 2 if small else 12
    os.environ["OMP_NUM_THREADS"] = "1"  # of the peers' refits; the others' threads are limited as it is
    start_ray()
    contestants = [
        Contestant("foldwise", lambda: foldwise(epochs)),
        Contestant("Tune by hand, one Tuner for all", lambda: by_hand(epochs, one_tuner=True)),
        Contestant("Tune by hand, a Tuner per study", lambda: by_hand(epochs, one_tuner=False)),
    ]
    seconds = race(contestants, repeats)
    figures = medians(seconds)
    ratio = Ratio("foldwise / Tune by hand", figures["foldwise"] / figures["Tune by hand, one Tuner for all"], 1.1)
    n_trials = 4 * len(ALPHAS) * len(RATES)
    notes = [f"{n_trials} trials of {epochs} epochs in 2 or 3 inner folds, 3 refits and the final model; actors start anew"]
    return Result("epochs", "trials that train in epochs: a perceptron on digits", "s", figures, [ratio], seconds, notes)


# --- the contestants' ways ---


def foldwise(epochs: int) -> list[float]:
    """Search with a schedule that stops nothing."""
    import foldwise as fw  # lazily: its time is not the peers'

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FOLDWISE_STORAGE"] = folder
        search = fw.NestedSearchCV(
            MODEL, {"alpha": ALPHAS, "learning_rate_init": RATES}, search="grid", outer_cv=OUTER, random_state=0,
            schedule={"method": "asha", "max_epochs": epochs, "grace_epochs": epochs},
        ).fit(X, Y)  # fmt: skip
    return [*search.outer_scores_["score"], search.best_score_]


def by_hand(epochs: int, *, one_tuner: bool) -> list[float]:
    """Tune each study, then refit its best params and score them on its outer fold."""
    outer = list(OUTER.split(X, Y))
    inner = [_inner_of(number, outer) for number in range(len(outer))]
    studies = [*inner, outer]
    found = tuned(studies, epochs) if one_tuner else [tuned([study], epochs)[0] for study in studies]
    return [*refits([params for params, _ in found], outer, epochs), found[-1][1]]


def _inner_of(number: int, outer: Sequence[Any]) -> list[Any]:
    """Return the other outer folds, without this one's rows."""
    held_out = outer[number][1]
    return [(np.setdiff1d(train, held_out), test) for other, (train, test) in enumerate(outer) if other != number]


def tuned(studies: Sequence[Any], epochs: int) -> list[tuple[dict[str, float], float]]:
    """Run a Tuner over some studies; returns the best params and mean score of each."""
    from ray import tune

    import foldwise.executors.tune.tuner as own  # so that Tune is set up alike: no tables, no loggers

    own.set_environment()
    with tempfile.TemporaryDirectory() as folder:
        results = tune.Tuner(
            tune.with_parameters(Lockstep, model=MODEL, X=X, y=Y, studies=studies),
            param_space={
                "study": tune.grid_search(list(range(len(studies)))), "alpha": tune.grid_search(ALPHAS),
                "learning_rate_init": tune.grid_search(RATES),
            },
            tune_config=tune.TuneConfig(metric="score", mode="max", reuse_actors=True),
            run_config=tune.RunConfig(
                stop={"training_iteration": epochs}, verbose=0, storage_path=folder,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()  # fmt: skip
        found: dict[tuple[int, float, float], float] = {}
        for result in results:
            config = result.config
            found[config["study"], config["alpha"], config["learning_rate_init"]] = result.metrics["score"]
    best = []
    for study in range(len(studies)):
        alpha, rate = max(itertools.product(ALPHAS, RATES), key=lambda point: found[study, *point])
        best.append(({"alpha": alpha, "learning_rate_init": rate}, found[study, alpha, rate]))
    return best


def refits(chosen: Sequence[dict[str, float]], outer: Sequence[Any], epochs: int) -> list[float]:
    """Train the choices on their outer train rows, and the last one on all rows."""
    import ray

    task = ray.remote(_refit)
    rows = [*outer, (np.arange(len(Y)), np.arange(0))]
    handles = [task.remote(params, train, test, epochs) for params, (train, test) in zip(chosen, rows, strict=True)]
    *scores, _ = ray.get(handles)
    return scores


def _refit(params: dict[str, float], train: np.ndarray, test: np.ndarray, epochs: int) -> float:
    model = trained(clone(MODEL).set_params(**params), X[train], Y[train], epochs)
    return float(model.score(X[test], Y[test])) if len(test) else 0.0
