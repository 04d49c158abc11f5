"""Scorers as scikit-learn takes them; predictions are computed once, and the metric that chooses is known."""

import math

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    f1_score,
    fbeta_score,
    get_scorer,
    get_scorer_names,
    make_scorer,
    mean_squared_error,
    r2_score,
    roc_auc_score,
    zero_one_loss,
)  # fmt: skip
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from foldwise.errors import InputError, InputTypeError
from foldwise.plan.metrics import metric_of
from foldwise.plan.scoring import make_scoring

X, Y = load_iris(return_X_y=True)
TREE = DecisionTreeClassifier(max_depth=1, random_state=0).fit(X, Y)


def two_metrics(estimator, X, y):
    predicted = estimator.predict(X)
    return {"acc": accuracy_score(y, predicted), "f1": f1_score(y, predicted, average="macro")}


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scoring", "metrics", "single"),
    [
        ({"one": "accuracy", "two": "accuracy"}, ("one", "two"), False),
        (None, ("score",), True),
        ("accuracy", ("accuracy",), True),
        (["accuracy", "f1_macro"], ("accuracy", "f1_macro"), False),
        (("f1_macro", "accuracy"), ("f1_macro", "accuracy"), False),
        ({"f1_macro", "accuracy"}, ("accuracy", "f1_macro"), False),  # in an order that no hash decides
        (["accuracy"], ("accuracy",), False),
        ({"a": "accuracy", "f": make_scorer(f1_score, average="macro")}, ("a", "f"), False),
        (get_scorer("accuracy"), ("score",), True),
    ],
)
def test_every_form_gives_its_metrics_and_the_first_chooses(scoring, metrics, single):
    made = make_scoring(TREE, scoring, True)
    made = made.named(tuple(made(TREE, X, Y)[0])) if callable(scoring) else made
    assert (made.metrics, made.single, made.refit, made.objective) == (metrics, single, metrics[0], metrics[0])
    scores, errors = made(TREE, X, Y)
    assert tuple(scores) == metrics
    assert errors == {}


def test_scores_are_those_of_scikit_learn():
    scoring = {"acc": "accuracy", "f1": "f1_macro", "auc": "roc_auc_ovr", "own": lambda e, X, y: e.get_depth()}
    predicted = TREE.predict(X)
    scores, _ = make_scoring(TREE, scoring, "f1")(TREE, X, Y)
    assert scores == {
        "acc": accuracy_score(Y, predicted),
        "f1": f1_score(Y, predicted, average="macro"),
        "auc": roc_auc_score(Y, TREE.predict_proba(X), multi_class="ovr"),
        "own": 1.0,
    }
    assert all(type(score) is float for score in scores.values())


def test_without_scoring_the_estimator_scores_itself():
    assert make_scoring(TREE, None, True)(TREE, X, Y)[0] == {"score": TREE.score(X, Y)}


def test_without_targets_a_scorer_gets_none():
    forest = IsolationForest(random_state=0).fit(X)
    made = make_scoring(forest, lambda estimator, X: estimator.score_samples(X).mean(), True)
    assert made(forest, X, None)[0] == {"score": pytest.approx(forest.score_samples(X).mean())}


def test_a_callable_may_return_several_metrics_of_which_refit_names_one():
    made = make_scoring(TREE, two_metrics, "f1")
    assert (made.metrics, made.single, made.refit, made.objective) == ((), False, "f1", "f1")
    assert set(made(TREE, X, Y)[0]) == {"acc", "f1"}


@pytest.mark.parametrize(("refit", "objective"), [(True, "acc"), (False, "acc"), ("f1", "f1"), (len, "acc")])
def test_a_callables_metrics_are_known_once_they_are_named(refit, objective):
    made = make_scoring(TREE, two_metrics, refit)
    named = made.named(tuple(made(TREE, X, Y)[0]))
    assert (named.metrics, named.single, named.objective) == (("acc", "f1"), False, objective)


@pytest.mark.parametrize("refit", [True, False, "whatever"])
def test_a_callable_that_returns_one_number_is_the_score(refit):
    named = make_scoring(TREE, lambda estimator, X, y: 1.0, refit).named(("score",))
    assert (named.metrics, named.single, named.refit) == (("score",), True, "score")


def test_a_misspelt_metric_of_a_callable_gets_the_nearest():
    with pytest.raises(InputError, match=r"^refit: expected one of the metrics, got 'acccc'; did you mean acc?"):
        make_scoring(TREE, two_metrics, "acccc").named(("acc", "f1"))


class Counting(ClassifierMixin, BaseEstimator):
    calls = 0

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        Counting.calls += 1
        return np.zeros(len(X), dtype=int)


