"""What fits share changes no result: rows, prefixes, memories; nobody writes into what others read."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from foldwise.data import Dataset
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.worker.fit import FitContext
from foldwise.worker.sharing import PrefixMemory, is_shareable, n_bytes, untouchable
from foldwise.worker.sharing.composites import lend, release

X, Y = load_iris(return_X_y=True)


class Counted(TransformerMixin, BaseEstimator):
    """Centres, and counts how often it was fitted and applied."""

    fits = transforms = 0

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, X, y=None):
        type(self).fits += 1
        self.mean_ = np.asarray(X).mean(axis=0)
        return self

    def transform(self, X):
        type(self).transforms += 1
        return (np.asarray(X) - self.mean_) * self.factor


class Scribbling(KNeighborsClassifier):
    """Writes into whatever it is given."""

    def fit(self, X, y):
        X *= 2.0
        return super().fit(X, y)

    def predict(self, X):
        X *= 2.0
        return super().predict(X)


class Drawing(TransformerMixin, BaseEstimator):
    """Draws from numpy's global generator."""

    def fit(self, X, y=None):
        self.shift_ = np.random.rand()
        return self

    def transform(self, X):
        return X + self.shift_


def plan_of(estimator, space, X=X, **options):
    settings = Settings.of({"search": "grid", "outer_cv": 3, "random_state": 0, **options})
    return Plan.of(make_problem(Dataset(X, Y), estimator, space, settings))


def all_results(plan, *, share, chunk=None):
    asker = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, 0)
    trials = asker.ask(plan.n_trials)
    results = {}
    for train in plan.held_out:
        fits = [plan.fit(trial.params, train) for trial in trials]
        context = FitContext.of(plan)
        context.share = share
        for start in range(0, len(fits), chunk or len(fits)):
            for result in context.run(fits[start : start + (chunk or len(fits))]):
                assert result.error is None, result.error.traceback
                assert not result.score_errors, result.score_errors
                results[result.key] = result.scores
    return results


PIPELINES = {
    "one prefix": (make_pipeline(StandardScaler(), PCA(), SVC()), {"pca__n_components": [1, 2], "svc__C": [0.1, 1, 10]}),
    "steps out of alphabetical order": (
        Pipeline([("z", PCA()), ("a", SVC())]), {"a__C": [0.1, 1, 10], "z__n_components": [1, 2]},
    ),
    "a seeded transformer": (
        make_pipeline(GaussianRandomProjection(2), DecisionTreeClassifier()), {"decisiontreeclassifier__max_depth": [1, 2, 3]},
    ),
    "a transformer with an estimator inside": (
        make_pipeline(SelectFromModel(RandomForestClassifier(3)), RandomForestClassifier(3)),
        {"randomforestclassifier__max_depth": [1, 2], "selectfrommodel__estimator__max_depth": [1, 2]},
    ),
    "nested pipelines": (
        make_pipeline(make_pipeline(StandardScaler(), PCA()), make_pipeline(StandardScaler(), SVC())),
        {"pipeline-1__pca__n_components": [1, 2], "pipeline-2__svc__C": [1, 10]},
    ),
    "a union": (
        make_pipeline(FeatureUnion([("p", make_pipeline(StandardScaler(), PCA(1))), ("s", TruncatedSVD(2))]), SVC()),
        {"svc__C": [1, 10], "featureunion__p__pca__n_components": [1, 2]},
    ),
    "branches of a union, one of them searched": (
        make_pipeline(FeatureUnion([("p", PCA(1)), ("s", TruncatedSVD(2)), ("n", "passthrough")]), StandardScaler(), SVC()),
        {"svc__C": [1, 10], "featureunion__p__n_components": [1, 2]},
    ),
    "branches of a column transformer, one of them searched": (
        make_pipeline(
            ColumnTransformer([("p", PCA(1), [0, 1]), ("k", SelectKBest(k=1), [1, 2, 3]), ("d", "drop", [0])], remainder="passthrough"),
            SVC(),
        ),
        {"svc__C": [1, 10], "columntransformer__p__whiten": [False, True], "columntransformer__k__k": [1, 2]},
    ),
    "a union within a column transformer within a pipeline": (
        make_pipeline(
            StandardScaler(),
            ColumnTransformer([("u", FeatureUnion([("p", PCA(1)), ("q", make_pipeline(StandardScaler(), PCA(2)))]), [0, 1, 2])]),
            make_pipeline(StandardScaler(), DecisionTreeClassifier()),
        ),
        {"pipeline__decisiontreeclassifier__max_depth": [1, 3], "columntransformer__u__p__whiten": [False, True],
         "columntransformer__u__q__pca__n_components": [1, 2]},
    ),
    "a union without a pipeline around it": (
        Pipeline([("u", FeatureUnion([("p", PCA(1)), ("s", SelectKBest(k=1))])), ("m", KNeighborsClassifier())]),
        {"u": [FeatureUnion([("p", PCA(2))]), FeatureUnion([("s", SelectKBest(k=2))])], "m__p": [1, 2]},
    ),
    "a column transformer": (
        make_pipeline(make_column_transformer((make_pipeline(StandardScaler(), PCA(1)), [0, 1]), remainder="passthrough"), SVC()),
        {"svc__C": [1, 10]},
    ),
    "steps as values": (
        Pipeline([("scale", None), ("model", SVC())]), {"scale": [StandardScaler(), "passthrough", PCA(2)], "model__C": [1, 10]},
    ),
    "an estimator that writes": (make_pipeline(StandardScaler(), Scribbling()), {"scribbling__n_neighbors": [1, 5]}),
    "an estimator alone that writes": (Scribbling(), {"n_neighbors": [1, 5, 9]}),
    "a transformer that writes": (
        make_pipeline(FunctionTransformer(lambda X: np.multiply(X, 2, out=X)), KNeighborsClassifier()),
        {"kneighborsclassifier__n_neighbors": [1, 5]},
    ),
    "a transformer that changes nothing": (
        make_pipeline(FunctionTransformer(), StandardScaler(), KNeighborsClassifier()), {"kneighborsclassifier__n_neighbors": [1, 5]},
    ),
    "an inner pipeline that is fitted to several targets": (
        OneVsRestClassifier(make_pipeline(SelectKBest(k=1), DecisionTreeClassifier())), {"estimator__decisiontreeclassifier__max_depth": [1, 3]},
    ),
    "no pipeline": (DecisionTreeClassifier(), {"max_depth": [1, 2, 3]}),
}  # fmt: skip


