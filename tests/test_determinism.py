"""Rule 1: results do not depend on the machine, on the executor or on what finishes first."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.svm import SVC

import foldwise as fw
from foldwise.keys import digest
from foldwise.testing import ShuffledExecutor

SEARCHES = {
    "grid": (SVC(), {"C": [1, 10], "gamma": [0.01, 0.1]}, {}),
    "random": (SVC(), {"C": fw.Float(0.1, 100, log=True), "kernel": ["rbf", "linear"]}, {"n_trials": 5}),
    "optuna": (
        ExtraTreesClassifier(5),
        {"max_depth": fw.Int(1, 8), "criterion": ["gini", "entropy"], "max_features": fw.Float(0.2, 1)},
        {"n_trials": 14, "batch": 3},
    ),
}


def result_of(method, executor, n_jobs=None):
    estimator, space, options = SEARCHES[method]
    X, y = load_iris(return_X_y=True)
    search = fw.NestedSearchCV(
        estimator, space, search=method, outer_cv=3, executor=executor, random_state=11, n_jobs=n_jobs, **options
    ).fit(X, y)  # fmt: skip
    report = {key: value for key, value in search.report().to_dict().items() if key != "seconds"}
    report["outer"] = [{key: value for key, value in one.items() if key != "seconds"} for one in report["outer"]]
    trials = search.trials_.drop(columns=["started", "seconds"]).to_json()
    return digest(report, trials, search.predict(X))


@pytest.fixture(scope="module")
def serial():
    return {method: result_of(method, "serial") for method in SEARCHES}


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_order_of_completion_does_not_matter(method, seed, serial):
    assert result_of(method, ShuffledExecutor(seed, n_slots=1 + 5 * seed)) == serial[method]


@pytest.mark.parametrize("method", SEARCHES)
@pytest.mark.parametrize("n_jobs", [None, 1])
def test_ray_gives_what_the_serial_executor_gives(method, n_jobs, serial):
    assert result_of(method, "ray", n_jobs) == serial[method]


def test_ray_with_one_cpu_gives_the_same(serial):
    script = (
        "import os, secrets, importlib.util, sys\n"
        "os.environ.update(RAY_AUTH_MODE='token', RAY_AUTH_TOKEN=secrets.token_hex(16), RAY_USAGE_STATS_ENABLED='0')\n"
        "import ray\n"
        "ray.init(address='local', num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level='error')\n"
        "spec = importlib.util.spec_from_file_location('determinism', sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(*(module.result_of(method, 'ray') for method in module.SEARCHES))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, __file__], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split()[-3:] == list(serial.values())


def test_the_same_seed_gives_the_same_and_another_another():
    X, y = load_iris(return_X_y=True)
    rng = np.random.RandomState(0)
    y = np.where(rng.rand(len(y)) < 0.3, rng.randint(3, size=len(y)), y)

    def scores(seed):
        search = fw.NestedSearchCV(
            ExtraTreesClassifier(3), {"max_depth": [2, 6]}, search="grid", outer_cv=3, executor="serial", random_state=seed
        )
        return search.fit(X, y).outer_scores_["score"].tolist()

    assert scores(1) == scores(1)
    assert scores(1) != scores(2)


def test_params_get_the_same_luck():
    """Seeds derive from the rows and the step, not from the params: equal models score equally under different names."""
    X, y = load_iris(return_X_y=True)
    search = fw.NestedSearchCV(
        ExtraTreesClassifier(3, max_depth=1),
        {"n_jobs": [None, 1]},
        search="grid",
        outer_cv=3,
        executor="serial",
        random_state=0,
    ).fit(X, y)
    first, second = (group.filter(like="split").to_numpy() for _, group in search.trials_.groupby("trial"))
    np.testing.assert_array_equal(first, second)


def test_a_drawn_seed_is_kept_and_gives_the_same_again():
    X, y = load_iris(return_X_y=True)
    options = {"search": "random", "n_trials": 3, "outer_cv": 3, "executor": "serial"}
    drawn = fw.NestedSearchCV(ExtraTreesClassifier(3), {"max_depth": fw.Int(1, 9)}, **options).fit(X, y)
    again = fw.NestedSearchCV(ExtraTreesClassifier(3), {"max_depth": fw.Int(1, 9)}, random_state=drawn.seed_, **options).fit(
        X, y
    )
    assert again.outer_results_["params"].tolist() == drawn.outer_results_["params"].tolist()
    assert again.report().key == drawn.report().key
