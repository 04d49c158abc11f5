"""Scores and choices equal scikit-learn's, exactly."""

import numpy as np
import pytest
import scipy.stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_validate,
)  # fmt: skip
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import foldwise as fw
from foldwise.stats.intervals import corrected_t_interval

IRIS_GRID = {"C": [1, 10, 100], "gamma": [0.01, 0.1]}


def assert_same_columns(ours, theirs):
    """Compare ``cv_results_``: names, order and every value but times."""
    assert list(ours) == list(theirs)
    for name in theirs:
        if "_time" in name:
            continue
        if name == "params":
            assert ours[name] == theirs[name]
        elif name.startswith("param_"):
            assert ours[name].dtype == theirs[name].dtype
            assert ours[name].tolist() == theirs[name].tolist()
        else:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def assert_same_search(ours, theirs, outer, X, y, groups=None):
    """Compare a fitted NestedSearchCV with ``cross_validate`` around a scikit-learn search, and with the search itself.

    So the final model comes from the procedure that was judged: the search by the inner splitter.
    """
    params = {} if groups is None else {"params": {"groups": groups}}
    judged = cross_validate(theirs, X, y, cv=outer, scoring=theirs.scoring, return_estimator=True, **params)
    names = {"score": "test_score"} if not isinstance(theirs.scoring, list) else {m: f"test_{m}" for m in theirs.scoring}
    if isinstance(theirs.scoring, str):
        names = {theirs.scoring: "test_score"}
    for name, column in names.items():
        np.testing.assert_array_equal(ours.outer_scores_[name], judged[column], err_msg=name)
    assert ours.outer_results_["params"].tolist() == [one.best_params_ for one in judged["estimator"]]
    flat = theirs.fit(X, y, **({} if groups is None else {"groups": groups}))
    assert ours.best_params_ == flat.best_params_
    assert ours.best_index_ == flat.best_index_
    assert ours.best_score_ == flat.best_score_
    assert_same_columns(ours.cv_results_, flat.cv_results_)
    np.testing.assert_array_equal(ours.predict(X), flat.predict(X))
    assert ours.score(X, y) == flat.score(X, y)