@pytest.mark.parametrize(("estimator", "space"), PIPELINES.values(), ids=PIPELINES.keys())
@pytest.mark.parametrize("scoring", [None, ["accuracy", "roc_auc_ovo"]], ids=["score", "metrics"])
def test_sharing_changes_no_result(estimator, space, scoring):
    if scoring and any(name in str(estimator).lower() for name in ("svc", "onevsrest")):  # no probabilities that sum to one
        scoring = ["accuracy", "f1_macro"]
    plan = plan_of(estimator, space, scoring=scoring, return_train_score=True)
    alone = all_results(plan, share=False)
    assert all_results(plan, share=True) == alone
    assert all_results(plan, share=True, chunk=2) == alone


@pytest.mark.parametrize("kind", ["sparse", "frame", "list"])
def test_sharing_changes_no_result_for_other_kinds_of_data(kind):
    data = {"sparse": scipy.sparse.csr_array(X), "frame": pd.DataFrame(X, columns=list("abcd")), "list": X.tolist()}[kind]
    scaler = StandardScaler(with_mean=False).set_output(transform="default" if kind != "frame" else "pandas")
    plan = plan_of(make_pipeline(scaler, SVC()), {"svc__C": [0.1, 1, 10]}, X=data)
    assert all_results(plan, share=True) == all_results(plan, share=False)


def test_a_frame_that_a_transformer_adds_columns_to_is_each_fits_own():
    def widen(frame):
        frame["e"] = frame["a"] * 2
        return frame

    frame = pd.DataFrame(X, columns=list("abcd"))
    plan = plan_of(
        make_pipeline(FunctionTransformer(widen), KNeighborsClassifier()), {"kneighborsclassifier__p": [1, 2]}, X=frame
    )
    assert all_results(plan, share=True) == all_results(plan, share=False)
    assert list(frame) == list("abcd")


def test_draws_from_the_global_generator_are_each_fits_own():
    plan = plan_of(make_pipeline(Drawing(), KNeighborsClassifier()), {"kneighborsclassifier__n_neighbors": [1, 5, 9]})
    alone = all_results(plan, share=False)
    assert all_results(plan, share=True) == all_results(plan, share=True, chunk=1) == alone


