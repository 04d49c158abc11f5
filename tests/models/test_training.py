"""Training in epochs: ``fit`` is so many calls of ``partial_fit``, it repeats, goes on after a pickle, and stops early."""

import pickle
import random

import numpy as np
import pytest
from own_networks import perceptron
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split

from foldwise.errors import DivergedError, InputError
from foldwise.models import (
    ConvNetClassifier,
    KerasClassifier,
    MLPNetClassifier,
    MLPNetRegressor,
    RecurrentClassifier,
    WideDeepClassifier,
)

SMALL = {"random_state": 3, "epochs": 3, "learning_rate": 0.01}
FAMILIES = {
    "mlp": MLPNetClassifier(batch_norm=True, dropout=0.2, learning_rate_schedule="cosine", weight_decay=0.01, **SMALL),
    "conv": ConvNetClassifier(filters=4, dropout=0.2, learning_rate_schedule="exponential", optimizer="momentum", **SMALL),
    "recurrent": RecurrentClassifier(n_steps=8, units=8, dropout=0.2, learning_rate_schedule="plateau", **SMALL),
    "own": KerasClassifier(build=perceptron, optimizer="nadam", **SMALL),
}


def same(one, other):
    weights = zip(one.model_.get_weights(), other.model_.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in weights) and one.history_ == other.history_


@pytest.mark.parametrize("family", FAMILIES)
def test_epochs_one_by_one_are_a_fit_even_through_pickles(family, digits):
    whole = clone(FAMILIES[family]).fit(*digits)
    steps = clone(FAMILIES[family])
    for _ in range(3):
        steps = pickle.loads(pickle.dumps(steps.partial_fit(*digits)))
    assert same(steps, whole)
    assert np.array_equal(steps.predict_proba(digits[0]), whole.predict_proba(digits[0]))
    assert whole.n_epochs_ == whole.n_iter_ == len(whole.history_["loss"]) == 3


def test_a_seed_repeats_a_fit_and_nothing_global_is_drawn(digits):
    random.seed(7)
    np.random.seed(7)
    before = random.getstate(), np.random.get_state()[1].tolist()
    one, other = (MLPNetClassifier(dropout=0.3, **SMALL).fit(*digits) for _ in range(2))
    assert same(one, other)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    assert not same(one, MLPNetClassifier(dropout=0.3, **{**SMALL, "random_state": 4}).fit(*digits))


def test_models_trained_in_turns_do_not_touch_each_other(digits):
    alone = MLPNetClassifier(**SMALL).fit(*digits)
    one, other = MLPNetClassifier(**SMALL), MLPNetClassifier(**{**SMALL, "random_state": 9})
    for _ in range(3):  # they share a network and its graphs
        one.partial_fit(*digits)
        other.partial_fit(*digits)
        other.predict(digits[0])
    assert same(one, alone)


def test_they_learn(digits):
    X, held, y, truth = train_test_split(*digits, random_state=0, stratify=digits[1])
    for estimator in (
        MLPNetClassifier(random_state=0),
        ConvNetClassifier(random_state=0, filters=8),
        RecurrentClassifier(n_steps=8, units=32, layers=1, learning_rate=0.01, random_state=0),
    ):
        assert accuracy_score(truth, estimator.fit(X, y).predict(held)) > 0.85


def test_params_of_a_rate_may_change_between_epochs(digits):
    model = MLPNetClassifier(**SMALL).partial_fit(*digits)
    before = model.model_.get_weights()
    model.set_params(learning_rate=0.002, dropout=0.4, weight_decay=0.1, batch_size=64).partial_fit(*digits)
    assert model.history_["learning_rate"] == [0.01, pytest.approx(0.002)]
    assert model.n_epochs_ == 2
    steps = [abs(a - b).max() for a, b in zip(before, model.model_.get_weights(), strict=True)]
    assert 0 < max(steps) < 0.1  # it went on from where it stood
    undisturbed = MLPNetClassifier(**SMALL).partial_fit(*digits).partial_fit(*digits)
    assert not same(model, undisturbed)


@pytest.mark.parametrize(
    ("param", "value"),
    [("units", 32), ("optimizer", "sgd"), ("early_stopping", True), ("random_state", 4), ("standardize", False)],
)
def test_params_that_shape_the_network_may_not(param, value, digits):
    model = MLPNetClassifier(**SMALL).partial_fit(*digits)
    model.set_params(**{param: value})
    with pytest.raises(InputError, match=f"{param}: expected .* as when training began"):
        model.partial_fit(*digits)
    assert model.fit(*digits).n_epochs_ == 3  # begins anew


def test_a_function_of_the_users_may_change_what_leaves_the_weights_shapes(digits):
    model = KerasClassifier(build=perceptron, **SMALL).partial_fit(*digits)
    assert model.set_params(build__activation="tanh").partial_fit(*digits).n_epochs_ == 2
    with pytest.raises(InputError, match=r"build: expected weights of the shapes"):
        model.set_params(build__units=5).partial_fit(*digits)


