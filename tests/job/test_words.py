"""Errors in the words of a job: the arguments that a fix names are said as the file has them, what a message echoes is not touched."""

import pickle

import pytest

from foldwise.errors import InputError, Setting
from foldwise.job.job import Job
from foldwise.job.words import in_job_words

IRIS = {
    "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.tree:DecisionTreeClassifier",
    "space": {"max_depth": [1, 2]}, "search": {"method": "grid"}, "executor": "serial",
}  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"folds": {"outer": 2}}, "folds.inner: expected at least 3 outer folds to share them, got 2; use folds.outer: 3 or more, or use "
                                  "folds.inner: 5 or a splitter for the inner loop"),
        ({"search": {"method": "grid", "trials": 1}}, "search.trials: expected at least 2 for a grid of 2 points, got 1; a grid is never cut; "
                                                      "leave search.trials out, or use search.method: random"),
        ({"resources": {"gpu": 1}}, "resources: expected cpu and memory only with the serial executor, got {'GPU': 1}; use executor: ray"),
    ],
)  # fmt: skip
def test_a_fix_names_the_keys_of_the_job(keys, said):
    with pytest.raises(InputError) as caught:
        Job.parse({**IRIS, **keys}).plan()
    assert str(caught.value) == f"job: {said}"


def test_python_says_the_same_with_its_arguments():
    error = InputError(
        "inner_cv", "expected folds, got 1", fix=("use ", Setting("outer_cv", "3"), ", or raise ", Setting("n_trials"))
    )
    assert str(error) == "inner_cv: expected folds, got 1; use outer_cv=3, or raise n_trials"
    moved = error.moved("folds.inner", "x.yaml", in_job_words)
    assert str(moved) == "x.yaml: folds.inner: expected folds, got 1; use folds.outer: 3, or raise search.trials"
    assert str(pickle.loads(pickle.dumps(moved))) == str(moved)


def test_what_a_message_echoes_stays_as_it_is():
    error = InputError(
        "space.C", "expected a param, got SVC(random_state=0); did you mean random_state? Known: random_state, tol"
    )
    assert error.moved("space.C", "x.yaml", in_job_words).problem == error.problem


def test_an_estimators_params_are_listed_by_their_names():
    with pytest.raises(InputError, match="random_state") as caught:
        Job.parse({**IRIS, "space": {"depth": [1]}}).check()
    assert ", seed," not in str(caught.value)
