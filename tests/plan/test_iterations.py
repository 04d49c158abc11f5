"""Every estimator of scikit-learn's that trains in epochs is compared with a plain fit of as many; the docs say what came of it."""

import re
import warnings
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import SGDClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import all_estimators

from foldwise.errors import InputError
from foldwise.plan.epochs import check_epochs
from foldwise.plan.iterations import HORIZON, KNOWN, WRAPPERS, Way, refusals, way_of
from foldwise.trial import Segment
from foldwise.worker.epochs import train_lineage

DOCS = Path(__file__).parents[2] / "docs" / "schedules.md"
X, CLASSES = make_classification(150, 6, n_informative=4, n_classes=3, random_state=0)
NUMBERS = X @ np.arange(6) + np.random.default_rng(0).normal(size=150)
TARGETS = {
    **dict.fromkeys(
        ("IsolationForest", "RandomTreesEmbedding", "SGDOneClassSVM", "GaussianMixture", "BayesianGaussianMixture")
    ),
    **dict.fromkeys(("GammaRegressor", "PoissonRegressor", "TweedieRegressor"), np.exp(NUMBERS / 10)),
    **dict.fromkeys(("MultiTaskElasticNet", "MultiTaskLasso"), np.c_[NUMBERS, X[:, 0]]),
}
EQUAL = 1e-9
"""Of the standard deviation of the outputs: what rounding may come to."""

NEWTON = {"solver": "newton-cholesky", "tol": 1e-12}
IN_ORDER = {"shuffle": False, "tol": None}
NET = {"shuffle": False, "tol": 0.0, "hidden_layer_sizes": (8,), "batch_size": 32}
DESCENT = {"alpha": 0.01, "tol": 0.0}
MIXTURE = {"n_components": 3, "tol": 0.0}
ARGUMENTS = {
    "SGDClassifier": IN_ORDER, "SGDRegressor": IN_ORDER, "SGDOneClassSVM": IN_ORDER, "Perceptron": IN_ORDER,
    "PassiveAggressiveClassifier": IN_ORDER, "PassiveAggressiveRegressor": {**IN_ORDER, "C": 0.01},
    "MLPClassifier": NET, "MLPRegressor": NET,
    "ElasticNet": DESCENT, "Lasso": DESCENT, "MultiTaskElasticNet": DESCENT, "MultiTaskLasso": DESCENT,
    "GammaRegressor": NEWTON, "PoissonRegressor": NEWTON, "TweedieRegressor": {**NEWTON, "power": 1.5},
    "LogisticRegression": NEWTON,
    "GaussianMixture": MIXTURE, "BayesianGaussianMixture": MIXTURE,
    "ExtraTreesClassifier": {"max_depth": 3}, "ExtraTreesRegressor": {"max_depth": 3},
    "IsolationForest": {"contamination": 0.2},
}  # fmt: skip
"""Params with which so many epochs are a plain fit of so many: no stop of its own, and rows in their order."""

DIFFERENT = {
    "another order of rows": {
        "MLPClassifier": {"shuffle": True}, "MLPRegressor": {"shuffle": True}, "SGDClassifier": {"shuffle": True},
        "SGDRegressor": {"shuffle": True}, "SGDOneClassSVM": {"shuffle": True}, "Perceptron": {"shuffle": True},
        "PassiveAggressiveClassifier": {"shuffle": True}, "PassiveAggressiveRegressor": {"shuffle": True},
    },
    "another order of columns": {
        name: {"selection": "random"} for name in ("ElasticNet", "Lasso", "MultiTaskElasticNet", "MultiTaskLasso")
    },
    "the penalty l1 begins anew": {
        "SGDClassifier": {"penalty": "l1", "alpha": 0.01}, "SGDRegressor": {"penalty": "l1", "alpha": 0.1},
        "Perceptron": {"penalty": "l1", "alpha": 0.01},
    },
    "averaged intercepts begin anew": {
        "SGDClassifier": {"average": True}, "PassiveAggressiveClassifier": {"average": True},
    },
}  # fmt: skip
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$")
N_EPOCHS, SEEDS = 5, range(8)


@cache
def known():
    return dict(all_estimators())


