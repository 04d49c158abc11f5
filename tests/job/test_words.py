"""Errors in the words of a job: what foldwise says is reworded, what it echoes is not."""

import pytest

from foldwise.errors import InputError
from foldwise.job.job import Job
from foldwise.job.words import in_the_words_of_a_job

ECHOED = [
    "got Pipeline(steps=[('a', SVC(random_state=0))], random_state=3, drop='first')",
    "got {'random_state': 0, 'n_trials': 3}",
    "got 'random_state'; did you mean random_state? Known: n_trials, outer_cv, random_state",
    "got make(f(x), random_state=0",  # cut
    "it's named 'inner_cv, outer_cv'",
]


@pytest.mark.parametrize("text", ECHOED)
def test_what_is_echoed_stays(text):
    assert in_the_words_of_a_job(text) == text


@pytest.mark.parametrize(
    ("said", "reworded"),
    [
        ("use outer_cv=5 with random_state=0", "use folds.outer: 5 with seed: 0"),
        ("expected an integer for n_trials, got 0", "expected an integer for search.trials, got 0"),
        (
            "use search='random' or inner_cv=5; not f(outer_cv=3)",
            "use search.method: random or folds.inner: 5; not f(outer_cv=3)",
        ),
        ("got SVC(C=(1)), so inner_cv=3", "got SVC(C=(1)), so folds.inner: 3"),
    ],
)
def test_advice_is_reworded(said, reworded):
    assert in_the_words_of_a_job(said) == reworded


def test_an_estimators_params_are_listed_by_their_names():
    job = Job.parse(
        {
            "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.tree:DecisionTreeClassifier",
            "space": {"depth": [1]}, "search": {"method": "grid"},
        }
    )  # fmt: skip
    with pytest.raises(InputError, match="random_state") as caught:
        job.check()
    assert ", seed," not in str(caught.value)