def test_early_stopping_watches_rows_of_each_class_and_returns_to_the_best(digits):
    model = MLPNetClassifier(early_stopping=True, patience=2, **{**SMALL, "epochs": 50, "learning_rate": 0.03}).fit(*digits)
    losses = model.history_["val_loss"]
    assert len(losses) == model.n_epochs_ < 50
    best = int(np.argmin(losses))
    assert model.n_epochs_ == best + 1 + 2
    again = MLPNetClassifier(early_stopping=True, patience=50, **{**SMALL, "epochs": 50, "learning_rate": 0.03})
    for _ in range(best + 1):
        again.partial_fit(*digits)
    assert np.array_equal(model.predict_proba(digits[0]), again.predict_proba(digits[0]))


def test_too_few_rows_to_hold_back_are_told(digits):
    with pytest.raises(InputError, match=r"validation_fraction: expected rows to hold back .* give more rows"):
        MLPNetClassifier(early_stopping=True, **SMALL).fit(digits[0][:5], digits[1][:5])


def test_an_exploding_rate_is_an_error_that_says_so(digits):
    with pytest.raises(
        DivergedError, match=r"the loss is (nan|inf) after epoch 1 .*learning_rate=1e\+30.* a lower learning_rate"
    ):
        MLPNetRegressor(optimizer="sgd", **{**SMALL, "learning_rate": 1e30}).fit(*digits)
    assert issubclass(DivergedError, ArithmeticError)


def test_a_failed_epoch_leaves_the_model_as_it_was(digits):
    model = MLPNetRegressor(optimizer="sgd", **SMALL).partial_fit(*digits)
    before, history = model.predict(digits[0]), dict(model.history_)
    with pytest.raises(DivergedError):
        model.set_params(learning_rate=1e30).partial_fit(*digits)
    assert np.array_equal(model.predict(digits[0]), before)
    assert model.history_ == history


def test_weights_of_rows_and_classes_count(digits):
    X, y = digits
    nines = y == 9
    never = MLPNetClassifier(**SMALL).fit(X, y, sample_weight=np.where(nines, 0.0, 1.0)).predict_proba(X)[:, 9]
    rarely = MLPNetClassifier(class_weight={9: 1e-6}, **SMALL).fit(X, y).predict_proba(X)[:, 9]
    often = MLPNetClassifier(class_weight={9: 100.0}, **SMALL).fit(X, y).predict_proba(X)[:, 9]
    assert often.mean() > 3 * max(never.mean(), rarely.mean())
    scaled = MLPNetClassifier(**SMALL).fit(X, y, sample_weight=np.full(len(y), 1000.0))
    assert same(scaled, MLPNetClassifier(**SMALL).fit(X, y))
    assert MLPNetClassifier(class_weight="balanced", **SMALL).fit(X, y).n_epochs_ == 3


def test_classes_may_come_later_if_they_are_named(digits):
    X, y = digits
    few = y < 3
    model = MLPNetClassifier(**SMALL).partial_fit(X[few], y[few], classes=np.arange(10)).partial_fit(X, y)
    assert model.predict_proba(X).shape == (len(y), 10)
    with pytest.raises(InputError, match=r"y: expected the classes"):
        MLPNetClassifier(**SMALL).partial_fit(X[few], y[few]).partial_fit(X, y)


def test_labels_of_any_type_and_two_classes(census, digits):
    frame, y = census
    model = WideDeepClassifier(**SMALL).fit(frame, y)
    assert set(model.predict(frame)) <= {"<=50K", ">50K"}
    assert model.predict_proba(frame).sum(axis=1) == pytest.approx(1)
    assert model.model_.output_shape == (None, 1)
    flags = MLPNetClassifier(**SMALL).fit(digits[0], digits[1] > 4).predict(digits[0])
    assert flags.dtype == bool


def test_several_values_are_told_at_once_in_their_own_units(digits):
    X = digits[0]
    y = np.column_stack([1000 * X[:, 20] + 5000, -0.001 * X[:, 30], np.full(len(X), 7.0)])
    model = MLPNetRegressor(**{**SMALL, "epochs": 80}).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert all(r2_score(y[:, place], model.predict(X)[:, place]) > 0.9 for place in (0, 1))
    assert model.predict(X)[:, 2] == pytest.approx(7, abs=0.5)


def test_early_stopping_watches_rows_that_have_weight(digits):
    X, y = digits
    weight = np.zeros(len(y))
    weight[:60] = 1.0
    model = MLPNetRegressor(early_stopping=True, **SMALL).fit(X, X[:, 20], sample_weight=weight)
    assert np.isfinite(model.history_["val_loss"]).all()
    alone = MLPNetRegressor(early_stopping=True, **SMALL).partial_fit(X, X[:, 20], sample_weight=weight)
    assert alone.history_["val_loss"] == model.history_["val_loss"][:1]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_weights_that_are_zero_on_all_rows_are_refused_by_name(digits, early_stopping):
    X, y = digits
    weight = np.where(y < 5, 1.0, 0.0)
    model = MLPNetClassifier(early_stopping=early_stopping, class_weight=dict.fromkeys(range(5), 0.0), **SMALL)
    with pytest.raises(InputError, match="class_weight: expected weight on some of the rows"):
        model.fit(X, y, sample_weight=weight)