def test_predictions_are_computed_once_for_all_metrics():
    model = Counting().fit(X, Y)
    Counting.calls = 0
    scores, _ = make_scoring(model, ["accuracy", "balanced_accuracy", "f1_macro", "jaccard_macro"], "accuracy")(model, X, Y)
    assert len(scores) == 4
    assert Counting.calls == 1


# --- failures ---------------------------------------------------------------------------------------------------------


def test_one_metric_of_several_that_fails_leaves_the_others():
    scores, errors = make_scoring(TREE, {"good": "accuracy", "bad": lambda estimator, X, y: 1 / 0}, True)(TREE, X, Y)
    assert scores == {"good": TREE.score(X, Y)}
    assert errors["bad"].strip().endswith("ZeroDivisionError: division by zero")


def test_the_only_metric_that_fails_raises():
    with pytest.raises(AttributeError, match="predict_proba"):
        make_scoring(SVC(), "roc_auc_ovr", True)(SVC().fit(X, Y), X, Y)


@pytest.mark.parametrize("value", [None, [1, 2], np.ones(2), 1j, "text", {"score": "text"}])
def test_a_score_that_is_no_number_is_refused(value):
    made = make_scoring(TREE, lambda estimator, X, y: value, True)
    with pytest.raises(TypeError, match=r"scoring must return a number, got .* for score"):
        made(TREE, X, Y)


@pytest.mark.parametrize(
    ("value", "score"), [(np.float32(0.5), 0.5), (np.array(0.5), 0.5), (np.array([1]), 1.0), (True, 1.0), (3, 3.0)]
)
def test_a_number_of_any_kind_is_a_score(value, score):
    assert make_scoring(TREE, lambda estimator, X, y: value, True)(TREE, X, Y)[0] == {"score": score}


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scoring", "kind", "message"),
    [
        ("acuracy", InputError, "^scoring: expected a metric that scikit-learn has, got 'acuracy'; did you mean accuracy?"),
        (
            ["accuracy", "f1macro"],
            InputError,
            "^scoring: expected a metric that scikit-learn has, got 'f1macro'; did you mean f1_macro?",
        ),
        ({"a": "acuracy"}, InputError, "^scoring: .* got 'acuracy'; did you mean accuracy?"),
        (["accuracy", "accuracy"], InputError, r"^scoring: expected each metric once, got \['accuracy', 'accuracy'\]"),
        ([], InputError, r"^scoring: expected at least one metric, got \[\]"),
        ({}, InputError, "^scoring: expected at least one metric, got {}"),
        (
            [get_scorer("accuracy")],
            InputTypeError,
            "^scoring: expected names in a list of metrics, got .*; use a dict for callables",
        ),
        (3, InputTypeError, "^scoring: expected a metric's name, a callable, a list or a dict, got 3"),
        ({"a": 3}, InputTypeError, "^scoring: expected a metric's name or a callable for 'a', got 3"),
        (
            accuracy_score,
            InputTypeError,
            "^scoring: expected scorers for DecisionTreeClassifier, got <function accuracy_score.*make_scorer",
        ),
    ],
)
def test_what_is_no_scorer_is_refused(scoring, kind, message):
    with pytest.raises(kind, match=message):
        make_scoring(TREE, scoring, True)


def test_an_estimator_that_cannot_score_itself_needs_scoring():
    with pytest.raises(InputTypeError, match=r"^scoring: expected scorers for StandardScaler, got None: "):
        make_scoring(StandardScaler(), None, True)


@pytest.mark.parametrize(
    ("scoring", "refit", "kind", "message"),
    [
        (
            ["accuracy", "f1_macro"],
            "f1",
            InputError,
            "^refit: expected one of the metrics, got 'f1'; .*Known: accuracy, f1_macro",
        ),
        ({"acc": "accuracy"}, "accuracy", InputError, "^refit: expected one of the metrics, got 'accuracy'; .*Known: acc"),
        ("accuracy", 3, InputTypeError, "^refit: expected true, false, a metric's name or a callable, got 3"),
        ("accuracy", None, InputTypeError, "^refit: expected true, false, a metric's name or a callable, got None"),
    ],
)
def test_what_names_no_metric_is_refused(scoring, refit, kind, message):
    with pytest.raises(kind, match=message):
        make_scoring(TREE, scoring, refit)


def test_refit_names_the_metric_that_chooses():
    assert make_scoring(TREE, ["accuracy", "f1_macro"], "f1_macro").objective == "f1_macro"
    assert make_scoring(TREE, ["accuracy", "f1_macro"], False).objective == "accuracy"
    assert make_scoring(TREE, "accuracy", "accuracy").objective == "accuracy"


def test_a_callable_refit_chooses_and_the_first_metric_guides_the_search():
    made = make_scoring(TREE, ["f1_macro", "accuracy"], len)
    assert (made.refit, made.objective) == (len, "f1_macro")


