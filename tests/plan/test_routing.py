"""Weights, groups and other metadata go where scikit-learn's searches hand them, and scores are weighted as theirs are."""

import inspect

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.feature_selection import RFECV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, get_scorer, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, PredefinedSplit, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foldwise as fw
from foldwise.plan.routing import WEIGHT, hand_out

X, CLEAN = load_iris(return_X_y=True)
RANDOM = np.random.RandomState(1)
WEIGHTS = RANDOM.exponential(size=150) ** 3 + 1e-3
Y = np.where(RANDOM.rand(150) < 0.25, RANDOM.randint(0, 3, 150), CLEAN)
GROUPS = np.arange(150) // 3
MODEL = LogisticRegression(max_iter=300)
GRID = {"C": [0.001, 0.1, 10]}


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def assert_same(ours, theirs, judged, metrics=("score",)):
    for metric in metrics:
        column = f"test_{metric}"
        np.testing.assert_array_equal(ours.outer_scores_[metric], judged[column])
        np.testing.assert_array_equal(ours.cv_results_[f"mean_{column}"], theirs.cv_results_[f"mean_{column}"])
        if f"mean_train_{metric}" in theirs.cv_results_:
            np.testing.assert_array_equal(ours.cv_results_[f"mean_train_{metric}"], theirs.cv_results_[f"mean_train_{metric}"])
    assert ours.outer_results_["params"].tolist() == [one.best_params_ for one in judged["estimator"]]


@pytest.mark.parametrize("scoring", [None, "accuracy", ["accuracy", "f1_macro"]])
def test_weights_reach_the_scores_that_choose_and_not_those_that_judge(scoring):
    refit = "f1_macro" if isinstance(scoring, list) else True
    options = {"scoring": scoring, "refit": refit, "return_train_score": True}
    theirs = GridSearchCV(MODEL, GRID, cv=3, **options)
    judged = cross_validate(theirs, X, Y, cv=4, scoring=scoring, params={WEIGHT: WEIGHTS}, return_estimator=True)
    ours = fw.NestedSearchCV(MODEL, GRID, search="grid", outer_cv=4, inner_cv=3, executor="serial", **options)
    ours.fit(X, Y, sample_weight=WEIGHTS)
    flat = GridSearchCV(MODEL, GRID, cv=3, **options).fit(X, Y, sample_weight=WEIGHTS)
    if scoring == "accuracy":
        ours.outer_scores_["score"] = ours.outer_scores_["accuracy"]
    assert_same(ours, flat, judged, scoring if isinstance(scoring, list) else ("score",))
    plain = fw.NestedSearchCV(MODEL, GRID, search="grid", outer_cv=4, inner_cv=3, executor="serial", **options).fit(X, Y)
    assert any(
        not np.array_equal(ours.cv_results_[name], plain.cv_results_[name]) for name in plain.cv_results_ if "test" in name
    )


def test_shared_folds_are_weighted_in_both_loops_by_the_same_fits():
    folds = list(StratifiedKFold(3).split(X, Y))
    ours = fw.NestedSearchCV(MODEL, GRID, search="grid", outer_cv=folds, executor="serial")
    ours.fit(X, Y, sample_weight=WEIGHTS)
    assert ours.n_fits_ == 3 * (3 + 3) + 1
    for i, (train, test) in enumerate(folds):
        number = np.full(150, -1)
        for j, (_, rows) in enumerate(folds):
            number[rows] = j if j != i else -1
        one = GridSearchCV(MODEL, GRID, cv=PredefinedSplit(number[train])).fit(X[train], Y[train], sample_weight=WEIGHTS[train])
        assert ours.outer_results_["params"][i] == one.best_params_
        assert ours.outer_results_["inner_best"][i] == one.best_score_
        assert ours.outer_scores_["score"][i] == one.score(X[test], Y[test])
    assert "Inner scores are weighted by sample_weight and outer scores are not" in str(ours.report())


def test_weights_mean_the_same_on_ray():
    searches = [
        fw.NestedSearchCV(MODEL, GRID, search="grid", outer_cv=3, executor=executor).fit(X, Y, sample_weight=WEIGHTS)
        for executor in ("serial", "ray")
    ]
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(*(one.cv_results_[name] for one in searches))


@pytest.mark.parametrize(
    ("scoring", "named"),
    [
        (lambda estimator, X, y: estimator.score(X, y), "The scoring <function"),
        (make_scorer(lambda y, predicted: float(np.mean(y == predicted))), "The scoring make_scorer"),
        ({"own": make_scorer(lambda y, predicted: float(np.mean(y == predicted))), "acc": "accuracy"}, "The scoring own="),
    ],
)
def test_a_scorer_that_cannot_weigh_is_warned_of(scoring, named):
    refit = "acc" if isinstance(scoring, dict) else True
    search = fw.NestedSearchCV(MODEL, GRID, search="grid", outer_cv=3, executor="serial", scoring=scoring, refit=refit)
    with pytest.warns(UserWarning, match="does not support sample_weight") as caught:
        search.fit(X, Y, sample_weight=WEIGHTS)
    assert [str(one.message).startswith(named) for one in caught] == [True]


def test_a_weight_that_is_the_same_for_all_rows_is_no_other_score():
    one, other = (
        fw.NestedSearchCV(MODEL, GRID, search="grid", outer_cv=3, executor="serial").fit(X, Y, sample_weight=weight)
        for weight in (np.ones(150), None)
    )
    np.testing.assert_allclose(one.cv_results_["mean_test_score"], other.cv_results_["mean_test_score"])