def test_an_equal_prefix_is_fitted_and_applied_once_per_chunk():
    Counted.fits = Counted.transforms = 0
    plan = plan_of(make_pipeline(Counted(), SVC()), {"svc__C": [0.1, 1, 10], "counted__factor": [1.0, 2.0]})
    fold = plan.studies[-1].folds[0]
    trials = plan.problem.settings.search.open(plan.problem.space, 6, 0).ask(6)
    FitContext.of(plan).run([plan.fit(trial.params, fold.train) for trial in trials])
    assert Counted.fits == 2
    assert Counted.transforms == 2 * (1 + 1)  # the train rows and the held-out rows


def counts_of(estimator, space):
    """Run all fits on one set of train rows; returns how often `Counted` was fitted and applied."""
    Counted.fits = Counted.transforms = 0
    plan = plan_of(estimator, space)
    fold = plan.studies[-1].folds[0]
    trials = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, 0).ask(plan.n_trials)
    for result in FitContext.of(plan).run([plan.fit(trial.params, fold.train) for trial in trials]):
        assert result.failure_on(fold.held_out) is None, result.error or result.score_errors
    return Counted.fits, Counted.transforms


@pytest.mark.parametrize(
    ("estimator", "space"),
    [
        (make_pipeline(FeatureUnion([("c", Counted()), ("p", PCA(1))]), SVC()), {"featureunion__p__n_components": [1, 2]}),
        (
            make_pipeline(ColumnTransformer([("c", Counted(), [0, 1]), ("p", PCA(1), [2, 3])]), SVC()),
            {"columntransformer__p__whiten": [False, True], "svc__C": [1, 10]},
        ),
        (
            make_pipeline(ColumnTransformer([("c", make_pipeline(Counted(), PCA(1)), [0, 1])]), SVC()),
            {"columntransformer__c__pca__whiten": [False, True], "svc__C": [1, 10]},
        ),
        (make_pipeline(make_pipeline(Counted(), PCA(1)), SVC()), {"pipeline__pca__whiten": [False, True], "svc__C": [1, 10]}),
        (make_pipeline(PCA(2), make_pipeline(Counted(), SVC())), {"pipeline__svc__C": [1, 10, 100]}),
    ],
    ids=["union", "columns", "a pipeline within columns", "a pipeline first", "a pipeline last"],
)
def test_an_equal_part_of_a_composite_is_fitted_and_applied_once(estimator, space):
    assert counts_of(estimator, space) == (1, 2)  # on the train rows and on the held-out rows


def test_every_fit_that_shares_a_prefix_hears_of_its_warnings():
    plan = plan_of(make_pipeline(SelectKBest(k=9), SVC()), {"svc__C": [0.1, 1, 10]})  # more than there are columns
    fold = plan.studies[-1].folds[0]
    results = FitContext.of(plan).run([plan.fit({"svc__C": C}, fold.train) for C in (0.1, 1, 10)])
    assert len({result.warned for result in results}) == 1
    assert results[0].warned


def test_what_is_fitted_with_a_memory_has_none_of_it_afterwards():
    columns = ColumnTransformer([("p", make_pipeline(StandardScaler(), PCA(1)), [0, 1]), ("k", SelectKBest(k=1), [2, 3])])
    svd = TruncatedSVD(2, random_state=0)
    model = make_pipeline(FeatureUnion([("c", columns), ("s", svd)]), make_pipeline(StandardScaler(), SVC()))
    plain = clone(model).fit(X, Y)
    memory = PrefixMemory()
    lend(model, memory)
    model.fit(memory.lend(X.copy(), "X"), memory.lend(Y.copy(), "y"))
    release(model)
    assert "Branch" not in repr(model)
    assert "PrefixMemory" not in repr(model)
    fitted = model.steps[0][1].transformer_list[0][1].transformers_
    assert [type(part).__name__ for _, part, _ in fitted] == ["Pipeline", "SelectKBest"]
    assert np.array_equal(model.predict(X), plain.predict(X))
    assert model[:-1].get_feature_names_out().tolist() == plain[:-1].get_feature_names_out().tolist()


def test_a_scorer_of_the_users_sees_the_whole_pipeline_and_raw_rows():
    seen = []

    def looking(estimator, X, y):
        seen.append((type(estimator).__name__, [type(step).__name__ for _, step in estimator.steps], estimator.memory, X[0, 0]))
        return estimator.score(X, y)

    plan = plan_of(make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 10]}, scoring=looking)
    fold = plan.studies[-1].folds[0]
    FitContext.of(plan).run([plan.fit({"svc__C": C}, fold.train) for C in (1, 10)])
    first = X[plan.rows[fold.held_out][0], 0]
    assert seen == [("Pipeline", ["StandardScaler", "SVC"], None, first)] * 2