# --- what is known of metrics -----------------------------------------------------------------------------------------


class OwnScore(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        return self

    def score(self, X, y):
        return 5.0


@pytest.mark.parametrize(
    ("estimator", "scoring", "zero_one"),
    [
        (SVC(), "accuracy", {"accuracy"}),
        (SVC(), None, {"score"}),
        (make_pipeline(StandardScaler(), SVC()), None, {"score"}),
        (SVC(), "balanced_accuracy", set()),
        (SVC(), ["f1_macro", "accuracy"], {"accuracy"}),
        (SVC(), {"a": "accuracy", "b": "f1_macro", "accuracy": make_scorer(f1_score)}, {"a"}),
        (SVC(), get_scorer("accuracy"), {"score"}),
        (
            SVC(),
            {"made": make_scorer(accuracy_score), "wrong": make_scorer(zero_one_loss, greater_is_better=False)},
            {"made", "wrong"},
        ),
        (SVC(), {"n": make_scorer(accuracy_score, normalize=False), "loss": make_scorer(zero_one_loss)}, set()),
        (SVC(), two_metrics, set()),  # what a callable computes is not known
        (LinearRegression(), None, set()),
        (OwnScore(), None, set()),
    ],
)
def test_means_of_right_and_wrong_rows_are_known(estimator, scoring, zero_one):
    assert make_scoring(estimator, scoring, True).zero_one == zero_one


@pytest.mark.parametrize(
    ("estimator", "scoring", "limits"),
    [
        (SVC(), "accuracy", (0, 1)),
        (SVC(), None, (0, 1)),
        (SVC(), "f1_weighted", (0, 1)),
        (SVC(), "roc_auc_ovo", (0, 1)),
        (SVC(), "matthews_corrcoef", (-1, 1)),
        (SVC(), "neg_log_loss", (-math.inf, 0)),
        (LinearRegression(), None, (-math.inf, 1)),
        (LinearRegression(), "r2", (-math.inf, 1)),
        (LinearRegression(), "neg_root_mean_squared_error", (-math.inf, 0)),
        (SVC(), make_scorer(accuracy_score), (0, 1)),
        (SVC(), make_scorer(accuracy_score, normalize=False), (0, math.inf)),
        (SVC(), make_scorer(zero_one_loss, greater_is_better=False), (-1, 0)),
        (SVC(), make_scorer(fbeta_score, beta=2, average="macro"), (0, 1)),
        (SVC(), make_scorer(cohen_kappa_score), (-1, 1)),
        (SVC(), make_scorer(balanced_accuracy_score, adjusted=True), (-1, 1)),
        (LinearRegression(), make_scorer(mean_squared_error, greater_is_better=False), (-math.inf, 0)),
        (LinearRegression(), make_scorer(mean_squared_error), (0, math.inf)),
    ],
)
def test_the_range_of_a_metric_is_known(estimator, scoring, limits):
    made = make_scoring(estimator, scoring, True)
    assert made.ranges == {made.metrics[0]: limits}


def test_a_callables_range_is_not_known():
    assert make_scoring(SVC(), two_metrics, "f1").ranges == {}
    assert make_scoring(OwnScore(), None, True).ranges == {}


@pytest.mark.parametrize("name", sorted(get_scorer_names()))
def test_every_metric_that_scikit_learn_names_has_a_range(name):
    unbounded = {"positive_likelihood_ratio", "neg_negative_likelihood_ratio"}
    low, high = metric_of(get_scorer(name)).limits
    assert math.isinf(low) and math.isinf(high) if name in unbounded else min(abs(low), abs(high)) <= 2
    assert not name.startswith("neg_") or name in unbounded or high == 0


@pytest.mark.parametrize(
    "name", ["accuracy", "f1_macro", "roc_auc_ovr", "neg_log_loss", "matthews_corrcoef", "jaccard_macro", "top_k_accuracy"]
)
def test_scores_of_classifiers_lie_in_their_range(name):
    model = LogisticRegression(C=1e-6).fit(X, Y)
    made = make_scoring(model, name, True)
    low, high = made.ranges[name]
    assert low <= made(model, X, Y)[0][name] <= high


@pytest.mark.parametrize(
    "name", ["r2", "explained_variance", "d2_absolute_error_score", "neg_max_error", "neg_median_absolute_error"]
)
def test_scores_of_regressors_lie_in_their_range(name):
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(X, y)
    made = make_scoring(model, name, True)
    low, high = made.ranges[name]
    for predicted in (y, -y):
        assert low <= made(model, X, predicted)[0][name] <= high
    assert r2_score(y, model.predict(X)) == make_scoring(model, "r2", True)(model, X, y)[0]["r2"]
