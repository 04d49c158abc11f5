"""Generated search problems in the forms in which users hold estimators and data, and their comparison with scikit-learn."""

import copy
import importlib.util
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from hypothesis import HealthCheck, assume
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold, f_classif, f_regression
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, KFold, PredefinedSplit, StratifiedKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import _safe_indexing, indexable

import foldwise as fw

HAS_POLARS = importlib.util.find_spec("polars") is not None

CACHE = "a folder of its own"
"""Stands for the memory of a pipeline; each side gets another folder."""


# --- transformers and functions of a user -------------------------------------------------------------------------------


class Derived(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Derives an attribute from a param in ``__init__``, where only a clone, and not ``set_params``, renews it."""

    def __init__(self, factor=2):
        self.factor = factor
        self.scale = 1 / factor

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X):
        scales = np.ones(np.shape(X)[1])
        scales[0] = self.scale
        if scipy.sparse.issparse(X):
            return X @ scipy.sparse.diags_array(scales)
        return (X if hasattr(X, "iloc") else np.asarray(X)) * scales


class Plain:
    """Has ``fit`` and ``transform`` and nothing else."""

    def __init__(self, power=1):
        self.power = power

    def fit(self, X, y=None):
        self.largest_ = np.abs(np.asarray(X, dtype=float)).max()
        return self

    def transform(self, X):
        values = np.array(X, dtype=float)
        values[:, 0] /= self.largest_**self.power
        return values


class Writer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Writes into the rows that it is given."""

    def __init__(self, factor=3, when="transform"):
        self.factor = factor
        self.when = when

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        if self.when == "fit":
            self._write(X)
        return self

    def transform(self, X):
        return self._write(X) if self.when == "transform" else X

    def _write(self, X):
        if scipy.sparse.issparse(X):
            X.data *= self.factor
        elif hasattr(X, "iloc"):
            X.isetitem(0, X.iloc[:, 0] * self.factor)
        else:
            X = X if isinstance(X, np.ndarray) else np.array(X)
            X[:, 0] *= self.factor
        return X


class Framed(TransformerMixin, BaseEstimator):
    """Gives a frame, with the labels of the rows that it was given."""

    def __init__(self, weight=1):
        self.weight = weight

    def fit(self, X, y=None):
        self.mean_ = np.asarray(X, dtype=float).mean(axis=0)
        return self

    def transform(self, X):
        values = np.asarray(X, dtype=float) - self.mean_
        values[:, 0] *= self.weight
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(values, index=index, columns=self.get_feature_names_out())

    def get_feature_names_out(self, names=None):
        return np.array([f"framed{at}" for at in range(len(self.mean_))], dtype=object)


class ByLabel(TransformerMixin, BaseEstimator):
    """Makes a feature of the row labels of a frame, as one who has times in the index does."""

    def __init__(self, modulus=3):
        self.modulus = modulus

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def transform(self, X):
        labels = [str(one) for one in X.index] if isinstance(X, pd.DataFrame) else [""] * len(X)
        return np.column_stack([np.asarray(X, dtype=float), [sum(map(ord, one)) % self.modulus for one in labels]])


class Typed(TransformerMixin, BaseEstimator):
    """Scales the first column by a number that the types of what it is given decide."""

    def __init__(self, weight=1):
        self.weight = weight

    def fit(self, X, y=None):
        self.fitted_with_ = self._number(X, y)
        return self

    def transform(self, X):
        values = np.array(X, dtype=float)
        values[:, 0] *= 1 + self.weight * (self.fitted_with_ + self._number(X, None)) / 50
        return values

    def _number(self, *given):
        words = [type(one).__name__ for one in given]
        words += [
            str(kind) for one in given for kind in (one.dtypes if hasattr(one, "columns") else [getattr(one, "dtype", "")])
        ]
        return sum(map(ord, "".join(words))) % 50


class Lifted(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Gives the rows that it is fitted on something else than it gives the same rows later."""

    def __init__(self, lift=0.1):
        self.lift = lift

    def fit(self, X, y=None):
        self.n_features_in_ = np.shape(X)[1]
        return self

    def fit_transform(self, X, y=None):
        self.fit(X)
        values = np.asarray(X, dtype=float)
        return values + self.lift * np.arange(len(values))[:, None]

    def transform(self, X):
        return np.asarray(X, dtype=float)


def halve(X):
    return X / 2


def widen(X):
    """Add a column: to a frame in place."""
    if hasattr(X, "iloc"):
        X["wide"] = X.iloc[:, 0] * 2
        return X
    return np.column_stack([np.asarray(X), np.asarray(X)[:, 0] * 2])


def first_columns(X):
    return list(X.columns[:2]) if hasattr(X, "columns") else [0, 1]


def n_right(estimator, X, y):
    """Score with the raw rows and the whole estimator in view."""
    return float((np.asarray(estimator.predict(X)) == np.asarray(y)).sum() + np.shape(X)[0] / 1000)


def first_good(results):
    """Choose by a function of ``cv_results_``."""
    means = np.nan_to_num(results["mean_test_score"], nan=-np.inf)
    return int(np.flatnonzero(means >= means.max() - 0.1)[0])


# --- cases --------------------------------------------------------------------------------------------------------------


@dataclass(repr=False)
class Case:
    """A grid search, nested in folds that have been made."""

    estimator: Any
    grid: Any
    X: Any
    y: Any
    folds: list[tuple[np.ndarray, np.ndarray]]
    fit_params: dict[str, Any] = field(default_factory=dict)
    scoring: Any = None
    refit: Any = True
    return_train_score: bool = False

    def __repr__(self):
        return (
            f"Case(\n  {_with_types(self.estimator)!r},\n  {self.grid!r},\n  X={_form(self.X)}, y={_form(self.y)}, "
            f"n_folds={len(self.folds)}, fit_params={ {n: _form(v) for n, v in self.fit_params.items()} }, scoring={self.scoring!r}, "
            f"refit={self.refit!r}, return_train_score={self.return_train_score},\n)"
        )

    def taken(self, folder):
        """Return a deep copy whose pipelines have their memory in a folder."""
        case = copy.deepcopy(self)
        params = case.estimator.get_params(deep=True)
        cached = [name for name, value in params.items() if isinstance(value, str) and value == CACHE]
        case.estimator.set_params(**dict.fromkeys(cached, str(folder)))
        return case


def _with_types(estimator):
    configured = {
        type(part).__name__: part._sklearn_output_config
        for part in [estimator, *estimator.get_params(deep=True).values()]
        if hasattr(part, "_sklearn_output_config")
    }
    return (estimator, configured) if configured else estimator


def _form(values):
    """Describe data in a word or two."""
    if isinstance(values, pd.DataFrame):
        return f"DataFrame({values.dtypes.to_dict()}, {type(values.index).__name__})"
    if isinstance(values, pd.Series):
        return f"Series({values.dtype}, {type(values.index).__name__})"
    order = "" if not isinstance(values, np.ndarray) or values.ndim < 2 else " C" if values.flags.c_contiguous else " F"
    shape = getattr(values, "shape", None) or len(values)
    return f"{type(values).__name__}({getattr(values, 'dtype', '')}{order} {shape})"


# --- parts of estimators: the class, how to build it, and values to search over -------------------------------------------

_DENSE = [
    (StandardScaler, {}, {"with_mean": [True, False], "with_std": [True, False]}),
    (MinMaxScaler, {}, {"feature_range": [(0, 1), (-1, 2)], "clip": [False, True]}),
    (RobustScaler, {}, {"quantile_range": [(25.0, 75.0), (10, 90)], "unit_variance": [False, True]}),
    (MaxAbsScaler, {}, {}),
    (PCA, {"random_state": 0, "svd_solver": "full"}, {"n_components": [2, 1, 0.9, None, 99], "whiten": [False, True]}),
    (SelectKBest, {"k": 2}, {"k": [1, 2, "all"]}),
    (VarianceThreshold, {}, {"threshold": [0.0, 0.01, 0.5]}),
    (PolynomialFeatures, {}, {"interaction_only": [True, False], "include_bias": [True, False], "order": ["C", "F"]}),
    (
        KBinsDiscretizer,
        {"n_bins": 3, "encode": "ordinal", "quantile_method": "averaged_inverted_cdf"},
        {"n_bins": [3, 2], "strategy": ["uniform", "quantile"]},
    ),
    (SimpleImputer, {}, {"strategy": ["mean", "median"], "add_indicator": [False, True]}),
    (FunctionTransformer, {"func": halve}, {"func": [None, halve, np.cbrt, widen]}),
    (FunctionTransformer, {"func": np.tanh, "feature_names_out": "one-to-one"}, {"func": [np.tanh, np.cbrt]}),
    (FunctionTransformer, {}, {"validate": [False, True]}),
    (Normalizer, {}, {"norm": ["l2", "max"], "copy": [True, False]}),
    (StandardScaler, {"copy": False}, {"with_std": [True, False], "copy": [False, True]}),
    (QuantileTransformer, {"n_quantiles": 10, "random_state": 0}, {"n_quantiles": [10, 5]}),
    (SplineTransformer, {"n_knots": 3, "degree": 2}, {"n_knots": [3, 4], "include_bias": [True, False]}),
    (Nystroem, {"n_components": 5, "random_state": 0}, {"n_components": [5, 3], "gamma": [None, 0.1]}),
    (TruncatedSVD, {"n_components": 2, "random_state": 0}, {"n_components": [2, 1]}),
    (SelectFromModel, {"estimator": DecisionTreeRegressor(max_depth=3, random_state=0)}, {"estimator__max_depth": [3, 1]}),
    (Derived, {}, {"factor": [2, 4, 3.0]}),
    (Plain, {}, {}),
    (Framed, {}, {"weight": [1, 3]}),
    (ByLabel, {}, {"modulus": [3, 7]}),
    (Typed, {}, {"weight": [1, 2]}),
    (Lifted, {}, {"lift": [0.1, 0.0]}),
    (Writer, {}, {"factor": [3, 2], "when": ["transform", "fit"]}),
]

_SPARSE = [
    (StandardScaler, {"with_mean": False}, {"with_std": [True, False]}),
    (MaxAbsScaler, {}, {"copy": [True, False]}),
    (SelectKBest, {"k": 2}, {"k": [1, 2, "all"]}),
    (VarianceThreshold, {}, {"threshold": [0.0, 0.01]}),
    (PolynomialFeatures, {}, {"interaction_only": [True, False]}),
    (FunctionTransformer, {"func": halve}, {"func": [None, halve, abs]}),
    (Normalizer, {}, {"norm": ["l2", "max"], "copy": [True, False]}),
    (Nystroem, {"n_components": 5, "random_state": 0}, {"n_components": [5, 3]}),
    (TruncatedSVD, {"n_components": 2, "random_state": 0}, {"n_components": [2, 1]}),
    (SelectFromModel, {"estimator": DecisionTreeRegressor(max_depth=3, random_state=0)}, {"estimator__max_depth": [3, 1]}),
    (Derived, {}, {"factor": [2, 4, 3.0]}),
    (Writer, {}, {"factor": [3, 2], "when": ["transform", "fit"]}),
]

_TEXT = [
    (OneHotEncoder, {"handle_unknown": "ignore"}, {"drop": [None, "if_binary"], "min_frequency": [None, 4]}),
    (OrdinalEncoder, {"handle_unknown": "use_encoded_value", "unknown_value": -1}, {"min_frequency": [None, 4]}),
    (TargetEncoder, {"cv": KFold(3, shuffle=True, random_state=0)}, {"smooth": ["auto", 1.0]}),
]

_CLASSIFIERS = [
    (LogisticRegression, {"max_iter": 50}, {"C": [1, 0.01, 10.0], "fit_intercept": [True, False]}),
    (SVC, {}, {"C": [1, 0.1, 10.0], "kernel": ["rbf", "linear"], "gamma": ["scale", 0.1]}),
    (KNeighborsClassifier, {}, {"n_neighbors": [5, 1, 25], "weights": ["uniform", "distance"]}),
    (DecisionTreeClassifier, {"random_state": 0}, {"max_depth": [None, 1, 2], "criterion": ["gini", "entropy"]}),
    (RidgeClassifier, {}, {"alpha": [1.0, 100]}),
    (GaussianNB, {}, {"var_smoothing": [1e-9, 0.1]}),
    (
        HistGradientBoostingClassifier,
        {"max_iter": 2, "max_bins": 10, "min_samples_leaf": 3, "random_state": 0},
        {"learning_rate": [0.1, 1.0], "max_depth": [None, 1]},
    ),
    (RandomForestClassifier, {"n_estimators": 3, "random_state": 0}, {"max_depth": [None, 1], "max_features": ["sqrt", 1]}),
    (
        VotingClassifier,
        {"estimators": [("t", DecisionTreeClassifier(max_depth=2, random_state=0)), ("k", KNeighborsClassifier())]},
        {"t__max_depth": [2, 1], "k": ["drop", KNeighborsClassifier(1)]},
    ),
]

_REGRESSORS = [
    (Ridge, {}, {"alpha": [1.0, 100, 0.01]}),
    (Lasso, {"alpha": 0.1}, {"alpha": [0.1, 1]}),
    (KNeighborsRegressor, {}, {"n_neighbors": [5, 1, 25], "weights": ["uniform", "distance"]}),
    (DecisionTreeRegressor, {"random_state": 0}, {"max_depth": [None, 1, 2]}),
    (RandomForestRegressor, {"n_estimators": 3, "random_state": 0}, {"max_depth": [None, 1]}),
    (
        HistGradientBoostingRegressor,
        {"max_iter": 2, "max_bins": 10, "min_samples_leaf": 3, "random_state": 0},
        {"learning_rate": [0.1, 1.0]},
    ),
    (TransformedTargetRegressor, {"regressor": Ridge(), "transformer": StandardScaler()}, {"regressor__alpha": [1.0, 10]}),
]

_NOT_SPARSE = (GaussianNB, HistGradientBoostingClassifier, HistGradientBoostingRegressor, TransformedTargetRegressor)
_NOT_WEIGHTED = (KNeighborsClassifier, KNeighborsRegressor, VotingClassifier)


def _named(prefix, values):
    return {f"{prefix}__{name}": choices for name, choices in values.items()}


def _one_of(random, *choices):
    return random.choice(choices)


def _rarely(random, one_in=4):
    return random.randint(1, one_in) == one_in


def _some(random, choices, most):
    """Return one to ``most`` of some choices, none twice."""
    left = list(choices)
    return [left.pop(random.randint(0, len(left) - 1)) for _ in range(random.randint(1, min(most, len(left))))]


@dataclass
class _Builder:
    """Draws an estimator for data of some kind; remembers what later choices depend on."""

    random: Any
    columns: dict[str, list[Any]]  # names of the columns of a frame by kind; none for what is no frame
    n_columns: int
    regression: bool
    several_targets: bool
    framed: bool
    pandas: bool
    parts: list[Any] = field(default_factory=list)
    may_cache: bool = True

    def make(self, table):
        kind, given, values = _one_of(self.random, *table)
        part = kind(**copy.deepcopy(given))
        if kind is SelectKBest:
            part.score_func = f_regression if self.regression else f_classif
        if kind is SelectFromModel and not self.regression:
            part.estimator = DecisionTreeClassifier(max_depth=3, random_state=0)
        in_place = values.get("copy") is not None or widen in values.get("func", ())
        self.may_cache &= not in_place and kind not in (Writer, Plain)
        self.parts.append(part)
        return part, dict(values)

    def leaf(self, *, sparse):
        table = _SPARSE if sparse else _DENSE
        return self.make([one for one in table if not (self.several_targets and one[0] is SelectKBest)])

    def transformer(self, *, sparse, depth, first):
        """Draw a transformer of numbers: a single one or a composite."""
        kinds = ["leaf"] * 4 + ["pipeline", "union", "columns"]
        match _one_of(self.random, *kinds[: None if depth > 0 else 1]):
            case "pipeline":
                return self.pipeline(sparse=sparse, depth=depth - 1, first=first)
            case "union":
                return self.union(sparse=sparse, depth=depth - 1, first=first)
            case "columns":
                return self.numeric_columns(sparse=sparse, depth=depth - 1, first=first)
        return self.leaf(sparse=sparse)

    def pipeline(self, *, sparse, depth, first):
        steps, values = [], {}
        for at, name in enumerate(["one", "two"][: _one_of(self.random, 2, 1)]):
            step, inner = self.transformer(sparse=sparse, depth=depth, first=first and at == 0)
            if _rarely(self.random, 6):
                step, inner = "passthrough", {}
            steps.append((name, step))
            values |= _named(name, inner)
            if _rarely(self.random):
                values[name] = [step, "passthrough", self.leaf(sparse=sparse)[0]]
        return self.noted(Pipeline(steps)), values

    def union(self, *, sparse, depth, first):
        branches, values = [], {}
        for name in "abc"[: _one_of(self.random, 2, 1, 3)]:
            part, inner = self.transformer(sparse=sparse, depth=depth, first=first)
            if branches and _rarely(self.random, 6):
                part, inner = _one_of(self.random, "drop", "passthrough"), {}
            branches.append((name, part))
            values |= _named(name, inner)
        if len(branches) > 1 and _rarely(self.random):
            values[branches[0][0]] = ["drop", "passthrough", self.leaf(sparse=sparse)[0]]
        if _rarely(self.random):
            values["transformer_weights"] = [None, {branches[0][0]: 2}]
        return self.noted(FeatureUnion(branches)), values

    def numeric_columns(self, *, sparse, depth, first):
        """Draw a ColumnTransformer over columns that are all numbers; only at the start are their names known."""
        numbers = self.columns.get("number", []) if first else []
        ways = [[0], [0, 1], slice(0, 2), first_columns, [-1]]
        if numbers:
            ways += [numbers[:2], numbers[1:3], numbers[:1]] + [make_column_selector(dtype_include="float64")] * self.pandas
        elif first:
            ways += [[at != 1 for at in range(self.n_columns)]]
        branches, values = [], {}
        for name in "mn"[: _one_of(self.random, 1, 2)]:
            part, inner = self.transformer(sparse=sparse, depth=depth, first=False)
            if branches and _rarely(self.random, 6):
                part, inner = _one_of(self.random, "drop", "passthrough"), {}
            branches.append((name, part, _one_of(self.random, *ways)))
            values |= _named(name, inner)
        return self.columns_of(branches, values, sparse=sparse, threshold=0.3)

    def columns_of(self, branches, values, *, sparse, threshold):
        remainder, inner = _one_of(self.random, "drop", "passthrough", None), {}
        if remainder is None:
            remainder, inner = self.leaf(sparse=sparse)
        if _rarely(self.random):
            values[branches[0][0]] = ["passthrough" if sparse or len(branches) == 1 else "drop", branches[0][1]]
        if _rarely(self.random):
            values["transformer_weights"] = [None, {branches[0][0]: 2}]
        if _rarely(self.random):
            values["remainder"] = ["drop", "passthrough"]
        prefixes = _one_of(self.random, True, False)
        made = ColumnTransformer(
            branches, remainder=remainder, verbose_feature_names_out=prefixes, sparse_threshold=threshold
        )  # fmt: skip
        return self.noted(made), values | (_named("remainder", inner) if "remainder" not in values else {})

    def mixed_columns(self, *, sparse):
        """Draw a ColumnTransformer over the columns of a frame that holds text too; ``sparse`` is its output."""
        encoders = [one for one in _TEXT if not (one[0] is TargetEncoder and self.several_targets)]
        text, inner_text = self.make(encoders[:1] if sparse else encoders)
        if isinstance(text, OneHotEncoder):
            text.set_params(sparse_output=sparse)
        if _rarely(self.random, 3):
            text = self.noted(Pipeline([("fill", SimpleImputer(strategy="most_frequent")), ("encode", text)]))
            inner_text = _named("encode", inner_text)
        number, inner_number = self.transformer(sparse=False, depth=1, first=False)
        number = self.noted(Pipeline([("fill", SimpleImputer()), ("then", number)]))
        names = self.columns
        selectors = [make_column_selector(dtype_include="number")] * self.pandas
        number_columns = _one_of(self.random, names["number"], names["number"][:2], *selectors)
        branches = [
            ("number", number, number_columns),
            ("text", text, _one_of(self.random, names["text"], names["text"][:1])),
            ("other", "drop", names["text"]),
        ]
        if _rarely(self.random):
            branches[1] = ("text", text, [at for at, name in enumerate(names["all"]) if name in branches[1][2]])
        values = _named("number", _named("then", inner_number)) | _named("text", inner_text)
        remainder = _one_of(
            self.random, "drop", "passthrough", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        )
        if _rarely(self.random):
            values["remainder"] = ["drop", "passthrough"]
        if _rarely(self.random):
            values["number"] = ["drop", number]
        prefixes = _one_of(self.random, True, False)
        made = ColumnTransformer(
            branches, remainder=remainder, verbose_feature_names_out=prefixes, sparse_threshold=1.0 if sparse else 0
        )  # fmt: skip
        return self.noted(made), values

    def noted(self, part):
        self.parts.append(part)
        return part

    def models(self, *, sparse):
        table = _REGRESSORS if self.regression else _CLASSIFIERS
        unable = [*(_NOT_SPARSE if sparse else ()), *([HistGradientBoostingRegressor] if self.several_targets else [])]
        return [one for one in table if one[0] not in unable]

    def whole(self, *, kind):
        """Draw the whole; returns it, values to search over, and where its model stands."""
        sparse, steps, values = kind == "sparse", [], {}
        if kind == "mixed":
            sparse = not self.framed and _rarely(self.random)
            columns, inner = self.mixed_columns(sparse=sparse)
            steps.append(("columns", columns))
            values |= _named("columns", inner)
        if kind == "gaps":
            steps.append(("fill", SimpleImputer()))
            values |= {"fill__strategy": ["mean", "median"], "fill__add_indicator": [False, True]}
        n_steps = _one_of(self.random, 1, 2, 0, 3)
        for at, name in enumerate(["prepare", "scale", "last"][:n_steps]):
            step, inner = self.transformer(sparse=sparse, depth=2 - min(at, 1), first=not steps)
            if _rarely(self.random, 8):
                step, inner = "passthrough", {}
            steps.append((name, step))
            values |= _named(name, inner)
            if _rarely(self.random, 5):
                values[name] = ["passthrough", step, self.leaf(sparse=sparse)[0]]
        table = self.models(sparse=sparse)
        model, inner = self.make(table)
        at = ""
        if not steps and not _rarely(self.random, 6):
            return model, inner, at
        at = "model"
        if _rarely(self.random, 8):  # a pipeline that ends in a pipeline
            first, of_first = self.leaf(sparse=sparse)
            model, inner = Pipeline([("first", first), ("end", model)]), _named("first", of_first) | _named("end", inner)
            at = "model__end"
        values |= _named("model", inner)
        made = Pipeline([*steps, ("model", model)])
        if self.may_cache and _rarely(self.random, 8):
            made.memory = CACHE
        if not self.regression and _rarely(self.random, 12):
            return OneVsRestClassifier(made), _named("estimator", values), None
        return made, values, at


# --- data ---------------------------------------------------------------------------------------------------------------


def _index(random, n):
    permuted = np.random.RandomState(n).permutation(n)
    match _one_of(random, "default", "permuted", "text", "duplicated", "times", "levels"):
        case "default":
            return pd.RangeIndex(n)
        case "permuted":
            return pd.Index(permuted)
        case "text":
            return pd.Index([f"row {at}" for at in permuted])
        case "duplicated":
            return pd.Index(permuted // 3)
        case "times":
            return pd.date_range("2024-01-01", periods=n, freq="h")[permuted]
    return pd.MultiIndex.from_arrays([permuted // 5, permuted], names=["group", "row"])


def _frame_of_numbers(random, values):
    names = _one_of(random, ["a", "b", "c", "d", "e"], [10, 11, 12, 13, 14])[: values.shape[1]]
    frame = pd.DataFrame(values, columns=names, index=_index(random, len(values)))
    match _one_of(random, "float64", "float32", "several"):
        case "float32":
            frame = frame.astype("float32")
        case "several":
            frame[names[1]] = (frame[names[1]] * 10).round().fillna(0).astype("int64")
            frame[names[0]] = frame[names[0]].astype("float32")
    return frame, {"number": names, "all": names}


def _frame_of_all(random, values, noise):
    """Make a frame with numbers, text, categories, nullable integers and flags."""
    n = len(values)
    cities = np.array(["Oslo", "Rome", "Bern"], dtype=object)[noise.randint(3, size=n)]
    sizes = pd.array(noise.randint(5, size=n), dtype="Int64")
    if _rarely(random, 3):
        sizes[noise.randint(n, size=3)] = pd.NA
    numbers = {"age": values[:, 0], "count": (values[:, 1] * 10).round().astype("int64"), "size": sizes}
    frame = pd.DataFrame(numbers)
    frame["city"] = pd.Series(cities, dtype=_one_of(random, "object", "str", "string"))
    frame["kind"] = pd.Categorical(np.array(list("xyz"))[noise.randint(3, size=n)], ordered=_one_of(random, False, True))
    frame["flag"] = values[:, 2] > 0
    frame.index = _index(random, n)
    return frame, {"number": list(numbers), "text": ["city", "kind"], "all": list(frame)}


def _sparse(random, values):
    forms = [scipy.sparse.csr_array, scipy.sparse.csc_array, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix]
    return _one_of(random, *forms, scipy.sparse.coo_array)(np.where(np.abs(values) < 0.5, 0, values))


def _dense(random, values):
    match _one_of(random, "float64", "float32", "int", "list"):
        case "float32":
            values = values.astype(np.float32)
        case "int":
            values = (values * 10).round().astype(np.int64) if not np.isnan(values).any() else values
        case "list":
            return values.tolist()
    return np.asarray(values, order=_one_of(random, "C", "F"))


def _features(random, kind, values, noise):
    """Return X and, for a frame, the names of its columns by kind."""
    if kind == "sparse":
        return _sparse(random, values), {}
    if kind == "mixed":
        frame, names = _frame_of_all(random, values, noise)
    elif _one_of(random, False, True):
        frame, names = _frame_of_numbers(random, values)
    else:
        return _dense(random, values), {}
    if HAS_POLARS and all(isinstance(name, str) for name in frame) and _rarely(random):
        import polars

        columns = {name: [None if value is pd.NA else value for value in frame[name]] for name in frame}
        return polars.DataFrame(columns, strict=False), names
    return frame, names


def _classes(random, codes, index):
    n_classes = codes.max() + 1
    words = np.array(["no", "yes", "perhaps"])[codes]
    forms = ["int", "text", "object", "series", "text series", "category", "categorical", "list", "shifted"]
    match _one_of(random, *forms, *(["bool"] if n_classes == 2 else [])):
        case "int":
            return codes
        case "shifted":
            return (codes * 2 - 1).astype(np.int8)
        case "bool":
            return codes.astype(bool)
        case "text":
            return words
        case "object":
            return words.astype(object)
        case "list":
            return words.tolist()
        case "series":
            return pd.Series(codes, index=index)
        case "text series":
            return pd.Series(words, index=index, dtype=_one_of(random, "object", "str"))
        case "category":
            return pd.Series(pd.Categorical(words, categories=["yes", "no", "perhaps"][: max(n_classes, 2)]), index=index)
    return pd.Categorical(words)


def _numbers(random, target, index, *, several):
    if several:
        both = np.column_stack([target, np.abs(target)])
        return _one_of(random, both, np.asfortranarray(both), pd.DataFrame(both, index=index, columns=["u", "v"]))
    match _one_of(random, "float", "float32", "int", "series", "list"):
        case "float32":
            return target.astype(np.float32)
        case "int":
            return (target * 10).round().astype(int)
        case "series":
            return pd.Series(target, index=index, name="y")
        case "list":
            return target.tolist()
    return target


def _folds(random, n, codes, seed, n_folds):
    """Part the rows so that every class is learned from, even without two of the folds."""
    if _one_of(random, False, True):
        folds = list(KFold(n_folds, shuffle=True, random_state=seed).split(np.zeros(n)))
        held_out = [set(test) for _, test in folds]
        left = [np.setdiff1d(np.arange(n), [*one, *other]) for one, other in combinations(held_out, 2)]
        if codes is None or all((np.bincount(codes[rows], minlength=codes.max() + 1) >= 2).all() for rows in left):
            return folds
    if codes is None:
        return list(KFold(n_folds).split(np.zeros(n)))
    return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(np.zeros(n), codes))


# --- the strategy -------------------------------------------------------------------------------------------------------


def _one_grid(random, values, most):
    """Draw a grid of at most so many points over one or two params, none of which is within another."""
    grid, names = {}, sorted(values)
    for _ in range(_one_of(random, 1, 2)):
        free = [n for n in names if not any(n == m or n.startswith(f"{m}__") or m.startswith(f"{n}__") for m in grid)]
        if free and (most > 1 or not grid):
            name = _one_of(random, *free)
            grid[name] = _some(random, values[name], min(most, 3))
            most //= len(grid[name])
    return grid


def _grid(random, values, swaps, at, most):
    """Draw a grid of at most so many points, or a list of small ones."""
    if swaps and _rarely(random, 6):  # other models, each with params of its own
        grids = []
        for _ in range(_one_of(random, 2, 1)):
            kind, given, inner = _one_of(random, *swaps)
            grids.append({at: [kind(**copy.deepcopy(given))], **_named(at, _one_grid(random, inner, 2) if inner else {})})
        return grids if len(grids) > 1 or _one_of(random, False, True) else grids[0]
    if _rarely(random, 6):
        return [_one_grid(random, values, 2), _one_grid(random, values, 1)]
    return _one_grid(random, values, most)


def _scoring(random, *, regression, several_targets, binary):
    """Return ``scoring`` and ``refit``."""
    if regression:
        metrics = ["r2", "neg_mean_squared_error", "neg_mean_absolute_error"]
    else:
        metrics = ["accuracy", "f1_macro", *(["roc_auc"] if binary else []), "balanced_accuracy"]
    ways = ["none", "one", "one", "two", "own", "callable refit"]
    match _one_of(random, *ways[: 4 if several_targets or regression else 6]):
        case "one":
            return _one_of(random, *metrics), True
        case "two":
            first = _one_of(random, *metrics)
            two = [first, _one_of(random, *(one for one in metrics if one != first))]
            return two, _one_of(random, *two)
        case "own":
            return n_right, True
        case "callable refit":
            return "accuracy", first_good
    return None, True


def _weights(random, estimator, at, grid, n, index):
    """Return the fit params that weigh rows, where every model that the grid names can take them."""
    model = estimator
    if at is None or any(name == at or at.startswith(f"{name}__") for one in grid for name in one):
        return {}
    for name in filter(None, at.split("__")):
        model = model.named_steps[name]
    if isinstance(model, _NOT_WEIGHTED) or not _rarely(random):
        return {}
    weights = np.random.RandomState(n).uniform(0.1, 3, size=n)
    form = _one_of(random, weights, weights.tolist(), pd.Series(weights, index=index))
    return {f"{at}__sample_weight" if at else "sample_weight": form}


def _set_output(random, estimator, parts):
    """Ask some parts, or all, for frames."""
    container = _one_of(random, "pandas", "pandas", "default", *(["polars"] if HAS_POLARS else []))
    if _one_of(random, True, False):
        parts = [estimator]
    elif parts:
        parts = _some(random, parts, 3)
    for part in parts:
        if not isinstance(part, OneVsRestClassifier):
            with suppress(AttributeError, ValueError):  # of parts that cannot
                part.set_output(transform=container)


def cases():
    """Return the strategy of a Case; scikit-learn may fail on some.

    One random generator makes all choices, and hypothesis drives it: of strategies that are drawn within each other it would
    spend most examples on copies with one part repeated.
    """
    return st.randoms(use_true_random=False).map(_case)


def _case(random):
    kind = _one_of(random, *["dense"] * 7, *["sparse"] * 2, *["gaps"] * 2, "mixed")
    regression = _rarely(random, 3)
    several_targets = regression and _rarely(random)
    n = random.randint(24, 48)
    seed = random.randint(0, 99)
    noise = np.random.RandomState(seed)
    n_classes = _one_of(random, 2, 3)
    codes = noise.permutation(np.arange(n) % n_classes)
    signs = np.array([1, -1, 0, 1, 0])[: random.randint(3, 5)]
    values = noise.normal(size=(n, len(signs))) + 0.8 * codes[:, None] * signs
    if kind == "gaps":
        values[noise.randint(n, size=n // 6), noise.randint(values.shape[1], size=n // 6)] = np.nan
    X, names = _features(random, kind, values, noise)
    index = X.index if hasattr(X, "iloc") and _one_of(random, True, False) else _index(random, n)
    target = codes + 0.5 * noise.normal(size=n)
    y = _numbers(random, target, index, several=several_targets) if regression else _classes(random, codes, index)
    frames = kind != "sparse" and _rarely(random, 6)
    builder = _Builder(random, names, values.shape[1], regression, several_targets, frames, hasattr(X, "iloc"))
    estimator, tunable, at = builder.whole(kind=kind)
    if frames:
        _set_output(random, estimator, builder.parts)
    swaps = builder.models(sparse=kind == "sparse") if at else []
    slow = kind == "mixed" or frames
    grid = _grid(random, tunable, swaps, at, _one_of(random, *((2, 1) if slow else (2, 2, 2, 1, 1, 1, 3, 4))))
    scoring, refit = _scoring(random, regression=regression, several_targets=several_targets, binary=n_classes == 2)
    return Case(
        estimator,
        grid,
        X,
        y,
        _folds(random, n, None if regression else codes, seed, 3 if slow else _one_of(random, *[3] * 7, 4)),
        _weights(random, estimator, at, grid if isinstance(grid, list) else [grid], n, index),
        scoring,
        refit,
        _rarely(random, 6),
    )


# --- the comparison -----------------------------------------------------------------------------------------------------


CHECKS = {
    "derandomize": True, "deadline": None, "database": None, "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example],
}  # fmt: skip
"""Settings of tests that draw cases."""


def check(case, executor="serial", *, n_outer=1):
    """Compare a drawn case with scikit-learn, if this has something to compare with; so many outer folds are judged by hand."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert_equals_scikit_learn(case, Path(folder), executor, n_outer)
        except NotComparable:
            assume(False)


class NotComparable(Exception):
    """Scikit-learn itself has no result."""


@dataclass
class Judged:
    """What a search that saw nothing of an outer fold chose, and how its model does there."""

    params: dict[str, Any]
    scores: dict[str, float]


def assert_equals_scikit_learn(case, folder, executor="serial", n_outer=None):
    """Compare every number of a nested search with scikit-learn's, to the last bit.

    Raises
    ------
    NotComparable
        If scikit-learn fails, or finds no score that is a number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flat = _flat_search(case.taken(folder / "flat"))
        judged = {fold: _judged(case.taken(folder / f"fold {fold}"), fold) for fold in range(len(case.folds))[::-1][:n_outer]}
        ours = _nested_search(case.taken(folder / "ours"), executor)
        assert_same_columns(ours.cv_results_, flat.cv_results_)
        assert ours.best_index_ == flat.best_index_
        assert_same_params(ours.best_params_, flat.best_params_)
        assert hasattr(ours, "best_score_") == hasattr(flat, "best_score_")
        if hasattr(flat, "best_score_"):
            np.testing.assert_array_equal(ours.best_score_, flat.best_score_)
        for fold, one in judged.items():
            assert_same_params(ours.outer_results_["params"][fold], one.params, f"outer fold {fold}")
            for metric, score in one.scores.items():
                np.testing.assert_array_equal(ours.outer_scores_[metric][fold], score, err_msg=f"{metric}, outer fold {fold}")
        _assert_same_model(ours, flat, case)


def _search(case, cv):
    return GridSearchCV(
        case.estimator, case.grid, cv=cv, scoring=case.scoring, refit=case.refit, return_train_score=case.return_train_score,
        error_score=np.nan,
    )  # fmt: skip


def _fitted(search, X, y, fit_params):
    try:
        search.fit(X, y, **fit_params)
    except Exception as error:
        raise NotComparable(f"scikit-learn: {error}") from error
    refit = search.refit if isinstance(search.refit, str) else "score"
    if np.isnan(search.cv_results_[f"mean_test_{refit}"]).all():
        raise NotComparable("scikit-learn has no score that is a number")
    return search


def _flat_search(case):
    return _fitted(_search(case, case.folds), case.X, case.y, case.fit_params)


def _judged(case, fold):
    """Search over the other folds, and score the choice on this one, as ``cross_validate`` does: without weights."""
    train, test = case.folds[fold]
    fold_of = np.full(len(train) + len(test), -1)
    for other, (_, rows) in enumerate(case.folds):
        fold_of[rows] = other
    X, y, *by_row = indexable(case.X, case.y, *case.fit_params.values())
    fit_params = {name: _safe_indexing(rows, train) for name, rows in zip(case.fit_params, by_row, strict=True)}
    search = _search(case, PredefinedSplit(fold_of[train]))
    _fitted(search, _safe_indexing(X, train), _safe_indexing(y, train), fit_params)
    scorer = check_scoring(search.best_estimator_, case.scoring, raise_exc=False)
    try:
        scores = scorer(search.best_estimator_, _safe_indexing(X, test), _safe_indexing(y, test))
    except Exception:
        scores = np.nan
    if not isinstance(scores, dict):
        name = case.scoring if isinstance(case.scoring, str) else "score"
        scores = dict.fromkeys(case.scoring, scores) if isinstance(case.scoring, list) else {name: scores}
    return Judged(search.best_params_, {name: np.nan if isinstance(s, str) else s for name, s in scores.items()})


def _nested_search(case, executor):
    return fw.NestedSearchCV(
        case.estimator, case.grid, search="grid", outer_cv=case.folds, inner_cv="shared", scoring=case.scoring,
        refit=case.refit, return_train_score=case.return_train_score, executor=executor, random_state=0,
    ).fit(case.X, case.y, **case.fit_params)  # fmt: skip


def assert_same_columns(ours, theirs):
    """Compare ``cv_results_``: names, order and every value but times."""
    assert list(ours) == list(theirs)
    for name in theirs:
        if name == "params":
            for at, (one, other) in enumerate(zip(ours[name], theirs[name], strict=True)):
                assert_same_params(one, other, f"params {at}")
        elif name.startswith("param_"):
            assert ours[name].dtype == theirs[name].dtype, name
            assert np.array_equal(np.ma.getmaskarray(ours[name]), np.ma.getmaskarray(theirs[name])), name
            assert_same_params({name: ours[name].tolist()}, {name: theirs[name].tolist()}, name)
        elif "_time" not in name:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def assert_same_params(ours, theirs, where="params"):
    """Compare params of equal names, among whose values may be estimators."""
    assert _content(ours) == _content(theirs), where


def _content(value):
    """Return what can be compared of a value: its type and, of an estimator, its params."""
    if isinstance(value, dict):
        return {name: _content(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [_content(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    if hasattr(value, "fit") and not isinstance(value, type):
        params = value.get_params(deep=False) if hasattr(value, "get_params") else vars(value)
        return type(value), _content(params)
    if type(value).__eq__ is object.__eq__ and hasattr(value, "__dict__"):  # a splitter or a selector of columns
        return type(value), _content(vars(value))
    return type(value), value


def _assert_same_model(ours, flat, case):
    for method in ("predict", "predict_proba", "decision_function"):
        assert hasattr(ours, method) == hasattr(flat, method), method
        if hasattr(flat, method):
            got, wanted = (getattr(one, method)(copy.deepcopy(case.X)) for one in (ours, flat))
            assert type(got) is type(wanted), method
            assert getattr(got, "dtype", None) == getattr(wanted, "dtype", None), method
            np.testing.assert_array_equal(got, wanted, err_msg=method)
    for name in ("classes_", "n_features_in_", "feature_names_in_"):
        assert hasattr(ours, name) == hasattr(flat, name), name
        if hasattr(flat, name):
            np.testing.assert_array_equal(getattr(ours, name), getattr(flat, name), err_msg=name)
