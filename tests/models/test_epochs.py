"""The Keras estimators under a schedule: trained epoch by epoch, interrupted, changed on the way, and replayed."""

import pickle

import numpy as np
import pytest
from own_networks import perceptron
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foldwise.errors import InputError
from foldwise.models import KerasClassifier, MLPNetClassifier
from foldwise.plan.epochs import changeable, changed, check_epochs
from foldwise.trial import Segment
from foldwise.worker.epochs import EpochTrainer, train_lineage

SLOW = {"mlpnetclassifier__learning_rate": 0.01, "mlpnetclassifier__dropout": 0.0}
FAST = {"mlpnetclassifier__learning_rate": 0.05, "mlpnetclassifier__dropout": 0.3}


def network():
    net = MLPNetClassifier(units=8, learning_rate_schedule="cosine", random_state=0)
    return make_pipeline(StandardScaler(), net).set_params(**SLOW)


def test_what_may_change_is_what_partial_fit_lets_change():
    names = [f"mlpnetclassifier__{name}" for name in ("learning_rate", "dropout", "batch_size", "units", "optimizer", "epochs")]
    assert changeable(network(), names) == {f"mlpnetclassifier__{name}" for name in ("learning_rate", "dropout", "batch_size")}
    assert changeable(KerasClassifier(build=perceptron), ["build__units", "learning_rate"]) == {"learning_rate"}
    with pytest.raises(InputError, match=r"space\.mlpnetclassifier__epochs: .*set schedule\.max_epochs"):
        check_epochs(network(), ["mlpnetclassifier__epochs"])


def test_a_trial_that_changed_and_was_interrupted_is_what_its_lineage_gives(digits):
    X, y = digits
    trainer = EpochTrainer(network(), 3, horizon=6)
    for _ in range(2):
        trainer.train(X, y)
    trainer = pickle.loads(pickle.dumps(trainer))
    trainer.set_params(changed(SLOW, FAST))
    for _ in range(2):
        trainer.train(X, y)
    replayed = train_lineage(network(), (Segment(SLOW, 2), Segment(FAST, 2)), X, y, horizon=6, seed=3)
    constant = train_lineage(network(), (Segment(SLOW, 4),), X, y, horizon=6, seed=3)
    assert np.array_equal(trainer.model.predict_proba(X), replayed.predict_proba(X))
    assert not np.array_equal(trainer.model.predict_proba(X), constant.predict_proba(X))
    assert trainer.last.epochs == 6, "the learning rate falls over the schedule's epochs"
