"""The estimators are scikit-learn's: its own checks say so."""

import warnings

import pytest
from own_networks import perceptron
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from foldwise import models

TINY = {"random_state": 0, "epochs": 30, "learning_rate": 0.3, "optimizer": "sgd", "batch_size": 16}
SMALL = {**TINY, "units": 8, "layers": 1}
EVERYDAY = {
    "mlp": models.MLPNetClassifier(**SMALL),
    "wide and deep": models.WideDeepRegressor(**{**SMALL, "learning_rate": 0.1}),
    "conv": models.ConvNetClassifier(filters=4, blocks=1, **SMALL),
    "recurrent": models.RecurrentClassifier(cell="gru", **{**SMALL, "epochs": 10, "learning_rate": 1.0}),
}
THE_OTHERS = {
    "mlp": models.MLPNetRegressor(**{**SMALL, "learning_rate": 0.1}),
    "wide and deep": models.WideDeepClassifier(**SMALL),
    "own classifier": models.KerasClassifier(build=perceptron, standardize=True, **TINY),
    "own regressor": models.KerasRegressor(build=perceptron, standardize=True, **{**TINY, "learning_rate": 0.1}),
}
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "a row that counts twice is in one step, one that stands twice in two",
    "check_methods_subset_invariance": "in float32 the last bits of a row's outputs depend on how many rows lie beside it",
    "check_methods_sample_order_invariance": "in float32 they depend on where it lies among them, too, on some processors",
}


def check(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, expected_failed_checks=EXPECTED, on_fail=None, on_skip=None)
    assert {one["check_name"]: one["exception"] for one in results if one["status"] == "failed"} == {}
    assert len(results) > 40


@pytest.mark.parametrize(
    "name", [name if name in {"mlp", "wide and deep"} else pytest.param(name, marks=pytest.mark.slow) for name in EVERYDAY]
)
def test_one_of_each_family_passes_scikit_learns_checks(name):
    check(EVERYDAY[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", THE_OTHERS)
def test_the_others_pass_them_too(name):
    check(THE_OTHERS[name])


@pytest.mark.parametrize("name", models.__all__)
def test_params_are_flat_and_survive_clone(name):
    cls = getattr(models, name)
    if name == "Meta":
        return
    estimator = cls(learning_rate=0.5, weight_decay=0.25)
    assert clone(estimator).get_params() == estimator.get_params()
    assert estimator.get_params()["learning_rate"] == 0.5
    assert "learning_rate=0.5" in repr(estimator)
