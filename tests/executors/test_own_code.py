"""Ray's workers run the user's code as the driver has it loaded, whatever their files or their memory hold."""

import importlib
import itertools
import os
import sys
import time

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foldwise as fw
from foldwise.executors.code import PackedModel, packed, unpacked
from foldwise.trial import FitResult

X, _ = load_iris(return_X_y=True)
Y = np.arange(150) % 5 == 0  # a fifth of the rows is true
SOURCE = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

SAYS = {says}

def said():
    return SAYS

class Constant(ClassifierMixin, BaseEstimator):
    also = False

    def __init__(self, a=1):
        self.a = a

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), said() != self.also)
"""
FALSE, TRUE = 0.8, 0.2  # what a constant scores
_times = itertools.count(1)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own, which Ray's workers have not heard of; ``write`` changes its file."""
    name = f"of_the_users_{next(_times)}"
    file = tmp_path / f"{name}.py"

    def write(says):
        file.write_text(SOURCE.format(says=says))
        later = time.time() + 10 * next(_times)
        os.utime(file, (later, later))

    write(False)
    nested(DummyClassifier(), "strategy", ["prior"])  # Ray runs before the path is known
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(name)
    module.write = write
    yield module
    sys.modules.pop(name, None)


def nested(estimator, param, values, **options):
    return fw.NestedSearchCV(estimator, {param: values}, search="grid", outer_cv=KFold(3), random_state=0, **options).fit(X, Y)


def score(module, **options):
    search = nested(module.Constant(), "a", [1, 2], **options)
    assert type(search.best_estimator_) is module.Constant
    return pytest.approx(search.nested_score_), search.n_fits_


def test_a_module_that_is_found_by_a_path_of_later_reaches_workers(own):
    assert score(own)[0] == FALSE


def test_a_module_that_is_loaded_anew_is_loaded_anew_on_workers(own):
    assert score(own)[0] == FALSE
    own.write(True)
    importlib.reload(own)
    assert score(own)[0] == TRUE


def test_a_file_that_is_newer_than_what_is_loaded_changes_nothing(own, tmp_path):
    ledger = tmp_path / "ledger.db"
    assert score(own, ledger=ledger)[0] == FALSE
    own.write(True)
    again, n_fits = score(own, ledger=ledger)
    assert (again, n_fits) == (FALSE, 1)  # the final model; all else is found, since the same code is loaded
    assert score(own)[0] == FALSE


def test_what_is_changed_in_memory_alone_is_changed_on_workers(own, monkeypatch):
    assert score(own)[0] == FALSE
    monkeypatch.setattr(own.Constant, "also", True)
    assert score(own)[0] == TRUE
    monkeypatch.setattr(own, "SAYS", True)
    assert score(own)[0] == FALSE


def test_the_drivers_classes_stay_as_they_are_when_models_come_back(own, monkeypatch):
    own.write(True)  # so that code goes by value
    before = dict(vars(own.Constant))
    search = nested(own.Constant(), "a", [1])
    assert {name: value for name, value in vars(own.Constant).items() if name != "__slotnames__"} == before
    assert search.predict(X[:1]).tolist() == [False]
    monkeypatch.setattr(own, "SAYS", True)
    assert search.predict(X[:1]).tolist() == [True]


def test_the_final_model_can_be_trained_further():
    pipeline = make_pipeline(StandardScaler(), SGDClassifier(random_state=0))
    model = nested(pipeline, "sgdclassifier__alpha", [1e-4]).best_estimator_[-1]
    assert model.coef_.flags.writeable
    model.partial_fit(X, Y)


def test_a_model_that_cannot_be_unpacked_is_a_failure():
    result = unpacked(FitResult("k", {}, 0.0, model=PackedModel(b"no pickle")), ())
    assert result.model is None
    assert result.error.kind == "UnpicklingError"
    assert unpacked(packed(FitResult("k", {}, 0.0, model=3)), ()).model == 3
