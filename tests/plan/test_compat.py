"""A canary per thing that the plan relies on of scikit-learn's private parts."""

import numpy as np
import pytest
from sklearn.metrics import (
    check_scoring,
    fbeta_score,
    get_scorer,
    make_scorer,
    max_error,
    mean_squared_error,
    roc_auc_score,
)
from sklearn.svm import SVC

from foldwise.plan.compat import accepts_weights, is_made, parts_of_scorer, scorers_within


@pytest.mark.parametrize(
    "scorer", [get_scorer("accuracy"), get_scorer("roc_auc"), make_scorer(roc_auc_score, response_method="predict_proba")]
)
def test_a_scorer_that_was_made_is_recognised(scorer):
    assert is_made(scorer)


@pytest.mark.parametrize("scorer", [check_scoring(SVC()), check_scoring(SVC(), ["accuracy"]), lambda estimator, X, y: 1.0])
def test_another_scorer_is_not_taken_for_one_that_was_made(scorer):
    assert not is_made(scorer)


def test_a_made_scorer_names_its_parts():
    parts = parts_of_scorer(make_scorer(fbeta_score, beta=2.0))
    assert (parts.function, parts.sign, dict(parts.keywords)) == (fbeta_score, 1, {"beta": 2.0})
    parts = parts_of_scorer(make_scorer(mean_squared_error, greater_is_better=False))
    assert (parts.function, parts.sign, dict(parts.keywords)) == (mean_squared_error, -1, {})


def test_a_scorer_of_several_metrics_names_its_scorers():
    several = check_scoring(SVC(), {"a": "accuracy", "f": "f1"})
    assert {name: type(one) for name, one in scorers_within(several).items()} == dict.fromkeys("af", type(get_scorer("f1")))
    assert scorers_within(get_scorer("accuracy")) is None


def test_a_made_scorer_tells_whether_it_weighs_rows():
    assert accepts_weights(get_scorer("accuracy")) is True
    assert accepts_weights(make_scorer(max_error)) is False
    assert accepts_weights(lambda estimator, X, y: np.nan) is None
