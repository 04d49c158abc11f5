"""The estimators in a search: on Ray, in jobs, with failures, in the ledger's keys and as MLflow's model."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from own_networks import perceptron
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foldwise as fw
from foldwise.data import Dataset
from foldwise.keys import Digester, digest
from foldwise.keys.versions import versions_of
from foldwise.listeners.tracking.model import requirements, save_model
from foldwise.models import KerasClassifier, MLPNetClassifier, WideDeepClassifier
from foldwise.plan.epochs import changeable

ROOT = Path(__file__).parents[2]
SMALL = {"units": 8, "epochs": 2, "learning_rate": 0.05}


def search(estimator, space, executor, **options):
    return fw.NestedSearchCV(estimator, space, search="grid", outer_cv=3, executor=executor, random_state=0, **options)


@pytest.mark.parametrize(
    ("estimator", "names", "expected"),
    [
        (MLPNetClassifier(), {"units", "layers", "dropout", "learning_rate"}, {"dropout", "learning_rate"}),
        (WideDeepClassifier(), {"part", "embedding_size", "weight_decay"}, {"weight_decay"}),
        (KerasClassifier(build=perceptron), {"build", "build_params", "build__units", "batch_size"}, {"batch_size"}),
        (make_pipeline(StandardScaler(), MLPNetClassifier()), {"mlpnetclassifier__units", "mlpnetclassifier__patience"},
         {"mlpnetclassifier__patience"}),
    ],
)  # fmt: skip
def test_population_based_training_takes_to_what_may_change_between_epochs(estimator, names, expected):
    assert changeable(estimator, names) == expected


@pytest.mark.slow
@pytest.mark.parametrize("method", ["asha", "hyperband", "median", "pbt"])
def test_schedules_train_networks_and_none_fails(digits, method):
    space = {"units": [8, 16], "learning_rate": fw.Float(1e-3, 1e-1, log=True), "dropout": [0.0, 0.3]}
    schedule = {"method": method, "max_epochs": 4, "grace_epochs": 1, "reduction": 2}
    scheduled = fw.NestedSearchCV(
        MLPNetClassifier(), space, search="random", n_trials=4, outer_cv=3, schedule=schedule, random_state=0
    ).fit(*digits)
    assert set(scheduled.trials_.state) <= {"COMPLETE", "PRUNED"}
    assert np.isfinite(scheduled.nested_score_)
    assert scheduled.best_estimator_.n_epochs_ == 4
    changed = scheduled.trials_.lineage.dropna() if method == "pbt" else ()
    assert len(changed) or method != "pbt"
    for lineage in changed:
        assert len({segment["params"]["units"] for segment in lineage}) == 1


@pytest.mark.slow
def test_ray_and_serial_come_to_the_same(digits):
    estimator = make_pipeline(StandardScaler(), MLPNetClassifier(dropout=0.2, **SMALL))
    space = {"mlpnetclassifier__learning_rate": [0.01, 0.1]}
    ray, serial = (search(estimator, space, executor).fit(*digits) for executor in ("ray", "serial"))
    assert ray.trials_.inner_score.tolist() == serial.trials_.inner_score.tolist()
    assert ray.outer_scores_["score"].tolist() == serial.outer_scores_["score"].tolist()
    assert np.array_equal(ray.predict(digits[0]), serial.predict(digits[0]))


def test_params_that_cannot_be_and_that_diverge_fail_with_their_cause(digits):
    space = [
        {"learning_rate": [0.05], "units": [0, 8], "optimizer": ["sgd"]},
        {"learning_rate": [1e30], "units": [8], "optimizer": ["sgd"]},
    ]
    found = search(MLPNetClassifier(**SMALL), space, "serial", refit=False).fit(*digits)
    trials = found.trials_[found.trials_.study == "outer-0"]
    causes = dict(zip(trials.param_units.astype(str) + " " + trials.param_learning_rate.astype(str), trials.error, strict=True))
    assert "InputError: units: expected an integer >= 1, got 0" in str(causes["0 0.05"])
    assert "DivergedError: the loss is" in str(causes["8 1e+30"])
    assert trials.state.tolist() == ["FAILED", "COMPLETE", "FAILED"]
    assert np.isfinite(found.outer_scores_["score"]).all()


def test_params_of_a_users_function_are_searched(digits):
    estimator = KerasClassifier(build=perceptron, epochs=2, standardize=True)
    found = search(estimator, {"build__units": [2, 16]}, "serial").fit(*digits)
    assert found.best_params_ == {"build__units": 16}
    assert found.best_estimator_.build_params["units"] == 16


def test_keys_tell_params_functions_and_the_versions_that_compute():
    assert digest(MLPNetClassifier(units=8)) == digest(MLPNetClassifier(units=8)) != digest(MLPNetClassifier(units=9))
    assert digest(KerasClassifier(build=perceptron)) != digest(KerasClassifier(build=digest))
    digester = Digester()
    digester.digest(MLPNetClassifier())
    assert {"tensorflow", "keras"} <= set(versions_of(digester.distributions))


@pytest.mark.parametrize("family", ["pipeline", "table", "own"])
def test_the_final_model_is_stored_with_skops_and_found_again(family, digits, census, tmp_path):
    import mlflow.sklearn

    (X, y), estimator = {
        "pipeline": (digits, make_pipeline(StandardScaler(), MLPNetClassifier(**SMALL))),
        "table": (census, WideDeepClassifier(crosses=[["work", "school"]], **SMALL)),
        "own": (digits, KerasClassifier(build=perceptron, epochs=2)),
    }[family]
    model = estimator.fit(X, y)
    folder = save_model(model, Dataset(X, y), tmp_path)
    assert (folder / "model.skops").exists()
    assert {"keras", "tensorflow"} <= {one.partition("==")[0] for one in requirements(model, "skops", X)}
    again = mlflow.sklearn.load_model(str(folder))
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_job_names_them(tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text(
        "data: {loader: 'sklearn.datasets:load_iris'}\n"
        "estimator: {use: 'foldwise.models:KerasClassifier', build: {object: 'own_networks:perceptron'}, epochs: 2}\n"
        "space: {build__units: [2, 4], learning_rate: {float: [0.01, 0.1], log: true}}\n"
        "search: {trials: 2}\nfolds: {outer: 3}\nexecutor: serial\ntracking: false\nseed: 0\n"
    )
    assert str(ROOT / "tests" / "helpers") in sys.path
    report = fw.Job.load(job).run()
    assert not report.partial
    assert json.loads(json.dumps(report.to_dict()))["best_params"]["build__units"] in {2, 4}