@pytest.mark.parametrize("n_splits", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_nested_versus_flat_on_iris(n_splits):
    """scikit-learn's example "Nested versus non-nested cross-validation": 30 splits, each pair equal to scikit-learn's."""
    X, y = load_iris(return_X_y=True)
    ours, theirs = [], []
    for i in range(n_splits):
        folds = KFold(4, shuffle=True, random_state=i)
        search = fw.NestedSearchCV(SVC(), IRIS_GRID, search="grid", outer_cv=folds, inner_cv=folds, executor="serial").fit(X, y)
        ours.append((search.best_score_, search.nested_score_))
        flat = GridSearchCV(SVC(), IRIS_GRID, cv=folds).fit(X, y)
        theirs.append((flat.best_score_, cross_validate(flat, X, y, cv=folds)["test_score"].mean()))
        if i == 0:
            np.testing.assert_allclose(search.outer_scores_["score"], [0.973684, 0.894737, 1.0, 0.918919], atol=5e-7)
            interval = corrected_t_interval(
                search.outer_scores_["score"], search.outer_results_["n_train"], search.outer_results_["n_test"]
            )
            np.testing.assert_allclose(interval, (0.829082, 1.064588), atol=5e-7)
            winners = [(1, 0.1), (10, 0.01), (100, 0.01), (100, 0.01)]
            assert [(p["C"], p["gamma"]) for p in search.outer_results_["params"]] == winners
            np.testing.assert_allclose(search.outer_results_["inner_best"], [0.964286, 0.964286, 0.973214, 0.982143], atol=5e-7)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
    if n_splits < 30:
        return
    optimism = np.subtract(*np.array(ours).T)
    assert optimism.mean() == pytest.approx(0.007581, abs=5e-7)
    assert optimism.std() == pytest.approx(0.007833, abs=5e-7)
    assert ((optimism < -1e-12).sum(), (abs(optimism) < 1e-12).sum()) == (2, 7)


def test_corrected_interval_of_the_published_scores():
    scores = [37 / 38, 34 / 38, 1.0, 34 / 37]
    assert corrected_t_interval(scores, [3] * 4, [1] * 4) == pytest.approx((0.829082, 1.064588), abs=1e-6)


SVM = make_pipeline(StandardScaler(), SVC())
CASES = {
    "digits, grid, stratified": (
        load_digits, SVM, {"svc__C": [1, 10], "svc__gamma": [0.001, 0.01]}, "accuracy", StratifiedKFold(3), StratifiedKFold(3),
    ),
    "wine, grid, plain, several metrics": (
        load_wine, make_pipeline(StandardScaler(), KNeighborsClassifier()), {"kneighborsclassifier__n_neighbors": [1, 5, 9]},
        ["f1_macro", "accuracy"], KFold(4, shuffle=True, random_state=1), KFold(3, shuffle=True, random_state=2),
    ),
    "wine, union of grids, a forest with a seed": (
        load_wine, RandomForestClassifier(5, random_state=3), [{"max_depth": [2, None]}, {"max_features": [1, 4], "max_depth": [3]}],
        None, 3, 2,
    ),
    "breast cancer, grid, int folds, three metrics": (
        load_breast_cancer, make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.01, 1.0]},
        ["roc_auc", "accuracy", "neg_log_loss"], 5, 3,
    ),
    "diabetes, grid, regression": (
        load_diabetes, make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, 1, 10.0]}, "r2", KFold(5), KFold(4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("kind", ["grid", "random"])
def test_independent_inner_folds_equal_cross_validate_around_a_search(case, kind):
    load, estimator, space, scoring, outer, inner = case
    X, y = load(return_X_y=True)
    refit = scoring[0] if isinstance(scoring, list) else True
    if kind == "grid":
        theirs = GridSearchCV(estimator, space, cv=inner, scoring=scoring, refit=refit)
    else:
        theirs = RandomizedSearchCV(estimator, space, n_iter=2, random_state=5, cv=inner, scoring=scoring, refit=refit)
    ours = fw.NestedSearchCV(
        estimator, space, search=kind, n_trials=None if kind == "grid" else 2, outer_cv=outer, inner_cv=inner, scoring=scoring,
        refit=refit, executor="serial", random_state=5,
    ).fit(X, y)  # fmt: skip
    assert_same_search(ours, theirs, outer, X, y)


def test_scipy_distributions_are_drawn_as_scikit_learn_draws_them():
    X, y = load_diabetes(return_X_y=True)
    space = {"n_neighbors": scipy.stats.randint(1, 30), "weights": ["uniform", "distance"], "p": scipy.stats.uniform(1, 2)}
    theirs = RandomizedSearchCV(KNeighborsRegressor(), space, n_iter=5, random_state=7, cv=3)
    ours = fw.NestedSearchCV(
        KNeighborsRegressor(),
        space,
        search="random",
        n_trials=5,
        outer_cv=KFold(3),
        inner_cv=3,
        executor="serial",
        random_state=7,
    ).fit(X, y)
    assert_same_search(ours, theirs, KFold(3), X, y)


@pytest.mark.parametrize("splitter", [GroupKFold, StratifiedGroupKFold])
def test_grouped_folds_equal_a_loop_by_hand(splitter):
    X, y = load_wine(return_X_y=True)
    groups = np.random.RandomState(0).permutation(len(y)) // 4
    space = {"n_neighbors": [1, 5, 15]}
    ours = fw.NestedSearchCV(
        KNeighborsClassifier(), space, search="grid", outer_cv=splitter(4), inner_cv=splitter(3), executor="serial"
    ).fit(X, y, groups=groups)
    for fold, (train, test) in enumerate(splitter(4).split(X, y, groups)):
        theirs = GridSearchCV(KNeighborsClassifier(), space, cv=splitter(3)).fit(X[train], y[train], groups=groups[train])
        assert ours.outer_results_["params"][fold] == theirs.best_params_
        assert ours.outer_scores_["score"][fold] == theirs.score(X[test], y[test])
    flat = GridSearchCV(KNeighborsClassifier(), space, cv=splitter(3)).fit(X, y, groups=groups)
    assert_same_columns(ours.cv_results_, flat.cv_results_)


def assert_shared_equals_predefined(estimator, space, outer_folds, X, y, ours):
    """Compare with the search that shares nothing: PredefinedSplit over the other outer folds of the same repeat."""
    for fold, (train, test, others) in enumerate(outer_folds):
        number = np.full(len(y), -1)
        for other, rows in enumerate(others):
            number[rows] = other
        theirs = GridSearchCV(estimator, space, cv=PredefinedSplit(number[train])).fit(X[train], y[train])
        assert ours.outer_results_["params"][fold] == theirs.best_params_
        assert ours.outer_results_["inner_best"][fold] == theirs.best_score_
        assert ours.outer_scores_["score"][fold] == theirs.score(X[test], y[test])


@pytest.mark.parametrize(("n_folds", "n_fits", "n_plain"), [(3, 37, 58), (5, 91, 156), (10, 331, 611)])
def test_shared_folds_equal_the_search_that_shares_nothing(n_folds, n_fits, n_plain):
    X, y = load_iris(return_X_y=True)
    ours = fw.NestedSearchCV(SVC(), IRIS_GRID, search="grid", outer_cv=n_folds, executor="serial").fit(X, y)
    assert (ours.n_fits_, ours.plan_.n_fits, ours.plan_.n_fits_plain) == (n_fits, n_fits, n_plain)
    splits = list(StratifiedKFold(n_folds).split(X, y))
    folds = [(train, test, [rows for _, rows in splits if rows is not test]) for train, test in splits]
    assert_shared_equals_predefined(SVC(), IRIS_GRID, folds, X, y, ours)
    flat = GridSearchCV(SVC(), IRIS_GRID, cv=n_folds).fit(X, y)
    assert_same_columns(ours.cv_results_, flat.cv_results_)
    assert ours.optimism_ == flat.best_score_ - ours.outer_scores_["score"].mean()


def test_shared_folds_of_a_repeated_splitter_stay_within_their_repeat():
    X, y = load_iris(return_X_y=True)
    outer = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=4)
    ours = fw.NestedSearchCV(SVC(), IRIS_GRID, search="grid", outer_cv=outer, executor="serial").fit(X, y)
    assert ours.n_fits_ == 6 * (2 * 3 + 2 * 3) + 1
    splits = list(outer.split(X, y))
    repeats = [splits[:3], splits[3:]]
    folds = [(train, test, [r for _, r in repeat if r is not test]) for repeat in repeats for train, test in repeat]
    assert_shared_equals_predefined(SVC(), IRIS_GRID, folds, X, y, ours)