# --- metadata routing -------------------------------------------------------------------------------------------------


def test_requests_of_estimators_transformers_scorers_and_splitters_are_honoured(routing):
    model = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), clone_with_request(MODEL))
    grid = {"logisticregression__C": GRID["C"]}
    scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
    theirs = GridSearchCV(model, grid, cv=GroupKFold(3), scoring=scorer)
    metadata = {WEIGHT: WEIGHTS, "groups": GROUPS}
    judged = cross_validate(theirs, X, Y, cv=GroupKFold(4), scoring=scorer, params=metadata, return_estimator=True)
    ours = fw.NestedSearchCV(
        model, grid, search="grid", outer_cv=GroupKFold(4), inner_cv=GroupKFold(3), scoring=scorer, executor="serial"
    )
    ours.fit(X, Y, groups=GROUPS, sample_weight=WEIGHTS)
    flat = GridSearchCV(model, grid, cv=GroupKFold(3), scoring=scorer).fit(X, Y, **metadata)
    assert_same(ours, flat, judged)
    assert ours.score(X, Y, sample_weight=WEIGHTS) == flat.score(X, Y, sample_weight=WEIGHTS)
    assert "Inner scores are weighted" not in str(ours.report())


def clone_with_request(model):
    return sklearn.base.clone(model).set_fit_request(sample_weight=True)


@pytest.mark.parametrize("executor", ["serial", "ray"])
def test_groups_reach_an_estimator_whose_own_splitter_requests_them(routing, executor):
    groups = np.tile(np.arange(15), 10)
    selector, grid = RFECV(MODEL, cv=GroupKFold(3)), {"min_features_to_select": [1, 3]}
    theirs = GridSearchCV(selector, grid, cv=GroupKFold(3)).fit(X, CLEAN, groups=groups)
    ours = fw.NestedSearchCV(selector, grid, search="grid", outer_cv=GroupKFold(3), executor=executor)
    ours.fit(X, CLEAN, groups=groups)
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


class Keeps(ClassifierMixin, BaseEstimator):
    """Keeps what it was handed."""

    def __init__(self, a=1):
        self.a = a

    def fit(self, X, y, groups=None, tags=None):
        self.handed_ = {"groups": groups, "tags": tags}
        self.classes_ = np.unique(y)
        assert all(value is None or len(value) == len(X) for value in self.handed_.values())
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class ByTags(KFold):
    """A splitter that requests more than groups."""

    def split(self, X, y=None, groups=None, tags=None):
        assert len(tags) == len(X)
        return super().split(np.asarray(tags).reshape(-1, 1))


def test_what_is_requested_by_name_is_sliced_with_the_rows(routing):
    model = Keeps().set_fit_request(groups=True, tags="labels")
    splitter = ByTags(3).set_split_request(tags="labels")
    labels = np.arange(150)
    search = fw.NestedSearchCV(model, {"a": [1, 2]}, search="grid", outer_cv=splitter, inner_cv=ByTags(2).set_split_request(tags="labels"),
                               executor="serial")  # fmt: skip
    groups = np.arange(150) // 25  # which unshuffled folds hold together
    search.fit(X, RANDOM.permutation(CLEAN), groups=groups, labels=labels)
    np.testing.assert_array_equal(search.best_estimator_.handed_["tags"], labels)
    np.testing.assert_array_equal(search.best_estimator_.handed_["groups"], groups)


def test_what_nobody_requests_is_refused(routing):
    search = fw.NestedSearchCV(MODEL, GRID, search="grid", outer_cv=3, executor="serial")
    with pytest.raises(fw.InputError, match=r"fit_params: .*sample_weight"):
        search.fit(X, Y, sample_weight=WEIGHTS)
    with pytest.raises(fw.InputError, match=r"fit_params: .*unknown"):
        search.fit(X, Y, unknown=WEIGHTS)


def test_a_nested_search_can_be_routed_to_itself(routing):
    search = fw.NestedSearchCV(
        clone_with_request(MODEL), GRID, search="grid", outer_cv=3, executor="serial",
        scoring=get_scorer("accuracy").set_score_request(sample_weight=False),
    )  # fmt: skip
    pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), search).fit(X, Y, sample_weight=WEIGHTS)
    assert pipeline[-1].n_fits_ == 3 * (3 + 3) + 1


def test_without_routing_the_estimator_gets_all_and_splitters_the_groups():
    handed = hand_out(MODEL, get_scorer("accuracy"), 3, "shared", GROUPS, {WEIGHT: WEIGHTS, "other": 1})
    assert set(handed.fit) == {WEIGHT, "other"}
    assert set(handed.inner) == {WEIGHT}
    assert not handed.outer
    assert not hand_out(MODEL, get_scorer("accuracy"), 3, "shared", None, {WEIGHT: None}).inner


def test_what_scikit_learn_keeps_to_itself_is_as_expected():
    """Canary: how scikit-learn's scorers say whether they take weights, and hold those of several metrics."""
    from sklearn.metrics import check_scoring

    several = check_scoring(MODEL, ["accuracy", "neg_max_error"])
    assert set(several._scorers) == {"accuracy", "neg_max_error"}
    assert several._scorers["accuracy"]._accept_sample_weight() is True
    assert several._scorers["neg_max_error"]._accept_sample_weight() is False
    assert "sample_weight" in inspect.signature(accuracy_score).parameters
