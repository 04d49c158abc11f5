"""NestedSearchCV: scikit-learn's conventions and the attributes it promises."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import foldwise as fw
from foldwise.errors import FitFailedError, InputError, StudyFailedError
from foldwise.testing import FaultyEstimator

IRIS = load_iris(return_X_y=True)


def search_of(estimator, space, **options):
    return fw.NestedSearchCV(
        estimator, space, **{"search": "grid", "outer_cv": 3, "executor": "serial", "random_state": 0} | options
    )


@parametrize_with_checks(
    [search_of(LogisticRegression(), {"C": [0.1, 1]}), search_of(Ridge(), {"alpha": [0.1, 1]})],
    expected_failed_checks={},  # none
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_attributes_after_fit():
    X, y = IRIS
    search = search_of(SVC(), {"C": [1, 10], "gamma": [0.01, 0.1]}, scoring=["accuracy", "f1_macro"], outer_cv=5).fit(X, y)
    assert {name: scores.shape for name, scores in search.outer_scores_.items()} == {"accuracy": (5,), "f1_macro": (5,)}
    assert search.nested_score_ == search.outer_scores_["accuracy"].mean()
    low, high = search.interval_
    assert 0 <= low < search.nested_score_ < high <= 1
    assert search.optimism_ == search.best_score_ - search.nested_score_
    assert list(search.outer_results_) == [
        "fold",
        "accuracy",
        "f1_macro",
        "inner_best",
        "params",
        "n_train",
        "n_test",
        "seconds",
    ]
    assert len(search.trials_) == 6 * 4
    columns = {"study", "trial", "state", "started", "seconds", "params", "param_C", "inner_accuracy", "inner_f1_macro_std"}
    assert columns | {"split0_accuracy", "split3_f1_macro", "error"} <= set(search.trials_)
    assert set(search.studies_) == {"outer-0", "outer-1", "outer-2", "outer-3", "outer-4", "final"}
    assert search.plan_.n_fits == search.n_fits_ == 61
    assert search.multimetric_
    assert search.n_splits_ == 5
    assert set(search.scorer_) == {"accuracy", "f1_macro"}
    assert search.refit_time_ > 0
    assert search.n_features_in_ == 4
    np.testing.assert_array_equal(search.classes_, [0, 1, 2])
    assert search.run_id_ is None
    text = str(search.report())
    assert "quote the second" in text
    assert "61 fits run" in text
    assert "would have run 106" in text


def test_optuna_studies_are_kept_for_optunas_own_tools():
    search = search_of(SVC(), {"C": fw.Float(0.1, 10, log=True)}, search="optuna", n_trials=4).fit(*IRIS)
    study = search.studies_["final"]
    assert len(study.trials) == 4
    assert study.best_value == search.best_score_
    assert search.plan_.n_fits is None
    assert "at most" in search.plan_.explain()


@pytest.mark.parametrize("method", ["grid", "random", "optuna"])
def test_a_fitted_search_survives_pickle_and_clone_and_does_not_carry_the_data(method):
    X = np.random.RandomState(0).normal(size=(300, 200))
    y = np.arange(300) % 2
    space = {"max_depth": [1, 2]} if method == "grid" else {"max_depth": fw.Int(1, 4)}
    search = search_of(DecisionTreeClassifier(), space, search=method, n_trials=None if method == "grid" else 3).fit(X, y)
    stored = pickle.dumps(search)
    assert len(stored) < X.nbytes / 2
    loaded = pickle.loads(stored)
    np.testing.assert_array_equal(loaded.predict(X), search.predict(X))
    assert str(loaded.report()) == str(search.report())
    assert loaded.plan_.explain() == search.plan_.explain()
    assert not hasattr(clone(search), "best_params_")


def test_before_fit_and_without_a_final_model_it_says_so():
    search = search_of(SVC(), {"C": [1]})
    with pytest.raises(NotFittedError):
        search.predict(IRIS[0])
    with pytest.raises(NotFittedError):
        search.report()
    search.set_params(refit=False).fit(*IRIS)
    assert search.n_fits_ == 6
    assert search.best_params_ == {"C": 1}
    assert not hasattr(search, "predict")
    with pytest.raises(AttributeError, match="use refit=True"):
        search.score(*IRIS)


def test_methods_follow_the_model():
    assert hasattr(search_of(LogisticRegression(), {}), "predict_proba")
    assert not hasattr(search_of(Ridge(), {}), "predict_proba")
    search = search_of(LogisticRegression(max_iter=1000), {"C": [1.0]}).fit(*IRIS)
    np.testing.assert_allclose(search.predict_proba(IRIS[0]).sum(axis=1), 1)
    assert search.decision_function(IRIS[0]).shape == (150, 3)


def test_frames_keep_their_columns_and_sparse_and_lists_are_taken():
    frame = load_wine(as_frame=True)
    search = search_of(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 10]}).fit(frame.data, frame.target)
    assert search.feature_names_in_.tolist() == frame.data.columns.tolist()
    dense = search_of(LogisticRegression(max_iter=1000), {"C": [1.0]}).fit(*IRIS).outer_scores_["score"]
    sparse = (
        search_of(LogisticRegression(max_iter=1000), {"C": [1.0]})
        .fit(scipy.sparse.coo_array(IRIS[0]), IRIS[1])
        .outer_scores_["score"]
    )
    lists = (
        search_of(LogisticRegression(max_iter=1000), {"C": [1.0]})
        .fit(IRIS[0].tolist(), IRIS[1].tolist())
        .outer_scores_["score"]
    )
    np.testing.assert_allclose(sparse, dense, atol=0.02)
    np.testing.assert_array_equal(lists, dense)


def test_weights_are_sliced_with_the_rows():
    X, y = load_diabetes(return_X_y=True)
    weights = np.random.RandomState(0).rand(len(y))
    search = search_of(Ridge(), {"alpha": [0.1, 1.0]}, outer_cv=3).fit(X, y, sample_weight=weights)
    from sklearn.model_selection import KFold

    train, test = next(iter(KFold(3).split(X)))
    by_hand = Ridge(**search.outer_results_["params"][0]).fit(X[train], y[train], sample_weight=weights[train])
    assert search.outer_scores_["score"][0] == by_hand.score(X[test], y[test])


def test_precomputed_kernels_are_cut_on_both_sides():
    X, y = IRIS
    plain = search_of(SVC(kernel="linear"), {"C": [0.1, 1]}).fit(X, y)
    kernel = search_of(SVC(kernel="precomputed"), {"C": [0.1, 1]}).fit(X @ X.T, y)
    np.testing.assert_array_equal(kernel.outer_scores_["score"], plain.outer_scores_["score"])


def test_estimators_and_none_are_values():
    pipeline = Pipeline([("scale", StandardScaler()), ("model", SVC())])
    space = [
        {"scale": [None, StandardScaler(), MinMaxScaler()], "model": [SVC()], "model__C": [1, 10]},
        {"model": [LogisticRegression(max_iter=500)], "model__C": [0.1]},
    ]
    search = search_of(pipeline, space).fit(*IRIS)
    assert len(search.cv_results_["params"]) == 7
    assert np.ma.is_masked(search.cv_results_["param_scale"])


def test_clustering_without_targets():
    search = search_of(KMeans(n_init=1), {"n_clusters": [2, 3]}).fit(IRIS[0])
    assert search.best_params_ == {"n_clusters": 3}
    assert search.transform(IRIS[0]).shape == (150, 3)


def test_warnings_of_fits_are_counted_and_given_once():
    space = {"hidden_layer_sizes": [(2,), (3,)]}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search = search_of(MLPClassifier(max_iter=2, random_state=0), space).fit(*IRIS)
    (warning,) = [w for w in caught if w.category is ConvergenceWarning]
    assert str(warning.message).endswith("(13 of 13 fits)")
    (counted,) = search.report().warned
    assert (counted.category, counted.n_fits) == ("sklearn.exceptions:ConvergenceWarning", 13)
    assert "13 fits warned: ConvergenceWarning" in str(search.report())


def test_warnings_that_differ_in_numbers_only_are_one_kind():
    X, y = load_diabetes(return_X_y=True)
    search = search_of(Lasso(max_iter=1), {"alpha": [1e-6, 1e-5, 1e-4]})
    with pytest.warns(ConvergenceWarning, match=r"\(\d+ of 19 fits\)") as caught:
        search.fit(X, y)
    assert len(caught) == 1


def test_a_failed_fit_is_a_failed_trial_and_never_wins():
    search = search_of(FaultyEstimator(), {"fault": ["raise", None, "nan"]})
    with pytest.warns(
        FitFailedWarning, match=r"12 fits failed: 6 x NonFiniteScore.*; 6 x ValueError: fault asked .* score is nan"
    ):
        search.fit(*IRIS)
    assert "12 fits failed: 6 x NonFiniteScore: score is nan on 50 rows; 6 x ValueError: fault asked for" in str(
        search.report()
    )
    assert search.best_params_ == {"fault": None}
    assert search.trials_["state"].tolist() == ["FAILED", "COMPLETE", "FAILED"] * 4
    assert search.trials_["error"][0].startswith("ValueError: fault asked for")
    assert search.trials_["error"][2].startswith("NonFiniteScore")
    assert np.isnan(search.cv_results_["mean_test_score"][0])


def test_error_score_as_scikit_learn_means_it():
    search = search_of(FaultyEstimator(), {"fault": ["raise", None]}, error_score=0.75)
    beats = r"error_score=0.75, the score of failed fits, is better than scores of fits that did not fail \(score down to 0\."
    with (
        pytest.warns(RuntimeWarning, match="the final model could not be fitted"),
        pytest.warns(FitFailedWarning, match="ValueError: fault asked for.*; their score is 0.75"),
        pytest.warns(UserWarning, match=beats),
    ):
        search.fit(*IRIS)
    assert search.best_params_ == {"fault": "raise"}
    assert search.trials_["state"].unique().tolist() == ["COMPLETE"]
    assert search.trials_["error"].notna().sum() == 4
    assert search.best_score_ == 0.75
    assert not hasattr(search, "best_estimator_")
    assert search.report().partial
    assert "The final model could not be fitted: ValueError: fault asked for" in str(search.report())
    with pytest.raises(FitFailedError, match="fault asked for") as caught:
        search_of(FaultyEstimator(), {"fault": ["raise", None]}, error_score="raise").fit(*IRIS)
    assert isinstance(caught.value, ValueError)


def test_a_study_with_nothing_finished_shows_the_causes():
    with pytest.raises(StudyFailedError, match=r"none of the 1 trials of study final has a score: 1 x ValueError") as caught:
        search_of(FaultyEstimator(), {"fault": ["raise"]}).fit(*IRIS)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"n_trials": 0}, "n_trials"),
        ({"batch": 1.5}, "batch"),
        ({"search": "grad"}, "search"),
        ({"scoring": "acuracy"}, "scoring"),
        ({"refit": "f1", "scoring": ["accuracy"]}, "refit"),
        ({"outer_cv": 2}, "inner_cv"),
        ({"outer_cv": "5"}, "outer_cv"),
        ({"inner_cv": "share"}, "inner_cv"),
        ({"inner_cv": [([0, 1], [2])]}, "inner_cv"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"random_state": -1}, "random_state"),
        ({"error_score": "rase"}, "error_score"),
        ({"resources": {"cpus": 1}}, "resources.cpus"),
        ({"resources": {"gpu": -1}}, "resources.gpu"),
        ({"executor": "dask"}, "executor"),
        ({"verbose": "yes"}, "verbose"),
        ({"space": {"degre": [1]}}, "space.degre"),
        ({"space": {"C": 5}}, "space.C"),
        ({"space": "svm_rfb"}, "space"),
        ({"estimator": SVC}, "estimator"),
        ({"estimator": 5}, "estimator"),
        ({"n_trials": 1}, "n_trials"),
        ({"space": {"C": fw.Float(1, 2)}}, "space.C"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else v,
)
def test_wrong_arguments_are_named_in_one_line(options, place):
    options = {"estimator": SVC(), "space": {"C": [1, 10]}, **options}
    with pytest.raises(InputError) as caught:
        search_of(**options).fit(*IRIS)
    assert caught.value.place.split(":")[0] == place
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        (IRIS[0], IRIS[1][:-1], "y: expected as many rows as X has, 150, got 149"),
        (
            IRIS[0],
            np.where(np.arange(150) == 7, np.nan, IRIS[1]),
            "y: expected a value in every row, got NaN in 1 of 150, first at row 7",
        ),
        (IRIS[0], np.zeros(150), "y: expected at least two classes, got 1 class"),
        (IRIS[0][:0], IRIS[1][:0], "X: expected at least one row"),
        (IRIS[0], np.r_[np.zeros(148), 1, 1], "class 1.0, which has 2 of 150 rows"),
        (5, IRIS[1], "X: expected an array"),
        (IRIS[0], pd.Series(["a", None] * 75), "y: expected a value in every row"),
    ],
)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_wrong_data_is_named_in_one_line(X, y, words):
    with pytest.raises(InputError) as caught:
        search_of(SVC(), {"C": [1]}).fit(X, y)
    assert words in str(caught.value)


def test_verbose_says_what_scikit_learns_users_expect(capsys):
    search_of(SVC(), {"C": [1, 10]}, verbose=3).fit(*IRIS)
    out = capsys.readouterr().out
    assert "totalling 13 fits" in out
    assert "[fit] C=1;" in out
    assert "[final trial 1] C=10; score" in out
    assert "outer-0 chose trial" in out


@pytest.mark.parametrize("refit", [True, False, "right", lambda results: int(results["mean_test_right"].argmax())])
def test_a_callable_that_returns_several_metrics(refit):
    def several(estimator, X, y):
        return {"right": float((estimator.predict(X) == y).mean()), "rows": float(len(y))}

    search = search_of(SVC(), {"C": [0.01, 10]}, scoring=several, refit=refit).fit(*IRIS)
    assert search.best_params_ == {"C": 10}
    assert list(search.outer_scores_) == ["right", "rows"]
    assert search.multimetric_


def test_a_callable_refit_sees_what_scikit_learns_does():
    search = search_of(SVC(), {"C": [0.01, 10]}, scoring="accuracy", refit=lambda r: int(r["mean_test_score"].argmax())).fit(
        *IRIS
    )
    assert search.best_params_ == {"C": 10}
    with pytest.raises(InputError, match=r"refit: expected a function of cv_results_, got one that raised KeyError"):
        search_of(SVC(), {"C": [1]}, refit=lambda results: results["mean_test_accuracy"]).fit(*IRIS)


def test_nothing_of_an_earlier_fit_is_left():
    frame = load_iris(as_frame=True)
    search = search_of(SVC(), {"C": [1]}).fit(frame.data, frame.target)
    assert hasattr(search, "feature_names_in_")
    search.fit(*IRIS)
    assert not hasattr(search, "feature_names_in_")
    search.set_params(refit=False).fit(*IRIS)
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "refit_time_")


def test_a_score_that_is_not_finite_is_no_error_to_raise():
    def nan_for_ten(estimator, X, y):
        return np.nan if estimator.C == 10 else estimator.score(X, y)

    search = search_of(SVC(), {"C": [1, 10]}, scoring=nan_for_ten, error_score="raise")
    with pytest.warns(UserWarning, match="6 fits failed: 6 x NonFiniteScore: score is nan on 50 rows$"):
        search.fit(*IRIS)
    assert search.best_params_ == {"C": 1}


def test_a_metric_that_cannot_be_had_leaves_the_report_whole_if_another_chooses():
    scoring = {"accuracy": "accuracy", "odd": lambda estimator, X, y: np.nan}
    search = search_of(SVC(), {"C": [1, 10]}, scoring=scoring, refit="accuracy")
    with pytest.warns(UserWarning, match="odd could not be computed: .* odd is nan on 50 rows"):
        search.fit(*IRIS)
    assert not search.report().partial
    assert search.trials_["error"].isna().all()
    assert search.report().n_fits_failed == 0
    assert "odd" in str(search.report())


def test_a_fitted_search_with_an_executor_object_can_be_cloned_and_pickled():
    search = search_of(SVC(), {"C": [1]}, executor=fw.RayExecutor()).fit(*IRIS)
    assert not hasattr(clone(search), "best_params_")
    assert pickle.loads(pickle.dumps(search)).best_params_ == {"C": 1}


def test_serial_searches_in_threads_leave_the_process_as_it_was():
    import threading

    before = warnings.showwarning, list(warnings.filters)
    results = []

    def fit():
        results.append(search_of(DecisionTreeClassifier(), {"max_depth": [1, 2, 3]}).fit(*IRIS).outer_scores_["score"].tolist())

    threads = [threading.Thread(target=fit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1] == results[2]
    assert (warnings.showwarning, list(warnings.filters)) == before