def test_shared_folds_with_groups():
    X, y = load_iris(return_X_y=True)
    groups = np.random.RandomState(1).permutation(len(y)) // 5
    ours = fw.NestedSearchCV(SVC(), IRIS_GRID, search="grid", outer_cv=5, executor="serial").fit(X, y, groups=groups)
    assert ours.n_fits_ == 91
    splits = list(StratifiedGroupKFold(5).split(X, y, groups))
    folds = [(train, test, [rows for _, rows in splits if rows is not test]) for train, test in splits]
    assert_shared_equals_predefined(SVC(), IRIS_GRID, folds, X, y, ours)


def test_train_scores_equal_scikit_learns():
    X, y = load_iris(return_X_y=True)
    ours = fw.NestedSearchCV(SVC(), IRIS_GRID, search="grid", outer_cv=3, return_train_score=True, executor="serial").fit(X, y)
    flat = GridSearchCV(SVC(), IRIS_GRID, cv=3, return_train_score=True).fit(X, y)
    assert set(ours.cv_results_) == set(flat.cv_results_)
    for name in flat.cv_results_:
        if "train_score" in name:
            np.testing.assert_array_equal(ours.cv_results_[name], flat.cv_results_[name])


def test_a_callable_refit_chooses_in_every_study():
    X, y = load_iris(return_X_y=True)

    def simplest(results):
        good = results["mean_test_accuracy"] > results["mean_test_accuracy"].max() - 0.02
        return int(np.flatnonzero(good)[0])

    options = {"scoring": ["accuracy", "f1_macro"], "refit": simplest}
    ours = fw.NestedSearchCV(SVC(), IRIS_GRID, search="grid", outer_cv=4, inner_cv=3, executor="serial", **options).fit(X, y)
    theirs = GridSearchCV(SVC(), IRIS_GRID, cv=3, **options)
    judged = cross_validate(theirs, X, y, cv=4, scoring=["accuracy", "f1_macro"], return_estimator=True)
    assert ours.outer_results_["params"].tolist() == [one.best_params_ for one in judged["estimator"]]
    np.testing.assert_array_equal(ours.outer_scores_["f1_macro"], judged["test_f1_macro"])
    assert not hasattr(ours, "best_score_")


def test_distributed_report_on_digits():
    """Grisel's parallel search on digits: means and standard errors over five shuffled splits."""
    from sklearn.model_selection import ShuffleSplit

    X, y = load_digits(return_X_y=True)
    folds = ShuffleSplit(5, test_size=0.25, random_state=42)
    space = [{"C": [1], "gamma": [0.001]}, {"C": [10], "gamma": [0.001, 1e-4]}, {"C": [100], "gamma": [0.001]}]
    ours = fw.NestedSearchCV(
        SVC(), space, search="grid", outer_cv=2, inner_cv=folds, return_train_score=True, refit=True, executor="serial"
    ).fit(X, y)
    results = ours.cv_results_
    error = results["std_test_score"] * np.sqrt(5 / 4) / np.sqrt(5)
    np.testing.assert_allclose(results["mean_test_score"], [0.99022, 0.98889, 0.98756, 0.98889], atol=5e-6)
    np.testing.assert_allclose(error, [0.00151, 0.00157, 0.00194, 0.00157], atol=3.5e-4)
    np.testing.assert_allclose(results["mean_train_score"], [0.99896, 1, 0.99733, 1], atol=5e-6)
