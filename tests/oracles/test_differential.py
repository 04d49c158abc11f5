"""Generated searches give scikit-learn's numbers, to the last bit."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from generated import (
    CACHE,
    CHECKS,
    ByLabel,
    Case,
    Derived,
    Framed,
    Lifted,
    Plain,
    Typed,
    Writer,
    assert_equals_scikit_learn,
    cases,
    check,
    first_good,
    halve,
    n_right,
    widen,
)
from hypothesis import given, settings
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, HistGradientBoostingClassifier, StackingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor


@settings(max_examples=120, **CHECKS)
@given(cases())
def test_serial(case):
    check(case)


@pytest.mark.slow
@settings(max_examples=3000, **CHECKS)
@given(cases())
def test_serial_at_length(case):
    check(case, n_outer=None)


# --- named cases --------------------------------------------------------------------------------------------------------

X, Y = load_iris(return_X_y=True)
X, Y = X[::3], Y[::3]
_RANDOM = np.random.RandomState(0)
X = X + 0.5 * _RANDOM.normal(size=X.shape)
Z = load_diabetes(return_X_y=True)[1][: len(X)]
WEIGHTS = _RANDOM.uniform(0.1, 3, size=len(X))
ORDER = _RANDOM.permutation(len(X))
FOLDS = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, Y))
FRAME = pd.DataFrame(X, columns=list("abcd"))
WORDS = np.array(["one", "two", "three"])[Y]
GAPS = np.where(_RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
SPARSE = np.where(np.abs(X - 2) < 1, 0, X)
MIXED = pd.DataFrame({
    "age": X[:, 0],
    "size": pd.array((X[:, 1] * 3).round().astype(int), dtype="Int64"),
    "flag": X[:, 2] > 3,
    "city": np.array(["Oslo", "Rome", "Bern"], dtype=object)[_RANDOM.randint(3, size=len(X))],
    "kind": pd.Categorical(np.array(list("xyz"))[_RANDOM.randint(3, size=len(X))]),
}, index=[f"row {at}" for at in ORDER])  # fmt: skip
MIXED.loc[MIXED.index[::7], "size"] = pd.NA

_KNN = {"model__n_neighbors": [1, 5]}


def _knn(*steps, **options):
    """Return a pipeline of steps a, b, c and a neighbours' classifier."""
    return Pipeline([*zip("abc", steps, strict=False), ("model", KNeighborsClassifier())], **options)


def _encoded(**options):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    text = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("n", numbers, ["age", "size"]), ("t", text, ["city", "kind"])], **options)


def _case(estimator, grid, X=X, y=Y, folds=FOLDS, **options):
    return Case(estimator, grid, X, y, folds, **options)