def make(name, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # a class that goes away
        made = known()[name](**{**ARGUMENTS.get(name, {}), **params})
    return made.set_params(random_state=params.get("random_state", 3)) if "random_state" in made.get_params() else made


def target_of(name):
    if name in TARGETS:
        return TARGETS[name]
    return CLASSES if name.endswith("Classifier") or name in {"Perceptron", "LogisticRegression"} else NUMBERS


def outputs(model):
    methods = ("decision_function", "predict_proba", "score_samples", "predict", "transform")
    given = getattr(model, next(name for name in methods if hasattr(model, name)))(X)
    return np.asarray(given.toarray() if hasattr(given, "toarray") else given, dtype=float)


def in_epochs(model, y, n):
    return outputs(train_lineage(clone(model), (Segment({}, n),), X, y, horizon=n, seed=7))


def by_fit(model, y, n):
    way = way_of(model)
    counter = "max_iter" if way.counter == HORIZON else way.counter
    stops = {"n_iter_no_change": n} if way.counter == HORIZON and "n_iter_no_change" in model.get_params() else {}
    whole = clone(model).set_params(**{counter: n}, **stops)
    return outputs(whole.fit(X) if y is None else whole.fit(X, y))


def apart(one, other):
    return np.abs(one - other).max() / (other.std() or 1.0) if one.shape == other.shape else np.inf


@pytest.fixture(autouse=True)
def _no_convergence():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("name", KNOWN)
def test_so_many_epochs_are_a_plain_fit_of_so_many(name):
    model, y = make(name), target_of(name)
    for n in (1, 2, N_EPOCHS):
        assert apart(in_epochs(model, y, n), by_fit(model, y, n)) < EQUAL
    assert apart(in_epochs(model, y, 1), by_fit(model, y, N_EPOCHS)) > 1e-4  # the test can fail


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("SGDClassifier", {"class_weight": "balanced", "loss": "log_loss", "learning_rate": "invscaling", "eta0": 0.1}),
        ("Perceptron", {"class_weight": "balanced"}),
        ("PassiveAggressiveClassifier", {"class_weight": "balanced"}),
        ("SGDRegressor", {"average": True}),
        ("SGDOneClassSVM", {"average": 200}),
        ("MLPClassifier", {"solver": "sgd", "learning_rate": "adaptive"}),
        ("MLPRegressor", {"solver": "sgd", "learning_rate": "invscaling", "batch_size": 150, "shuffle": True}),
        ("LogisticRegression", {"class_weight": "balanced"}),
        ("LogisticRegression", {"solver": "newton-cg"}),
        ("RandomForestClassifier", {"class_weight": "balanced", "oob_score": True}),
        ("GradientBoostingClassifier", {"subsample": 0.5, "max_features": 2}),
        ("HistGradientBoostingClassifier", {"max_features": 0.5, "early_stopping": False}),
        ("BaggingRegressor", {"max_samples": 0.5, "max_features": 0.5}),
        ("GaussianMixture", {"init_params": "random_from_data", "covariance_type": "diag"}),
        ("ElasticNet", {"fit_intercept": False, "l1_ratio": 0.9}),
    ],
)
def test_and_so_they_are_with_other_params(name, params):
    y = target_of(name)
    assert apart(in_epochs(make(name, **params), y, N_EPOCHS), by_fit(make(name, **params), y, N_EPOCHS)) < EQUAL


def test_histograms_do_not_stop_by_themselves_where_rows_are_many():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(10_001, 2))
    y = rows[:, 0] + rng.normal(size=len(rows))
    model = make("HistGradientBoostingRegressor", max_leaf_nodes=3)
    grown = train_lineage(clone(model), (Segment({}, 3),), rows, y, horizon=3, seed=7)
    whole = clone(model).set_params(max_iter=3, early_stopping=False).fit(rows, y)
    assert np.array_equal(grown.predict(rows), whole.predict(rows))
    assert grown.early_stopping == "auto"


@pytest.mark.parametrize("wrapper", [OneVsRestClassifier, OneVsOneClassifier])
@pytest.mark.parametrize("name", ["SGDClassifier", "MLPClassifier"])
def test_estimators_that_hold_one_train_it_in_its_way(wrapper, name):
    model = wrapper(make(name))
    grown = train_lineage(clone(model), (Segment({}, 3),), X, CLASSES, horizon=3, seed=7)
    whole = wrapper(make(name).set_params(max_iter=3, n_iter_no_change=9)).fit(X, CLASSES)
    assert np.allclose(outputs(grown), outputs(whole), atol=1e-9)
    assert grown.get_params()["estimator__random_state"] == 3


def test_several_outputs_are_told_their_classes():
    Y = np.c_[CLASSES, X[:, 0] > 0]
    grown = train_lineage(MultiOutputClassifier(make("SGDClassifier")), (Segment({}, 3),), X, Y, horizon=3, seed=7)
    whole = MultiOutputClassifier(make("SGDClassifier", max_iter=3, n_iter_no_change=9)).fit(X, Y)
    assert np.array_equal(grown.predict(X), whole.predict(X))
    assert [one.tolist() for one in grown.classes_] == [one.tolist() for one in whole.classes_]
    Y = np.c_[NUMBERS, X[:, 0]]
    grown = train_lineage(MultiOutputRegressor(make("SGDRegressor")), (Segment({}, 3),), X, Y, horizon=3, seed=7)
    whole = MultiOutputRegressor(make("SGDRegressor", max_iter=3, n_iter_no_change=9)).fit(X, Y)
    assert np.allclose(grown.predict(X), whole.predict(X))


