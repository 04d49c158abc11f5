"""XGBoost, LightGBM, CatBoost and imbalanced-learn score as in scikit-learn's own search, exactly, serially and on Ray."""

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from imblearn.combine import SMOTEENN
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline, make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

import foldwise as fw

X, Y = make_classification(120, 6, n_informative=4, weights=[0.7], random_state=0)
GAPS = X.copy()
GAPS[::7, 2] = np.nan
NAMES = np.array(["no", "yes"])[Y]
ROWS, TARGET = make_regression(120, 6, noise=3, random_state=0)
TABLE = pd.DataFrame(GAPS, columns=list("abcdef")).assign(g=pd.Categorical(np.array(["u", "v", "w"])[np.arange(120) % 3]))
WORDS = TABLE.assign(g=TABLE["g"].astype(object))
WEIGHTS = np.random.RandomState(0).uniform(0.2, 3, 120)
HELD = (X[:30], Y[:30])

XGB = {"n_estimators": 8, "random_state": 0}
LGBM = {"n_estimators": 8, "random_state": 0, "verbose": -1}
CAT = {"iterations": 8, "random_state": 0, "verbose": 0, "allow_writing_files": False}

CASES = {
    "xgboost, gaps, weights": (XGBClassifier(**XGB), {"max_depth": [2, 4]}, GAPS, Y, {"sample_weight": WEIGHTS}),
    "xgboost, categories, rows and columns drawn": (
        XGBClassifier(enable_categorical=True, subsample=0.6, **XGB), {"colsample_bytree": [0.5, 1.0]}, TABLE, Y, {},
    ),
    "xgboost, early stopping, an alias": (
        XGBClassifier(n_estimators=40, random_state=0, early_stopping_rounds=3), {"eta": [0.1, 0.4]}, X, Y,
        {"eval_set": [HELD], "verbose": False},
    ),
    "xgboost, numbers": (XGBRegressor(**XGB), {"max_depth": [2, 4]}, ROWS, TARGET, {"sample_weight": WEIGHTS}),
    "lightgbm, categories, words, weights": (
        LGBMClassifier(**LGBM), {"num_leaves": [3, 15]}, TABLE, NAMES, {"sample_weight": WEIGHTS},
    ),
    "lightgbm, categories by name, aliases": (
        LGBMClassifier(subsample=0.5, subsample_freq=1, **LGBM), {"feature_fraction": [0.5, 1.0]},
        TABLE.assign(g=TABLE["g"].cat.codes), NAMES, {"categorical_feature": ["g"]},
    ),
    "lightgbm, early stopping": (
        LGBMClassifier(**{**LGBM, "n_estimators": 40}), {"num_leaves": [3, 15]}, X, Y,
        {"eval_X": HELD[0], "eval_y": HELD[1], "callbacks": [early_stopping(3, verbose=False)]},
    ),
    "lightgbm, numbers": (LGBMRegressor(**LGBM), {"num_leaves": [3, 15]}, ROWS, TARGET, {}),
    "catboost, gaps, words, weights": (CatBoostClassifier(**CAT), {"depth": [2, 4]}, GAPS, NAMES, {"sample_weight": WEIGHTS}),
    "catboost, categories": (CatBoostClassifier(cat_features=("g",), **CAT), {"l2_leaf_reg": [1, 9]}, WORDS, NAMES, {}),
    "catboost, categories by fit": (CatBoostClassifier(**CAT), {"depth": [2, 4]}, WORDS, NAMES, {"cat_features": ["g"]}),
    "catboost, early stopping": (
        CatBoostClassifier(early_stopping_rounds=3, **{**CAT, "iterations": 40}), {"depth": [2, 4]}, X, Y, {"eval_set": HELD},
    ),
    "catboost, numbers": (CatBoostRegressor(**CAT), {"depth": [2, 4]}, ROWS, TARGET, {}),
    "imbalanced-learn, a sampler in a pipeline": (
        make_pipeline(StandardScaler(), SMOTE(random_state=0), LogisticRegression(random_state=0)),
        {"logisticregression__C": [0.1, 10], "smote__k_neighbors": [2, 5]}, X, NAMES, {},
    ),
    "imbalanced-learn, samplers as values": (
        Pipeline([("sampler", "passthrough"), ("model", XGBClassifier(**XGB))]),
        {"sampler": [RandomOverSampler(random_state=1), RandomUnderSampler(random_state=0), SMOTEENN(random_state=0)]}, X, Y, {},
    ),
    "imbalanced-learn, a forest": (
        BalancedRandomForestClassifier(5, sampling_strategy="all", replacement=True, bootstrap=False, random_state=0),
        {"max_depth": [2, 4]}, X, NAMES, {},
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The scoring CatBoostClassifier.score does not support sample_weight:UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_scores_choices_and_the_final_model_are_scikit_learns(case):
    estimator, grid, rows, target, fit_params = CASES[case]
    folds, inner = KFold(3), KFold(2)
    theirs = GridSearchCV(estimator, grid, cv=inner, error_score="raise")
    judged = cross_validate(theirs, rows, target, cv=folds, params=fit_params, return_estimator=True, error_score="raise")
    theirs.fit(rows, target, **fit_params)
    for executor in ("serial", "ray"):
        options = {"outer_cv": folds, "inner_cv": inner, "executor": executor, "random_state": 0, "error_score": "raise"}
        ours = fw.NestedSearchCV(estimator, grid, search="grid", **options).fit(rows, target, **fit_params)
        np.testing.assert_array_equal(ours.outer_scores_["score"], judged["test_score"], err_msg=executor)
        assert list(map(str, ours.outer_results_["params"])) == [str(one.best_params_) for one in judged["estimator"]]
        assert str(ours.best_params_) == str(theirs.best_params_)
        np.testing.assert_array_equal(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"])
        np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
        assert str(ours.best_estimator_.get_params()) == str(theirs.best_estimator_.get_params())


def test_labels_that_xgboost_does_not_take_are_a_failure_that_says_so():
    search = fw.NestedSearchCV(XGBClassifier(**XGB), {"max_depth": [2]}, search="grid", outer_cv=3, executor="serial")
    with pytest.raises(ValueError, match="Invalid classes inferred from unique values of `y`"):
        search.fit(X, NAMES)
