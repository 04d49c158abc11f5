"""Every estimator that scikit-learn ships, searched, gives scikit-learn's numbers, to the last bit."""

import warnings
from unittest import SkipTest

import numpy as np
import pytest
import scipy.sparse
from generated import Case, NotComparable, assert_equals_scikit_learn
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import all_estimators, get_tags
from sklearn.utils._test_common.instance_generator import _construct_instances

_RANDOM = np.random.RandomState(0)
N = 36
CLASSES = _RANDOM.permutation(np.arange(N) % 3)
X = np.abs(_RANDOM.normal(size=(N, 3)) + CLASSES[:, None])
TARGET = np.abs(CLASSES + 0.3 * _RANDOM.normal(size=N)) + 0.1
WORDS = [" ".join(np.array(["ape", "bee", "cat", "dog", "eel"])[_RANDOM.randint(5, size=6)]) for _ in range(N)]
COUNTS = [{"size": float(row[0]), "kind": "ab"[int(row[1]) % 2]} for row in X]
GAPS = np.where(_RANDOM.uniform(size=X.shape) < 0.3, np.nan, X)

FORMS = {
    "CategoricalNB": X.astype(int), "IsotonicRegression": X[:, 0], "MissingIndicator": GAPS, "DictVectorizer": COUNTS,
    "FeatureHasher": COUNTS, "CountVectorizer": WORDS, "TfidfVectorizer": WORDS, "HashingVectorizer": WORDS,
    "TfidfTransformer": scipy.sparse.csr_array(X.astype(int)),
}  # fmt: skip
GIVEN = {
    "CategoricalNB": {"min_categories": 9}, "RadiusNeighborsClassifier": {"radius": 9.0}, "RadiusNeighborsRegressor": {"radius": 9.0},
    "TargetEncoder": {"cv": KFold(3, shuffle=True, random_state=0)}, "HashingVectorizer": {"n_features": 16},
    "FeatureHasher": {"n_features": 16}, "MLPClassifier": {"hidden_layer_sizes": (5,)}, "MLPRegressor": {"hidden_layer_sizes": (5,)},
    "TunedThresholdClassifierCV": {"thresholds": 5}, "LogisticRegressionCV": {"Cs": 2}, "LassoCV": {"alphas": 5},
    "ElasticNetCV": {"alphas": 5}, "MultiTaskLassoCV": {"alphas": 5}, "MultiTaskElasticNetCV": {"alphas": 5},
    "DictionaryLearning": {"max_iter": 3}, "SequentialFeatureSelector": {"n_features_to_select": 1, "cv": 2},
    "VotingClassifier": {"voting": "soft"}, "IsotonicRegression": {"out_of_bounds": "clip"}, "SelectFpr": {"alpha": 0.9},
    "SelectFwe": {"alpha": 0.9}, "OrdinalEncoder": {"handle_unknown": "use_encoded_value", "unknown_value": -1},
}  # fmt: skip
OTHER_VALUES = {
    "estimator__C": 0.01, "estimator__alpha": 10.0, "estimator__fit_intercept": False, "est1__max_depth": 1, "C": 0.1, "nu": 0.3,
    "alpha": 0.3, "alpha_1": 0.1, "n_neighbors": 3, "radius": 7.0, "max_depth": 1, "max_leaf_nodes": 3, "var_smoothing": 0.1,
    "shrinkage": 0.5, "reg_param": 0.5, "shrink_threshold": 0.5, "strategy": "uniform", "n_components": 2, "n_nonzero_coefs": 1,
    "fit_intercept": False, "gamma": 0.1, "quantile": 0.3, "increasing": False, "power": 1.5, "normalize_y": True,
    "n_restarts_optimizer": 1, "kernel": "rbf", "eps": 0.01, "cv": 2,
}  # fmt: skip
SHRUNK = {"n_estimators": 3, "max_iter": 20, "n_iter": 5, "max_subpopulation": 20}


def _made(name, kind):
    """Build an estimator as scikit-learn's own checks do, quick and with all seeds set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is deprecated
        try:
            estimator = next(iter(_construct_instances(kind)))
        except SkipTest as reason:
            pytest.skip(str(reason))
    estimator.set_params(**GIVEN.get(name, {}))
    params = estimator.get_params(deep=True)
    estimator.set_params(**{one: 0 for one, value in params.items() if one.endswith("random_state") and value is None})
    small = {one: most for one, most in SHRUNK.items() if isinstance(params.get(one), int) and params[one] > most}
    return estimator.set_params(**small)


def _grid(estimator):
    """Return a grid of two values, if there is a param of which two are known."""
    params = estimator.get_params(deep=True)
    for name, other in OTHER_VALUES.items():
        if name in params:
            return {name: [params[name], other]}
    name = next(iter(estimator.get_params(deep=False)), None)
    return {} if name is None else {name: [params[name]]}


def _target(estimator, *, regression):
    """Return targets of the kind that an estimator wants."""
    tags = get_tags(estimator)
    y = TARGET if regression else CLASSES
    if tags.target_tags.multi_output and not tags.target_tags.single_output:
        return np.column_stack([y, y[::-1]]) if regression else np.column_stack([y, y[::-1]]) % 2
    if not regression and tags.classifier_tags is not None and not tags.classifier_tags.multi_class:
        return np.minimum(y, 1)
    return y


def _folds(*, regression):
    splitter = KFold if regression else StratifiedKFold
    return list(splitter(3, shuffle=True, random_state=1).split(X, CLASSES))


def _check(name, case, folder):
    try:
        assert_equals_scikit_learn(case, folder)
    except NotComparable as reason:
        pytest.skip(f"{name}: {str(reason).strip().splitlines()[-1]}")


def _names(kind):
    return [pytest.param(name, found, id=name) for name, found in all_estimators(type_filter=kind)]


@pytest.mark.parametrize(("name", "kind"), _names("classifier"))
def test_classifier(name, kind, tmp_path):
    made = _made(name, kind)
    y = _target(made, regression=False)
    _check(name, Case(made, _grid(made), FORMS.get(name, X), y, _folds(regression=y.ndim > 1)), tmp_path)


@pytest.mark.parametrize(("name", "kind"), _names("regressor"))
def test_regressor(name, kind, tmp_path):
    made = _made(name, kind)
    _check(name, Case(made, _grid(made), FORMS.get(name, X), _target(made, regression=True), _folds(regression=True)), tmp_path)


@pytest.mark.parametrize(("name", "kind"), _names("transformer"))
def test_transformer(name, kind, tmp_path):
    made = _made(name, kind)
    regression = get_tags(made).target_tags.required and get_tags(made).estimator_type == "regressor"
    model = KNeighborsRegressor() if regression else KNeighborsClassifier()
    pipeline = Pipeline([("transform", made), ("model", model)])
    y = TARGET if regression else CLASSES
    _check(name, Case(pipeline, {"model__n_neighbors": [1, 5]}, FORMS.get(name, X), y, _folds(regression=regression)), tmp_path)
