"""A problem is validated before anything runs; an error's place is the argument that is wrong."""

import math

import numpy as np
import pytest
import scipy.stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from foldwise.data import Dataset
from foldwise.errors import InputError, SpaceError
from foldwise.plan.problem import make_problem, with_params
from foldwise.plan.settings import Settings
from foldwise.search import GridSearch, RandomSearch
from foldwise.search.optuna import OptunaSearch
from foldwise.space.dimension import Categorical, Float

X, Y = load_iris(return_X_y=True)
GRID = {"C": [1, 10]}


def problem(**changes):
    given = {"dataset": Dataset(X, Y), "estimator": SVC(), "space": GRID, "search": GridSearch(), "random_state": 0, **changes}
    return make_problem(given.pop("dataset"), given.pop("estimator"), given.pop("space"), Settings.of(given))


def test_defaults_are_those_of_the_design():
    made = problem()
    assert made.settings == Settings(GridSearch(), 0, error_score=made.settings.error_score)
    assert (made.n_trials, made.settings.batch, made.settings.name) == (2, 8, "nested-search")
    assert (len(made.folds.outer), made.folds.shared) == (5, True)
    assert math.isnan(made.settings.error_score)
    assert made.scoring.metrics == ("score",)
    assert made.settings.has_final_model


@pytest.mark.parametrize("search", [RandomSearch(), OptunaSearch("random")])
def test_without_a_number_there_are_50_trials(search):
    assert problem(space={"C": Float(1, 2)}, search=search).n_trials == 50


def test_a_classifier_gets_stratified_folds_and_a_regressor_does_not():
    assert [f.held_out.numbers().tolist() for f in problem().folds.outer] == [
        b.tolist() for _, b in StratifiedKFold(5).split(X, Y)
    ]
    regressor = problem(estimator=LinearRegression(), space={"fit_intercept": [True]})
    assert [f.held_out.numbers().tolist() for f in regressor.folds.outer] == [b.tolist() for _, b in KFold(5).split(X)]


# --- what is refused --------------------------------------------------------------------------------------------------


class NoTags:
    """Has the methods of an estimator and nothing else."""

    def __init__(self, C=1):
        self.C = C

    def fit(self, X, y):
        return self

    def get_params(self, deep=True):
        return {"C": self.C}

    def set_params(self, **params):
        self.C = params["C"]
        return self


