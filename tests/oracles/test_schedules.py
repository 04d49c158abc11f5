"""Stopping early costs half of the epochs at most, and next to nothing of the outer score."""

import warnings

import pytest
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foldwise as fw
from foldwise.stats.intervals import corrected_t_interval

SPACE = {
    "mlpclassifier__alpha": fw.Float(1e-5, 10, log=True),
    "mlpclassifier__batch_size": [16, 64, 256],
    "mlpclassifier__learning_rate_init": fw.Float(1e-4, 1e-1, log=True),
}


def search(grace_epochs):
    network = make_pipeline(StandardScaler(), MLPClassifier((32,)))
    schedule = {"method": "asha", "max_epochs": 18, "grace_epochs": grace_epochs, "reduction": 3}
    found = fw.NestedSearchCV(network, SPACE, search="random", n_trials=12, random_state=0, schedule=schedule)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # exploding learning rates
        return found.fit(*load_digits(return_X_y=True))


@pytest.mark.slow
def test_asha_against_full_training():
    asha, full = search(grace_epochs=2), search(grace_epochs=18)
    epochs, epochs_full = (one.report().training.n_epochs for one in (asha, full))
    assert epochs <= 0.5 * epochs_full
    difference = asha.outer_scores_["score"] - full.outer_scores_["score"]
    results = asha.outer_results_
    if difference.any():
        low, _ = corrected_t_interval(difference, results["n_train"], results["n_test"])
        assert low > -0.02