# --- what is refused, and what is known ------------------------------------------------------------------------------


def can_train_further(cls):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = cls._get_param_names()
    return hasattr(cls, "partial_fit") or ("warm_start" in names and {"n_estimators", "max_iter"} & set(names))


def test_every_estimator_of_scikit_learns_that_can_train_further_is_decided():
    decided = {name for name, cls in known().items() if can_train_further(cls)} - set(WRAPPERS)
    accepted = {
        name
        for name in decided
        if isinstance(way_of(make(name) if name != "SelectFromModel" else known()[name](SGDClassifier())), Way)
    }
    assert accepted == set(KNOWN)
    for name in decided - accepted:
        reason = way_of(known()[name](SGDClassifier()) if name == "SelectFromModel" else known()[name]())
        assert reason
        assert "not known" not in reason
        with pytest.raises(InputError, match=re.escape(reason)):
            check_epochs(known()[name](SGDClassifier()) if name == "SelectFromModel" else known()[name]())


def test_what_holds_another_is_refused_by_its_name():
    with pytest.raises(InputError, match="got OneVsRestClassifier, for GaussianNB: its partial_fit adds rows"):
        check_epochs(OneVsRestClassifier(GaussianNB()))
    with pytest.raises(InputError, match="it is frozen"):
        check_epochs(FrozenEstimator(SGDClassifier()))


def test_code_of_others_is_taken_at_its_word():
    class Mine(GaussianNB):
        def partial_fit(self, X, y, classes=None, sample_weight=None):
            return self.fit(X, y)

    class Heir(GaussianNB):
        pass

    class Stops:
        def get_params(self, deep=True):
            return {"early_stopping": True}

        def partial_fit(self, X, y):
            return self

    assert way_of(Mine()) == Way(HORIZON, refuses=way_of(Mine()).refuses)
    assert "adds rows" in way_of(Heir())
    assert [name for name, _, _ in refusals(Stops())] == ["early_stopping"]


# --- what the docs say -----------------------------------------------------------------------------------------------


def documented():
    text = DOCS.read_text(encoding="utf-8")
    table = text[text.index("| estimator | an epoch is |") :].partition("\n\n")[0]
    return {row[1]: row.groups()[1:] for line in table.splitlines() if (row := ROW.match(line))}


def test_the_table_in_the_docs_has_every_estimator_and_what_its_epoch_is():
    table = documented()
    assert sorted(table) == sorted(KNOWN)
    assert {name: row[0] for name, row in table.items()} == {name: way.words for name, way in KNOWN.items()}
    for name, (_, refused, _) in table.items():
        assert set(re.findall(r"`(\w+)", refused)) == set(KNOWN[name].refuses) <= set(make(name).get_params()), name


def ratios(name, params):
    """Return how far epochs are from a plain fit, in terms of what two plain fits of other seeds are apart."""
    y = target_of(name)
    params = {"shuffle": True, **params} if "shuffle" in make(name).get_params() else params
    fits = [by_fit(make(name, **params, random_state=seed), y, N_EPOCHS) for seed in SEEDS]
    grown = [in_epochs(make(name, **params, random_state=seed), y, N_EPOCHS) for seed in SEEDS]
    between = np.mean([apart(one, other) for one, other in pairwise(fits)])
    return np.mean([apart(one, other) for one, other in zip(grown, fits, strict=True)]) / between


@pytest.mark.parametrize(("name", "why"), [(name, why) for why, names in DIFFERENT.items() for name in names])
def test_differences_are_documented_and_no_larger_than_they_say(name, why):
    said = dict(re.findall(r"([a-z][\w ]+?): (\d\.\d\d)", documented()[name][2]))
    measured = ratios(name, DIFFERENT[why][name])
    assert measured == pytest.approx(float(said[why]), rel=0.3, abs=0.01), f"{name}, {why}: {measured:.2f}"


@pytest.mark.parametrize("name", KNOWN)
def test_the_docs_name_no_difference_that_is_not_measured(name):
    said = {why for why, _ in re.findall(r"([a-z][\w ]+?): (\d\.\d\d)", documented()[name][2])}
    assert said == {why for why, names in DIFFERENT.items() if name in names}
    assert said or documented()[name][2] == "none"