@pytest.mark.parametrize(
    ("changes", "place", "problem_found"),
    [
        ({"estimator": SVC}, "estimator", r"expected an instance, got the class SVC; write SVC\(\)"),
        ({"estimator": "svc"}, "estimator", r"expected a scikit-learn estimator, got 'svc', which has no fit\(\)"),
        ({"estimator": None}, "estimator", r"expected a scikit-learn estimator, got None, which has no fit\(\)"),
        ({"estimator": NoTags()}, "estimator", "expected an estimator that inherits from BaseEstimator"),
        ({"space": 3}, "space", "expected a mapping of names to values"),
        ({"space": {"C": 3}}, "space.C", r"expected a list of values, .* got 3; write \[3\]"),
        ({"space": {"C": []}}, "space.C", "expected at least one value"),
        ({"space": {"c": [1]}}, "space.c", "expected a param of SVC, got 'c'; .*Known: C, break_ties"),
        ({"space": {"gama": [1]}}, "space.gama", "expected a param of SVC, got 'gama'; did you mean gamma?"),
        ({"space": [{"C": [1]}, {"gama": [1]}]}, "space.gama", "did you mean gamma?"),
        ({"space": {"svc__C": [1]}, "estimator": SVC()}, "space.svc__C", "expected a param of SVC, got 'svc__C'"),
        ({"space": {"C": Float(0, 1)}}, "space.C", "expected points for a grid, got Float"),
        (
            {"space": {"C": [1], "gamma": Categorical([1], when={"C": 2})}},
            "space.gamma",
            "expected when to give a value that 'C' can have, got 2",
        ),
        ({"space": {"a": Categorical([1], when={"a": 1})}}, "space.a", "expected conditions without a circle"),
        ({"space": "no_such_space"}, "space", "expected a space's path or name, got 'no_such_space'"),
        ({"n_trials": 1}, "n_trials", "expected at least 2 for a grid of 2 points, got 1; a grid is never cut"),
        ({"n_trials": 0}, "n_trials", "expected an integer >= 1, got 0"),
        ({"n_trials": 2.5}, "n_trials", "expected an integer >= 1, got 2.5"),
        ({"n_trials": "10"}, "n_trials", "expected an integer >= 1, got '10'"),
        ({"n_trials": True}, "n_trials", "expected an integer >= 1, got True"),
        ({"batch": 0}, "batch", "expected an integer >= 1, got 0"),
        ({"batch": None}, "batch", "expected an integer >= 1, got None"),
        ({"repeats": -1}, "repeats", "expected an integer >= 1, got -1"),
        ({"repeats": 2, "outer_cv": KFold(3)}, "repeats", "expected a number of folds beside repeats, got KFold"),
        ({"outer_cv": 2}, "inner_cv", "expected at least 3 outer folds to share them, got 2"),
        ({"outer_cv": "5"}, "outer_cv", "expected a number of folds, a splitter or .* got '5'"),
        ({"outer_cv": 200}, "outer_cv", "expected 2 to 150 folds"),
        ({"inner_cv": "sharde"}, "inner_cv", "expected 'shared', a number of folds or a splitter, got 'sharde'"),
        ({"scoring": "acuracy"}, "scoring", "expected a metric that scikit-learn has, got 'acuracy'; did you mean accuracy?"),
        ({"scoring": ["accuracy"], "refit": "f1"}, "refit", "expected one of the metrics, got 'f1'"),
        ({"refit": 3}, "refit", "expected true, false, a metric's name or a callable, got 3"),
        ({"return_train_score": "yes"}, "return_train_score", "expected true or false, got 'yes'"),
        ({"return_train_score": 1}, "return_train_score", "expected true or false, got 1"),
        ({"error_score": "rais"}, "error_score", "expected a number or 'raise', got 'rais'"),
        ({"error_score": None}, "error_score", "expected a number or 'raise', got None"),
        ({"error_score": True}, "error_score", "expected a number or 'raise', got True"),
        ({"resources": {"gpus": 1}}, "resources.gpus", "expected another name; did you mean gpu?"),
        ({"resources": 3}, "resources", "expected a mapping"),
        ({"random_state": -1}, "random_state", "expected an integer from 0 to 4294967295, a RandomState or None, got -1"),
        ({"random_state": 2**32}, "random_state", "expected an integer from 0 to 4294967295"),
        ({"random_state": "0"}, "random_state", "expected an integer from 0 to 4294967295, a RandomState or None, got '0'"),
        ({"random_state": True}, "random_state", "expected an integer from 0 to 4294967295"),
        ({"random_state": np.random.default_rng(0)}, "random_state", "expected an integer .* got Generator"),
        ({"search": OptunaSearch("tpee")}, "sampler", "expected a sampler of Optuna, got 'tpee'"),
        ({"dataset": Dataset(X)}, "y", "expected targets, got None .SVC requires y to be passed"),
        ({"dataset": Dataset(X, np.zeros(150, int))}, "y", "expected at least two classes, got 1 class, 0, in all 150 rows"),
    ],
)
def test_a_wrong_argument_is_refused_by_its_name_in_one_line(changes, place, problem_found):
    with pytest.raises(InputError, match=f"^{place}: .*{problem_found}") as caught:
        problem(**changes)
    assert caught.value.place == place
    assert "\n" not in str(caught.value)


def test_a_distribution_that_a_search_cannot_model_is_named():
    space = {"C": scipy.stats.expon(), "gamma": [1]}
    assert problem(space=space, search=RandomSearch()).n_trials == 50
    with pytest.raises(SpaceError, match=r"^space.C: expected a distribution with bounds, got expon"):
        problem(space=space, search=OptunaSearch())


def test_a_long_estimator_in_a_message_stays_on_one_line():
    pipeline = make_pipeline(*[StandardScaler() for _ in range(20)], SVC())
    with pytest.raises(InputError) as caught:
        problem(space={"C": pipeline})
    assert "\n" not in str(caught.value)


# --- names ------------------------------------------------------------------------------------------------------------

PIPE = Pipeline([("scale", StandardScaler()), ("clf", SVC())])


@pytest.mark.parametrize(
    "space",
    [
        {"clf__C": [1], "scale__with_mean": [True]},
        {"clf": [SVC(), LogisticRegression()], "clf__C": [1, 2]},
        {"clf": [LogisticRegression()], "clf__l1_ratio": [0.5]},
        {"clf": [BaggingClassifier(LogisticRegression())], "clf__estimator__C": [1]},
        {"scale": [MinMaxScaler(), PCA(), "passthrough", None], "scale__n_components": [2]},
        [{"clf": [LogisticRegression()], "clf__l1_ratio": [0.5]}, {"clf__gamma": [1]}],
    ],
)
def test_params_of_estimators_that_are_values_are_known(space):
    assert problem(estimator=PIPE, space=space).n_trials >= 1