CASES = {
    "a transformer that writes": _case(_knn(Writer()), {**_KNN, "a__when": ["transform", "fit"]}),
    "a transformer that writes, with train scores": _case(_knn(Writer()), {**_KNN, "a__when": ["transform", "fit"]}, return_train_score=True),
    "a transformer that writes, frames": _case(_knn(Writer()), {**_KNN, "a__when": ["transform", "fit"]}, X=FRAME),
    "a transformer that writes, sparse": _case(_knn(Writer()), _KNN, X=scipy.sparse.csr_array(SPARSE)),
    "a transformer that writes before a branch that reads": _case(
        _knn(FeatureUnion([("w", Writer()), ("s", StandardScaler()), ("n", "passthrough")])), _KNN
    ),
    "a transformer that writes into a view of columns": _case(
        _knn(ColumnTransformer([("w", Writer(), slice(0, 2)), ("s", StandardScaler(), [0, 1])], remainder="passthrough")), _KNN
    ),
    "steps without copies": _case(_knn(StandardScaler(copy=False), Normalizer(copy=False)), {**_KNN, "a__with_mean": [True, False]}),
    "a step without a copy before a branch that reads": _case(
        _knn(FeatureUnion([("s", StandardScaler(copy=False)), ("n", "passthrough")])), _KNN, X=X * [1, 5, 1, 0.2]
    ),
    "a step without a copy, in a pipeline for each class": _case(
        OneVsRestClassifier(_knn(StandardScaler(copy=False), FeatureUnion([("n", "passthrough"), ("p", PolynomialFeatures())]))),
        {"estimator__model__n_neighbors": [1, 5]}, X=X * [1, 5, 1, 0.2],
    ),
    "steps without copies, with train scores": _case(_knn(StandardScaler(copy=False)), _KNN, X=X * [1, 5, 1, 0.2], return_train_score=True),
    "a function that adds a column to a frame in place": _case(_knn(FunctionTransformer(widen)), _KNN, X=FRAME),
    "an attribute that is derived in __init__": _case(_knn(StandardScaler(), Derived()), {**_KNN, "b__factor": [2, 100, 4.0]}),
    "an attribute that is derived in __init__, in branches": _case(
        _knn(FeatureUnion([("d", Derived()), ("s", StandardScaler())])), {"a__d__factor": [2, 100]}
    ),
    "a derived attribute of a step that is a value": _case(_knn(StandardScaler()), {"a": [Derived(3), Derived(50)], "a__factor": [2, 100]}),
    "a derived attribute, with a memory": _case(_knn(Derived(), memory=CACHE), {**_KNN, "a__factor": [2, 100]}),
    "a step with fit and transform only": _case(_knn(StandardScaler(), Plain()), _KNN),
    "steps with fit and transform only as values": _case(_knn(StandardScaler(), Plain()), {"b": [Plain(1), Plain(2), "passthrough"]}),
    "a step that fits and transforms unlike fit, then transform": _case(_knn(Lifted(), StandardScaler()), _KNN, return_train_score=True),
    "branches that fit and transform unlike fit, then transform": _case(
        _knn(FeatureUnion([("l", Lifted()), ("p", PCA(2, random_state=0))])), _KNN, return_train_score=True
    ),
    "row labels that are features": _case(_knn(ByLabel()), {**_KNN, "a__modulus": [3, 50]}, X=MIXED[["age"]].assign(b=X[:, 1])),
    "row labels that are duplicated": _case(_knn(ByLabel()), _KNN, X=FRAME.set_index(ORDER // 3), y=pd.Series(Y, index=ORDER // 3)),
    "a step that looks at types": _case(_knn(Typed()), _KNN, X=FRAME.astype("float32"), y=pd.Series(WORDS)),
    "a step that looks at the type of a list": _case(_knn(Typed()), _KNN, X=X.tolist(), y=Y.tolist()),
    "frames with the labels of the rows, in columns": _case(
        _knn(ColumnTransformer([("f", Framed(), ["a", "b"]), ("s", StandardScaler(), ["c"])]).set_output(transform="pandas")),
        _KNN, X=FRAME.set_index(ORDER),
    ),
    "columns by dtype after text was encoded": _case(
        _knn(_encoded(verbose_feature_names_out=False).set_output(transform="pandas"),
             ColumnTransformer([("s", MinMaxScaler(), make_column_selector("age|size"))], remainder="passthrough")),
        {**_KNN, "a__n__standardscaler__with_mean": [True, False]}, X=MIXED,
    ),
    "columns with a remainder that is searched": _case(_knn(_encoded()), {"a__remainder": ["drop", "passthrough"]}, X=MIXED),
    "columns that are values": _case(
        _knn(ColumnTransformer([("s", StandardScaler(), [0, 1])])),
        {"a__transformers": [[("s", StandardScaler(), [0, 1])], [("p", PCA(1, random_state=0), [0, 1, 2]), ("k", "passthrough", [3])]]},
    ),
    "branches dropped and weighed": _case(
        _knn(FeatureUnion([("p", PCA(2, random_state=0)), ("s", StandardScaler())])),
        [{"a__p": ["drop", "passthrough"]}, {"a__transformer_weights": [None, {"p": 9}]}],
    ),
    "a union within columns within a union": _case(
        _knn(FeatureUnion([
            ("c", ColumnTransformer([("u", FeatureUnion([("p", PCA(1, random_state=0)), ("l", Lifted())]), [0, 1])])),
            ("k", make_pipeline(StandardScaler(), SelectKBest(k=1))),
        ])),
        {"a__c__u__p__whiten": [False, True], "a__k__selectkbest__k": [1, 2]},
    ),
    "target encoding, which is fitted in folds of its own": _case(
        _knn(ColumnTransformer([("t", TargetEncoder(cv=KFold(3, shuffle=True, random_state=0)), ["city", "kind"])])),
        {**_KNN, "a__t__smooth": ["auto", 1.0]}, X=MIXED, y=WORDS,
    ),
    "polynomials in both orders": _case(
        Pipeline([("a", PolynomialFeatures()), ("model", Ridge())]), {"a__order": ["C", "F"], "model__alpha": [1, 1.0]}, y=Z
    ),
    "arrays in Fortran's order": _case(Pipeline([("a", StandardScaler()), ("model", Ridge())]), {"model__alpha": [0.1, 1]}, X=np.asfortranarray(X), y=Z),
    "compressed columns": _case(
        make_pipeline(ColumnTransformer([("p", PolynomialFeatures(), [0, 1])]), Nystroem(n_components=5, random_state=0), RidgeClassifier()),
        {"ridgeclassifier__alpha": [0.1, 1]}, X=scipy.sparse.csc_array(SPARSE),
    ),
    "pairs of numbers for targets, in Fortran's order": _case(Ridge(), {"alpha": [0.1, 1]}, y=np.asfortranarray(np.column_stack([WEIGHTS, Z]))),
    "pairs of numbers for targets": _case(DecisionTreeRegressor(random_state=0), {"max_depth": [1, 3]}, y=pd.DataFrame({"u": Z, "v": Y}, index=ORDER)),
    "a target that is transformed": _case(
        TransformedTargetRegressor(make_pipeline(StandardScaler(), KNeighborsRegressor()), transformer=MinMaxScaler()),
        {"regressor__kneighborsregressor__n_neighbors": [1, 5]}, y=Z,
    ),
    "weights of a model": _case(Ridge(), {"alpha": [0.1, 10]}, y=Z, fit_params={"sample_weight": WEIGHTS}),
    "weights of a model, several metrics": _case(
        LogisticRegression(), {"C": [0.1, 10]}, fit_params={"sample_weight": pd.Series(WEIGHTS, index=ORDER)},
        scoring=["accuracy", "f1_macro"], refit="f1_macro", return_train_score=True,
    ),
    "weights of a last step": _case(
        make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 10]}, fit_params={"svc__sample_weight": WEIGHTS.tolist()}
    ),
    "weights of a first step": _case(
        make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.1, 10]}, fit_params={"standardscaler__sample_weight": WEIGHTS}
    ),
    "weights through a memory": _case(
        Pipeline([("a", StandardScaler()), ("model", RidgeClassifier())], memory=CACHE),
        {"model__alpha": [0.1, 10]}, fit_params={"a__sample_weight": WEIGHTS, "model__sample_weight": WEIGHTS},
    ),
    "models as values, each with params of its own": _case(
        _knn(StandardScaler()), [{"model": [SVC()], "model__C": [0.1, 10]}, {"model": [DecisionTreeClassifier(random_state=0)], "model__max_depth": [1, 3]}]
    ),
    "steps as values, among them pipelines and nothing": _case(
        _knn(StandardScaler()), {"a": ["passthrough", None, make_pipeline(StandardScaler(), PCA(2, random_state=0)), FunctionTransformer(halve)]}
    ),
    "a pipeline that ends in a pipeline": _case(
        make_pipeline(StandardScaler(), make_pipeline(PCA(2, random_state=0), SVC())),
        {"pipeline__pca__whiten": [False, True], "pipeline__svc__C": [0.1, 10]},
    ),
    "a pipeline that begins with nothing": _case(_knn("passthrough", StandardScaler()), _KNN),
    "pipelines with memories in a pipeline": _case(
        _knn(make_pipeline(StandardScaler(), PCA(2, random_state=0), memory=CACHE), memory=CACHE), {**_KNN, "a__pca__whiten": [False, True]}
    ),
    "a pipeline for each class": _case(OneVsRestClassifier(_knn(SelectKBest(k=1))), {"estimator__model__n_neighbors": [1, 5]}, y=WORDS),
    "bags of pipelines": _case(
        BaggingClassifier(_knn(Lifted()), n_estimators=2, random_state=0), {"estimator__model__n_neighbors": [1, 5], "max_features": [0.5, 1.0]}
    ),
    "a stack": _case(
        StackingClassifier([("k", _knn(StandardScaler())), ("t", DecisionTreeClassifier(random_state=0))], RidgeClassifier(), cv=2),
        {"k__model__n_neighbors": [1, 5], "t": ["drop"]},
    ),
    "columns with text, for a model that knows categories": _case(
        HistGradientBoostingClassifier(max_iter=2, categorical_features=["kind"], min_samples_leaf=3, random_state=0),
        {"learning_rate": [0.1, 1]}, X=MIXED.drop(columns=["city", "size"]),
    ),
    "numbers and frames asked for": _case(
        _knn(SimpleImputer(add_indicator=True), StandardScaler()).set_output(transform="pandas"), {**_KNN, "a__strategy": ["mean", "median"]}, X=GAPS
    ),
    "one part asked for frames": _case(
        _knn(StandardScaler(), PCA(2, random_state=0).set_output(transform="pandas")), _KNN, X=pd.DataFrame(X, columns=list("abcd"), index=ORDER)
    ),
    "ordinal codes of a whole frame": _case(
        _knn(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)), _KNN, X=MIXED[["city", "kind", "flag"]]
    ),
    "a categorical target": _case(RidgeClassifier(), {"alpha": [0.1, 100]}, y=pd.Categorical(WORDS)),
    "a categorical target in a pipeline": _case(_knn(StandardScaler()), _KNN, y=pd.Categorical(WORDS)),
    "a target of categories with labels": _case(_knn(StandardScaler()), _KNN, y=pd.Series(pd.Categorical(WORDS), index=ORDER)),
    "a target of objects": _case(_knn(StandardScaler()), _KNN, y=WORDS.astype(object)),
    "a flag for a target": _case(_knn(StandardScaler()), _KNN, y=Y == 1, scoring="roc_auc"),
    "some fits that fail": _case(_knn(PCA(random_state=0)), {"a__n_components": [2, 99]}),
    "some fits that fail in the inner folds only": _case(_knn(StandardScaler()), {"model__n_neighbors": [3, 20, 33]}),
    "a score of one's own": _case(_knn(StandardScaler()), _KNN, scoring=n_right),
    "a choice of one's own": _case(_knn(StandardScaler()), {"model__n_neighbors": [1, 3, 5]}, scoring="accuracy", refit=first_good),
    "values that are equal and of several types": _case(Ridge(), {"alpha": [1, 1.0, np.float64(1), np.int64(1)]}, y=Z),
    "values in an array": _case(Ridge(), {"alpha": np.array([0.1, 10.0])}, y=Z),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_named(case, tmp_path):
    assert_equals_scikit_learn(case, tmp_path)


@pytest.mark.parametrize("form", ["numbers", "all"])
def test_polars(form, tmp_path):
    polars = pytest.importorskip("polars", reason="needs the package polars")
    if form == "numbers":
        steps = _knn(StandardScaler(), PCA(2, random_state=0)).set_output(transform="polars")
        case = _case(steps, _KNN, X=polars.DataFrame(FRAME.to_dict("list")), y=polars.Series(WORDS.tolist()))
    else:
        columns = MIXED[["age", "city", "kind"]].astype({"kind": object})
        encode = ColumnTransformer([("t", OneHotEncoder(handle_unknown="ignore"), ["city", "kind"])], remainder="passthrough")
        case = _case(_knn(encode), _KNN, X=polars.DataFrame(columns.to_dict("list")))
    assert_equals_scikit_learn(case, tmp_path)
