"""An estimator meets the same clones, params and fits as in scikit-learn's own search, whatever is shared."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

import foldwise as fw
from foldwise.testing import ShuffledExecutor
from foldwise.worker.fit import FitContext

X, Y = load_iris(return_X_y=True)
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)
SEEN = set()


class Remembers(BaseEstimator):
    """Remembers how often it was cloned and which params were set, from its first object on."""

    def __init__(self, k=1):
        self.k = k
        self.history = ()
        self.doubled = 2 * k  # derived too early, as it should not be

    def __sklearn_clone__(self):
        other = super().__sklearn_clone__()
        other.history = (*self.history, "clone")
        return other

    def set_params(self, **params):
        self.history = (*self.history, f"set {params}")
        return super().set_params(**params)

    def note(self):
        SEEN.add((type(self).__name__, self.k, self.doubled, self.history))


class Step(TransformerMixin, Remembers):
    def fit(self, X, y=None):
        self.note()
        self.n_columns_ = np.shape(X)[1]
        return self

    def transform(self, X):
        return np.asarray(X)[:, : max(1, min(self.doubled, self.k))]


class Model(ClassifierMixin, Remembers):
    def fit(self, X, y):
        self.note()
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[(np.asarray(X)[:, -1] * self.k).astype(int) % len(self.classes_)]


CASES = {
    "alone": (Model(), {"k": [1, 2]}),
    "a pipeline": (Pipeline([("s", Step()), ("m", Model())]), {"s__k": [1, 3], "m__k": [1, 2]}),
    "a nested pipeline": (Pipeline([("p", make_pipeline(StandardScaler(), Step())), ("m", Model())]), {"p__step__k": [1, 3]}),
    "a pipeline last": (Pipeline([("s", Step()), ("p", make_pipeline(Step(2), Model()))]), {"p__model__k": [1, 2], "s__k": [2]}),
    "a union": (Pipeline([("u", FeatureUnion([("a", Step()), ("b", Step(2))])), ("m", Model())]), {"u__a__k": [1, 2], "m__k": [1, 2]}),
    "columns": (
        Pipeline([("c", ColumnTransformer([("a", Step(), [0, 1]), ("b", make_pipeline(Step(2)), [2, 3])])), ("m", Model())]),
        {"c__a__k": [1, 2], "m__k": [1, 2]},
    ),
    "a union in columns": (
        Pipeline([("c", ColumnTransformer([("u", FeatureUnion([("a", Step())]), [0, 1])], remainder=Step())), ("m", Model())]),
        {"c__u__a__k": [1, 2]},
    ),
    "a step as a value": (Pipeline([("s", Step()), ("m", Model())]), {"s": [Step(2), "passthrough"], "m__k": [1, 2]}),
}  # fmt: skip


def histories(search):
    SEEN.clear()
    search.fit(X, Y)
    return set(SEEN)


@pytest.mark.parametrize(("estimator", "space"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("executor", ["serial", "shuffled"])
def test_every_fit_meets_what_it_meets_in_a_grid_search(estimator, space, executor):
    theirs = GridSearchCV(estimator, space, cv=FOLDS)
    expected = histories(theirs)
    made = "serial" if executor == "serial" else ShuffledExecutor(seed=1)
    ours = fw.NestedSearchCV(estimator, space, search="grid", outer_cv=FOLDS, executor=made)
    assert histories(ours) == expected
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    for name, part in theirs.best_estimator_.get_params().items():
        if isinstance(part, Remembers):
            assert ours.best_estimator_.get_params()[name].history == part.history


@pytest.mark.parametrize(("estimator", "space"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("keep_model", [True, False])
def test_sharing_and_keeping_the_model_change_nothing_of_it(estimator, space, share, keep_model):
    plan = fw.NestedSearchCV(estimator, space, search="grid", outer_cv=FOLDS, executor="serial").plan(X, Y)
    trials = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, 0).ask(plan.n_trials)
    context = FitContext.of(plan)
    context.share = share
    SEEN.clear()
    results = context.run([plan.fit(trial.params, plan.whole, keep_model=keep_model) for trial in trials])
    found = set(SEEN)
    assert not any(result.error for result in results)
    SEEN.clear()
    base = clone(estimator)
    for trial in trials:
        clone(base).set_params(**clone(dict(trial.params), safe=False)).fit(X, Y)
    assert found == SEEN


def test_a_fit_that_is_run_again_without_sharing_begins_anew(monkeypatch):
    estimator, space = CASES["a pipeline"]
    expected = histories(GridSearchCV(estimator, space, cv=FOLDS))
    monkeypatch.setattr("foldwise.worker.sharing.shared_rows.SharedRows.before_last_step", lambda *_: 1 / 0)
    with pytest.warns(RuntimeWarning, match=r"ran without sharing, since they failed where they shared \(ZeroDivisionError"):
        assert histories(fw.NestedSearchCV(estimator, space, search="grid", outer_cv=FOLDS, executor="serial")) == expected