@pytest.mark.parametrize(
    ("space", "name"),
    [
        ({"clf__c": [1]}, "clf__c"),
        ({"clf__l1_ratio": [0.5]}, "clf__l1_ratio"),
        ({"clf": [LogisticRegression()], "clf__shrinkage": [0.5]}, "clf__shrinkage"),
        ({"scale": [PCA], "scale__n_components": [1]}, "scale__n_components"),
        ([{"clf": [LogisticRegression()]}, {"clf__l1_ratio": [0.5]}], "clf__l1_ratio"),
    ],
)
def test_a_param_that_no_value_has_is_refused(space, name):
    with pytest.raises(SpaceError, match=f"^space.{name}: expected a param of Pipeline, got '{name}'"):
        problem(estimator=PIPE, space=space)


# --- with_params -------------------------------------------------------------------------------------------------------


def test_params_are_set_on_a_clone():
    template = clone(PIPE)
    made = with_params(template, {"clf__C": 7, "scale": None})
    assert (made.named_steps["clf"].C, made.named_steps["scale"]) == (7, None)
    assert template.named_steps["clf"].C == 1.0
    assert made.named_steps["clf"] is not template.named_steps["clf"]


def test_estimators_among_params_are_cloned():
    fitted = SVC(C=3).fit(X, Y)
    made = with_params(PIPE, {"clf": fitted, "clf__gamma": 0.5})
    assert (made.named_steps["clf"].C, made.named_steps["clf"].gamma) == (3, 0.5)
    assert not hasattr(made.named_steps["clf"], "support_")
    assert fitted.gamma == "scale"


def test_a_frozen_estimator_stays_as_it_learned():
    made = with_params(PIPE, {"scale": FrozenEstimator(StandardScaler().fit(X))})
    assert made.named_steps["scale"].transform(X).mean() == pytest.approx(0)


def test_a_random_state_among_params_draws_alike_each_time():
    state = np.random.RandomState(0)
    one, other = (with_params(SVC(), {"random_state": state}) for _ in range(2))
    assert one.random_state is not state
    assert one.random_state.rand() == other.random_state.rand()


# --- keys ------------------------------------------------------------------------------------------------------------


def test_equal_problems_have_an_equal_key():
    assert problem().key == problem().key
    assert problem().key == problem(name="other", resources={"cpu": 2}, batch=3, dataset=Dataset(X.copy(), Y.copy())).key


def test_another_final_study_is_another_problem():
    assert problem(inner_cv=4).key != problem().key  # the inner folds coincide, but those of the final study do not


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": Dataset(X[::-1], Y[::-1])},
        {"dataset": Dataset(X, Y, fit_params={"sample_weight": np.ones(150)})},
        {"estimator": SVC(gamma=1)},
        {"space": {"C": [1, 10, 100]}},
        {"space": {"C": [10, 1]}},
        {"space": {"gamma": [1, 10]}},
        {"space": {"C": [1], "gamma": Categorical([1], when={"C": 1})}},
        {"search": RandomSearch()},
        {"search": OptunaSearch()},
        {"outer_cv": 4},
        {"inner_cv": 3},
        {"outer_cv": StratifiedKFold(5, shuffle=True)},
        {"repeats": 2},
        {"scoring": "f1_macro"},
        {"scoring": ["accuracy", "f1_macro"]},
        {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"},
        {"refit": False},
        {"return_train_score": True},
        {"error_score": 0},
        {"error_score": "raise"},
        {"random_state": 1},
    ],
    ids=str,
)
def test_all_that_affects_results_changes_the_key(changes):
    assert problem(**changes).key != problem().key


def test_the_batch_matters_to_a_search_that_adapts():
    adapting = {"search": OptunaSearch(), "space": {"C": Float(1, 2)}}
    assert problem(**adapting, batch=4).key != problem(**adapting).key
    assert problem(**adapting, n_trials=4).key != problem(**adapting).key


class Plain(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        return self


def test_an_estimator_without_params_is_searched_over_nothing():
    assert problem(estimator=Plain(), space={}).n_trials == 1