def test_a_memory_of_the_users_still_works(tmp_path):
    estimator = make_pipeline(StandardScaler(), SVC(), memory=str(tmp_path / "cache"))
    plan = plan_of(estimator, {"svc__C": [1, 10]})
    shared = all_results(plan, share=True)
    assert (tmp_path / "cache").exists()
    assert list(shared.values()) == list(
        all_results(plan_of(estimator.set_params(memory=None), {"svc__C": [1, 10]}), share=False).values()
    )


def test_what_is_lent_cannot_be_changed_for_others():
    array, frame, rows = np.ones(3), pd.DataFrame({"a": [1, 2]}), [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        untouchable(array)[0] = 2
    lent = untouchable(frame)
    lent["b"] = 1
    lent.loc[0, "a"] = 5
    untouchable(rows).append(3)
    assert (list(frame), frame["a"].tolist(), rows) == (["a"], [1, 2], [1, 2])
    assert is_shareable(scipy.sparse.csr_array(X))
    assert not is_shareable(object())


@pytest.mark.parametrize(
    "values",
    [[[1], [2]], pd.Categorical(["a", "b"]), np.ma.array([1, 2]), np.array([1, 2]).view(np.matrix), pd.Index([1]), {"a": 1}],
    ids=lambda values: type(values).__name__,
)  # fmt: skip
def test_what_is_not_known_to_the_last_detail_is_not_shared(values):
    assert not is_shareable(values)
    with pytest.raises(TypeError, match=f"got {type(values).__name__}"):
        untouchable(values)


def test_a_lent_object_is_its_users_own():
    array, sparse = np.ones((2, 3)), scipy.sparse.csr_array(np.eye(3))
    untouchable(array).shape = (3, 2)
    lent = untouchable(sparse)
    lent.data = np.log1p(lent.data)
    assert array.shape == (2, 3)
    assert sparse.data.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="WRITEABLE"):
        untouchable(array).flags.writeable = True


class Logarithms(TransformerMixin, BaseEstimator):
    """Changes a sparse matrix as is often done: by other data in its place."""

    def fit(self, X, y=None):
        self.is_fitted_ = True
        return self

    def transform(self, X):
        X.data = np.log1p(X.data)
        return X


TARGETS = np.array(["setosa", "versicolor", "virginica"])[Y]
KNEIGHBORS = {"kneighborsclassifier__n_neighbors": [1, 5, 9]}


@pytest.mark.parametrize(
    ("data", "targets"),
    [
        (X, pd.Categorical(TARGETS)),
        (X, pd.array(Y, dtype="Int64")),
        (X, pd.Series(TARGETS, index=range(900, 1050), dtype="category")),
        (X, list(TARGETS)),
        (X.tolist(), Y),
        (np.asfortranarray(X), Y),
        (scipy.sparse.csr_matrix(X), Y),
        (scipy.sparse.coo_array(X), Y),
        (pd.DataFrame(X, index=np.repeat(["a", "b", "c"], 50)), pd.Series(Y)),
        (pd.DataFrame(X).astype("Float64"), Y),
    ],
    ids=lambda values: type(values).__name__,
)
def test_any_form_of_rows_gives_the_scores_of_a_grid_search(data, targets):
    import foldwise as fw

    sparse = hasattr(data, "tocsr")
    model = make_pipeline(Logarithms() if sparse else StandardScaler(), KNeighborsClassifier())
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    theirs = GridSearchCV(model, KNEIGHBORS, cv=folds).fit(copy.deepcopy(data), targets)  # whose refit writes into them
    ours = fw.NestedSearchCV(model, KNEIGHBORS, search="grid", outer_cv=folds, executor="serial").fit(data, targets)
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
    assert ours.best_params_ == theirs.best_params_
    assert not ours.report().warned


