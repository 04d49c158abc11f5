"""Params that cannot be are refused with their place, their value and the fix, before TensorFlow is asked."""

import numpy as np
import pytest
from own_networks import no_model, perceptron, two_units

from foldwise.errors import InputError
from foldwise.models import (
    ConvNetClassifier,
    KerasClassifier,
    MLPNetClassifier,
    RecurrentClassifier,
    WideDeepClassifier,
)
from foldwise.models.base import OPTIMIZERS

X, Y = np.random.default_rng(0).normal(size=(20, 6)), np.arange(20) % 2

WRONG = [
    (MLPNetClassifier(units=0), "units: expected an integer >= 1, got 0"),
    (MLPNetClassifier(units=2.5), "units: expected an integer >= 1, got 2.5"),
    (MLPNetClassifier(layers=True), "layers: expected an integer >= 1, got True"),
    (MLPNetClassifier(activation="rellu"), "activation: expected one of relu, .*, got 'rellu'; did you mean relu?"),
    (MLPNetClassifier(optimizer=None), "optimizer: expected one of adam, .*, got None"),
    (MLPNetClassifier(dropout=1.0), r"dropout: expected a number in \[0, 1\), got 1.0"),
    (MLPNetClassifier(learning_rate=0), r"learning_rate: expected a number in \(0, inf\), got 0"),
    (MLPNetClassifier(learning_rate=float("nan")), "learning_rate: expected a number"),
    (MLPNetClassifier(batch_norm="yes"), "batch_norm: expected True or False, got 'yes'"),
    (MLPNetClassifier(class_weight="even"), "class_weight: expected None, 'balanced' or a dict"),
    (ConvNetClassifier(image_shape=(6,)), r"image_shape: expected None, \(height, width\)"),
    (ConvNetClassifier(image_shape=(4, 4)), r"image_shape: expected a shape of 6 values, as X's rows have, got \(4, 4, 1\)"),
    (RecurrentClassifier(n_steps=4), r"n_steps: expected steps that X's rows of shape \(6,\) can be cut into, got 4"),
    (WideDeepClassifier(crosses=["ab"]), "crosses: expected a list of lists of two or more columns"),
    (WideDeepClassifier(numeric="age"), "numeric: expected 'auto' or a list of columns, got 'age'"),
    (KerasClassifier(), "build: expected a function"),
    (KerasClassifier(build=no_model), "build: expected a function that returns a keras.Model, got str"),
    (
        KerasClassifier(build=two_units),
        r"build: expected a last layer of 1 units \(meta.n_outputs\), got the shape \(None, 2\)",
    ),
    (KerasClassifier(build=perceptron, build_params={"unit": 3}), "build__unit: expected a keyword .* did you mean units?"),
    (KerasClassifier(build=perceptron, build_params=3), "build_params: expected None or a dict"),
]


@pytest.mark.parametrize(("estimator", "words"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_param_is_named(estimator, words):
    with pytest.raises(InputError, match=words):
        estimator.fit(X, Y)


def test_the_names_of_optimizers_are_those_that_there_are():
    from foldwise.models.network import OPTIMIZERS as MAKERS

    assert tuple(MAKERS) == OPTIMIZERS
    for name in ("rmsprop", "adagrad", "ftrl"):
        assert MLPNetClassifier(optimizer=name, epochs=1, random_state=0).fit(X, Y).n_epochs_ == 1


def test_layers_become_smaller_and_drop_more():
    import keras

    model = MLPNetClassifier(units=16, layers=3, dropout=0.1, last_dropout=0.5, epochs=1).fit(X, Y).model_
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [16, 8, 4, 1]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == pytest.approx([0.1, 0.3, 0.5])
    assert all(layer.get_config()["kernel_initializer"] for layer in model.layers if isinstance(layer, keras.layers.Dense))


def test_a_users_function_gives_params():
    model = KerasClassifier(build=perceptron, build_params={"units": 3})
    assert {k: v for k, v in model.get_params().items() if k.startswith("build__")} == {
        "build__units": 3, "build__activation": "relu", "build__ending": None, "build__seed": None,
    }  # fmt: skip
    with pytest.raises(InputError, match=r"build__unit: .* did you mean units?"):
        model.set_params(build__unit=3)
    assert model.set_params(build__units=5).fit(X, Y).model_.layers[2].units == 5


@pytest.mark.parametrize(("ending", "n_classes"), [("sigmoid", 2), ("softmax", 3)])
def test_a_users_model_may_end_in_probabilities(ending, n_classes):
    y = np.arange(20) % n_classes
    logits, shares = (
        KerasClassifier(build=perceptron, build_params={"ending": e}, epochs=2, random_state=0).fit(X, y)
        for e in (None, ending)
    )
    assert shares.predict_proba(X) == pytest.approx(logits.predict_proba(X), abs=1e-4)
    assert shares.model_.predict(X.astype("float32"), verbose=0).max() <= 1


@pytest.mark.parametrize(("ending", "n_classes"), [("sigmoid", 2), ("softmax", 3)])
def test_probabilities_that_are_nothing_or_all_have_a_finite_loss(ending, n_classes):
    model = KerasClassifier(build=perceptron, build_params={"ending": ending}, epochs=1).fit(X, np.arange(20) % n_classes)
    assert np.isfinite(model._outputs(1e6 * X)).all()


def test_images_and_sequences_come_flat_or_shaped(digits):
    flat, y = digits
    options = {"epochs": 1, "random_state": 0}
    for make, shaped in [
        (ConvNetClassifier, flat.reshape(-1, 8, 8)),
        (ConvNetClassifier, flat.reshape(-1, 8, 8, 1)),
        (lambda **more: RecurrentClassifier(n_steps=8, **more), flat.reshape(-1, 8, 8)),
    ]:
        one, other = make(**options).fit(flat, y), make(**options).fit(shaped, y)
        assert np.array_equal(one.predict_proba(flat), other.predict_proba(shaped))
        with pytest.raises(ValueError, match=r"expected rows of shape|features"):
            other.predict(flat)
    assert ConvNetClassifier(image_shape=(4, 16), **options).fit(flat, y).model_.input_shape == (None, 4, 16, 1)
    assert RecurrentClassifier(units=2, layers=1, **options).fit(flat[:40, :9], y[:40]).model_.input_shape == (None, 9, 1)
    with pytest.raises(InputError, match=r"X: expected at most 3 dimensions"):
        RecurrentClassifier(**options).fit(flat.reshape(-1, 2, 4, 8), y)
