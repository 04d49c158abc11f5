"""Estimators that train in epochs: one at a time, as a whole, interrupted, and with params that change on the way."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from sklearn.svm import SVC

from foldwise.errors import InputError
from foldwise.keys.seeds import seed_random_states, seeded
from foldwise.plan.epochs import changeable, changed, check_epochs
from foldwise.trial import Segment
from foldwise.worker.epochs import EpochTrainer, train_lineage

X, Y = make_classification(n_samples=240, n_features=8, n_informative=4, n_classes=3, random_state=0)
SEED, HORIZON = 7, 9

MODELS = {
    "sgd": SGDClassifier(),
    "mlp": MLPClassifier(hidden_layer_sizes=(8,)),
    "hist": HistGradientBoostingClassifier(max_leaf_nodes=5),
    "hist-regressor": HistGradientBoostingRegressor(max_leaf_nodes=5),
    "boosting": GradientBoostingClassifier(max_depth=2, subsample=0.7),
    "forest": RandomForestClassifier(max_depth=3),
    "logistic": LogisticRegression(solver="newton-cg"),
    "pipeline": make_pipeline(StandardScaler(), make_pipeline(PCA(3, svd_solver="randomized"), MLPClassifier((6,)))),
    "cross-fitted": make_pipeline(TargetEncoder(), SGDClassifier()),
}


def seeded_copy(model, **params):
    return seed_random_states(clone(model).set_params(**params), SEED)


def trained(trainer, n):
    for _ in range(n):
        trainer.train(X, Y)
    return trainer


def outputs(model):
    scores = model.decision_function if hasattr(model, "decision_function") else getattr(model, "predict_proba", model.predict)
    return scores(X)


@pytest.mark.parametrize("name", MODELS)
def test_a_plain_fit_of_a_lineage_gives_the_very_model_of_a_trial_that_was_interrupted(name):
    trainer = trained(EpochTrainer(seeded_copy(MODELS[name]), SEED, HORIZON), 2)
    first = outputs(trainer.model)
    trainer = trained(pickle.loads(pickle.dumps(trainer)), 3)
    with seeded(99):  # what others draw has no part in it
        whole = train_lineage(seeded_copy(MODELS[name]), (Segment({}, 5),), X, Y, horizon=HORIZON, seed=SEED)
    assert trainer.epochs == 5
    assert np.array_equal(outputs(trainer.model), outputs(whole))
    assert not np.array_equal(outputs(whole), first)


@pytest.mark.parametrize(
    ("model", "count"),
    [
        (SGDClassifier(random_state=0), lambda m: m.t_ / len(X)),
        (MLPClassifier((4,)), lambda m: len(m.loss_curve_)),
        (GradientBoostingClassifier(), lambda m: len(m.estimators_)),
        (RandomForestClassifier(), lambda m: len(m.estimators_)),
        (HistGradientBoostingClassifier(), lambda m: m.n_iter_),
    ],
)
def test_an_epoch_is_one_more_of_what_the_estimator_counts(model, count):
    trainer = EpochTrainer(model, SEED, HORIZON)
    for epoch in (1, 2, 3):
        assert int(count(trained(trainer, 1).model)) == epoch


def test_a_forest_grown_by_epochs_is_the_forest():
    grown = train_lineage(RandomForestClassifier(random_state=3), (Segment({}, 6),), X, Y, horizon=6, seed=SEED)
    assert np.array_equal(outputs(grown), outputs(RandomForestClassifier(n_estimators=6, random_state=3).fit(X, Y)))
    assert grown.get_params()["n_estimators"] == 6
    assert grown.get_params()["warm_start"] is False


def test_what_counts_iterations_is_put_back():
    model = train_lineage(
        LogisticRegression(max_iter=77, solver="newton-cholesky"), (Segment({}, 2),), X, Y, horizon=6, seed=SEED
    )
    assert (model.max_iter, model.warm_start) == (77, False)


def test_an_estimator_that_has_epochs_is_told_the_horizon():
    class Net(SGDClassifier):
        def __init__(self, epochs=3):
            super().__init__()
            self.epochs = epochs

    assert EpochTrainer(Net(), SEED, 30).model.epochs == 30


def test_params_that_change_on_the_way_are_replayed():
    lineage = (Segment({"alpha": 1e-4, "hidden_layer_sizes": (8,)}, 2), Segment({"alpha": 1.0, "hidden_layer_sizes": (8,)}, 3))
    trainer = trained(EpochTrainer(seeded_copy(MODELS["mlp"], **lineage[0].params), SEED, HORIZON), 2)
    trainer.set_params(changed(lineage[0].params, lineage[1].params))
    trained(trainer, 3)
    first = {"hidden_layer_sizes": (8,), "alpha": 1e-4}
    replayed = train_lineage(seeded_copy(MODELS["mlp"], **first), lineage, X, Y, horizon=HORIZON, seed=SEED)
    constant = train_lineage(seeded_copy(MODELS["mlp"], **first), (Segment(first, 5),), X, Y, horizon=HORIZON, seed=SEED)
    assert np.array_equal(outputs(trainer.model), outputs(replayed))
    assert not np.array_equal(outputs(constant), outputs(replayed))


def test_what_cannot_change_in_training_is_refused_by_name():
    trainer = EpochTrainer(make_pipeline(PCA(), MLPClassifier()), SEED, HORIZON)
    with pytest.raises(InputError, match=r"mlpclassifier__solver: expected a param that can change while MLPClassifier trains"):
        trainer.set_params({"mlpclassifier__solver": "sgd"})
    with pytest.raises(InputError, match="pca__n_components"):
        trainer.set_params({"pca__n_components": 2})


def test_what_can_change_is_the_last_steps_own():
    model = Pipeline([("pca", PCA()), ("net", SGDClassifier())])
    names = ["pca__n_components", "net__alpha", "net__penalty", "net__random_state", "net__average"]
    assert changeable(model, names) == {"net__alpha", "net__penalty"}


def test_an_estimator_may_say_itself_what_can_change():
    class Net(SGDClassifier):
        changes_in_training = frozenset({"eta0"})

    assert changeable(make_pipeline(Net()), ["net__alpha", "net__eta0"]) == {"net__eta0"}


@pytest.mark.parametrize("model", [SVC(), make_pipeline(StandardScaler(), SVC())], ids=["alone", "last"])
def test_an_estimator_without_epochs_is_refused_and_told_which_have_them(model):
    with pytest.raises(InputError, match=r"estimator: expected one that trains in epochs.*SGDClassifier") as caught:
        check_epochs(model)
    assert caught.value.place == "estimator"


def test_a_space_over_what_counts_the_epochs_is_refused():
    model = make_pipeline(StandardScaler(), GradientBoostingClassifier())
    name = "gradientboostingclassifier__n_estimators"
    with pytest.raises(InputError, match=rf"space\.{name}: .*set schedule\.max_epochs"):
        check_epochs(model, [name])


def test_fit_params_reach_their_steps():
    weights = np.where(Y == 0, 0.0, 1.0)
    trainer = EpochTrainer(make_pipeline(StandardScaler(), SGDClassifier(random_state=0)), SEED, HORIZON)
    for _ in range(5):
        trainer.train(X, Y, {"sgdclassifier__sample_weight": weights})
    assert list(trainer.last.classes_) == [0, 1, 2]
    assert 0 not in trainer.model.predict(X)
    with pytest.raises(InputError, match="write sgdclassifier__sample_weight"):
        trainer.train(X, Y, {"sample_weight": weights})


def test_a_regressor_needs_no_classes():
    model = train_lineage(SGDRegressor(random_state=0), (Segment({}, 2),), X, X[:, 0], horizon=2, seed=SEED)
    assert model.predict(X).shape == Y.shape


def test_rows_reach_the_last_step_as_in_the_pipeline():
    trainer = trained(EpochTrainer(seeded_copy(MODELS["pipeline"]), SEED, HORIZON), 2)
    assert np.array_equal(trainer.last.predict_proba(trainer.transform(X)), trainer.model.predict_proba(X))