def test_equal_columns_of_other_rows_keep_their_row_labels():
    frame = pd.DataFrame({"number": X[:, 2], "arm": np.tile([0, 1], 75)})
    columns = ColumnTransformer([("n", StandardScaler(), ["number"]), ("a", OneHotEncoder(sparse_output=False), ["arm"])])
    plan = plan_of(make_pipeline(columns.set_output(transform="pandas"), SVC()), {"svc__C": [0.1, 1]}, X=frame)
    assert all_results(plan, share=True) == all_results(plan, share=False)


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler(copy=False)],
        [make_pipeline(StandardScaler(copy=False))],
        [FunctionTransformer(), StandardScaler(copy=False)],
        [FeatureUnion([("s", StandardScaler(copy=False)), ("n", "passthrough")])],
        ["passthrough", StandardScaler(copy=False), PCA(2)],
    ],
    ids=["a step", "within a step", "behind nothing", "beside the raw rows", "between"],
)
@pytest.mark.parametrize("form", [np.array, pd.DataFrame])
def test_what_is_changed_in_place_is_changed_as_it_would_be_without_sharing(steps, form):
    import foldwise as fw

    model, data = make_pipeline(*steps, KNeighborsClassifier()), X * [1, 5, 1, 0.2]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    theirs = GridSearchCV(model, KNEIGHBORS, cv=folds, return_train_score=True).fit(form(data), Y)
    ours = fw.NestedSearchCV(model, KNEIGHBORS, search="grid", outer_cv=folds, executor="serial", return_train_score=True)
    ours.fit(form(data), Y)
    for name in ("mean_test_score", "mean_train_score"):
        np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])
    np.testing.assert_array_equal(ours.predict(form(data)), theirs.predict(form(data)))


class Relabels(TransformerMixin, BaseEstimator):
    """Writes into the targets, which the steps behind it then learn from."""

    def fit(self, X, y):
        if isinstance(y, pd.Series):
            y.iloc[:20] = 2
        else:
            y[:20] = [2] * 20
        self.n_columns_ = np.shape(X)[1]
        return self

    def transform(self, X):
        return X


@pytest.mark.parametrize("form", [np.array, pd.Series, list])
def test_targets_that_a_step_writes_into_are_those_that_the_next_one_sees(form):
    import foldwise as fw

    model, folds = make_pipeline(Relabels(), KNeighborsClassifier()), StratifiedKFold(3, shuffle=True, random_state=0)
    theirs = GridSearchCV(model, KNEIGHBORS, cv=folds).fit(X, form(Y.tolist()))
    ours = fw.NestedSearchCV(model, KNEIGHBORS, search="grid", outer_cv=folds, executor="serial").fit(X, form(Y.tolist()))
    np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])


class CountsItself(Counted):
    """Is another one after each transform."""

    def transform(self, X):
        self.factor_ = getattr(self, "factor_", 0) + 1
        return super().transform(X) * self.factor_


def test_a_transformer_that_changes_as_it_transforms_is_each_fits_own():
    plan = plan_of(make_pipeline(CountsItself(), SVC()), {"svc__C": [0.1, 1, 10]}, return_train_score=True)
    assert all_results(plan, share=True) == all_results(plan, share=False)


def test_trouble_of_sharing_is_no_fits_failure(monkeypatch):
    plan = plan_of(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 1, 10]})
    expected = all_results(plan, share=False)
    monkeypatch.setattr(PrefixMemory, "lend", lambda *_: [].missing)
    assert all_results(plan, share=True) == expected
    (result,) = FitContext.of(plan).run([plan.fit({"svc__C": 1}, plan.studies[0].folds[0].train)])
    assert result.warned[0][0] == "builtins:RuntimeWarning"
    assert "ran without sharing, since they failed where they shared (AttributeError" in result.warned[0][1]


def test_a_failure_of_the_fits_own_is_told_as_it_is():
    plan = plan_of(make_pipeline(StandardScaler(), SVC(C=-1)), {"svc__kernel": ["linear"]})
    (result,) = FitContext.of(plan).run([plan.fit({"svc__kernel": "linear"}, plan.studies[0].folds[0].train)])
    assert result.error.kind == "InvalidParameterError"
    assert not result.warned


def test_memory_for_prefixes_is_bounded():
    memory = PrefixMemory(most_bytes=1000)
    for key in range(10):
        memory.recall(key, lambda: (np.ones(50), None))
    assert memory._n_bytes <= 1000
    assert len(memory._kept) == 2
    before = memory.n_made
    memory.recall(9, lambda: (np.ones(50), None))
    assert memory.n_made == before
    assert n_bytes(np.ones(50)) == 400


def test_the_final_model_has_no_memory_of_ours():
    import foldwise as fw

    search = fw.NestedSearchCV(
        make_pipeline(StandardScaler(), SVC()), {"svc__C": [1, 10]}, search="grid", outer_cv=3, executor="serial"
    ).fit(X, Y)
    assert search.best_estimator_.memory is None
    assert search.best_estimator_.named_steps["standardscaler"].mean_.flags.writeable
