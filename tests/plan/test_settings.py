"""Settings are what is asked for, validated once, whichever face makes them."""

import math

import numpy as np
import pytest
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import InputError, InputTypeError
from foldwise.plan.settings import Settings, fits_at_once, make_seed


def test_what_is_not_asked_for_has_the_defaults_of_the_python_face():
    asked = Settings.of({"random_state": 0})
    face = fw.NestedSearchCV(SVC(), {"C": [1]}).get_params(deep=False)
    for name in ("n_trials", "batch", "outer_cv", "inner_cv", "scoring", "refit", "return_train_score", "n_jobs", "schedule"):
        assert getattr(asked, name) == face[name]
    assert math.isnan(asked.error_score)
    assert asked.search.method == face["search"]
    assert (asked.resources, asked.limits, asked.repeats) == (type(asked.resources)(), type(asked.limits)(), 1)


def test_values_are_as_the_rest_of_the_package_takes_them():
    asked = Settings.of(
        {"batch": np.int64(3), "return_train_score": np.True_, "error_score": 0, "resources": {"cpu": 2}, "random_state": 7,
         "schedule": {"method": "asha", "max_epochs": 9}, "limits": {"seconds": 5}, "n_jobs": 2}
    )  # fmt: skip
    assert (type(asked.batch), asked.return_train_score is True, type(asked.error_score)) == (int, True, float)
    assert (asked.resources.cpu, asked.schedule.max_epochs, asked.limits.seconds) == (2, 9, 5.0)
    assert (asked.seed, asked.n_jobs) == (7, 2)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("n_trials", 0, "n_trials: expected an integer >= 1, got 0"),
        ("batch", 1.5, "batch: expected an integer >= 1, got 1.5"),
        ("repeats", True, "repeats: expected an integer >= 1, got True"),
        ("return_train_score", "yes", "return_train_score: expected true or false, got 'yes'"),
        ("error_score", "rise", "error_score: expected a number or 'raise', got 'rise'"),
        ("error_score", math.inf, "error_score: expected a number that is finite"),
        ("search", "girt", "search: expected a search method, got 'girt'"),
        ("schedule", {"method": "asap"}, "schedule.method: "),
        ("resources", {"cpus": 1}, "resources.cpus: "),
        ("limits", {"second": 1}, "limits.second: expected a known limit"),
        ("n_jobs", 0, "n_jobs: expected an integer other than 0"),
        ("random_state", -1, "random_state: expected an integer from 0"),
        ("n_trails", 5, "n_trails: expected a known setting, got 'n_trails'; did you mean n_trials"),
    ],
)
def test_what_is_wrong_is_named(name, value, words):
    with pytest.raises(InputError) as caught:
        Settings.of({name: value})
    assert str(caught.value).startswith(words)


def test_a_wrong_setting_draws_no_seed():
    state = np.random.RandomState(0)
    with pytest.raises(InputError):
        Settings.of({"n_trials": 0, "random_state": state})
    assert Settings.of({"random_state": state}).seed == make_seed(np.random.RandomState(0))


def test_both_faces_make_equal_settings(tmp_path):
    asked = {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro", "limits": {"fit_seconds": 9}, "resources": {"cpu": 2}}
    job = fw.Job.parse(
        {
            "name": "iris", "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.svm:SVC",
            "space": {"C": [1, 10]}, "search": {"method": "grid", "trials": 2, "batch": 3}, "folds": {"outer": 3, "inner": 4},
            "seed": 5, "n_jobs": 2, "error_score": 0.0, **asked,
        }
    )  # fmt: skip
    problem = job.open()
    search = fw.NestedSearchCV(
        SVC(), {"C": [1, 10]}, search="grid", n_trials=2, batch=3, outer_cv=3, inner_cv=4, error_score=0.0, n_jobs=2,
        random_state=5, experiment="iris", **asked,
    )  # fmt: skip
    X, y = problem.dataset.X, problem.dataset.y
    assert search.plan(X, y).problem.settings == problem.settings


# --- seeds ------------------------------------------------------------------------------------------------------------


def test_a_seed_is_the_given_one():
    assert make_seed(7) == make_seed(np.int64(7)) == 7
    assert make_seed(2**32 - 1) == 2**32 - 1


def test_a_seed_is_drawn_from_a_random_state():
    assert make_seed(np.random.RandomState(3)) == make_seed(np.random.RandomState(3))
    state = np.random.RandomState(3)
    assert make_seed(state) != make_seed(state)


def test_without_a_seed_a_fresh_one_is_drawn():
    seeds = {make_seed(None) for _ in range(20)}
    assert len(seeds) == 20
    assert all(0 <= seed < 2**31 for seed in seeds)
    with pytest.raises(InputTypeError, match=r"^random_state: "):
        make_seed("now")


# --- how many at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "meant"), [(None, None), (-1, None), (1, 1), (3, 3)])
def test_n_jobs_as_scikit_learns_users_mean_it(given, meant):
    assert fits_at_once(given) == meant


def test_negative_n_jobs_leave_cores_free(monkeypatch):
    monkeypatch.setattr("foldwise.plan.settings.os.cpu_count", lambda: 8)
    assert fits_at_once(-2) == 7
    assert fits_at_once(-20) == 1


@pytest.mark.parametrize("wrong", [0, 1.5, "two", True])
def test_a_wrong_n_jobs_is_named(wrong):
    with pytest.raises(InputError, match="n_jobs: expected an integer"):
        fits_at_once(wrong)
