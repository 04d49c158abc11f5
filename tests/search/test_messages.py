"""A sampler's messages appear once per search, not once per study and per ask."""

import logging
import sys
import warnings

import optuna
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.errors import MissingPackageError, RunError
from foldwise.search.optuna import OptunaSearch
from foldwise.space.space import SearchSpace


class Talks(optuna.samplers.RandomSampler):
    """Warns, and logs, each time it is asked and told."""

    def infer_relative_search_space(self, study, trial):
        warnings.warn("this sampler is experimental", optuna.exceptions.ExperimentalWarning, stacklevel=1)
        optuna.logging.get_logger("optuna.samplers._talks").warning("falls back to random")
        return {}

    def after_trial(self, study, trial, state, values):
        warnings.warn(f"told a {state.name}", UserWarning, stacklevel=1)


def run(sampler, **options):
    return fw.NestedSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_depth": fw.Int(1, 9)}, search=OptunaSearch(sampler), n_trials=4,
        outer_cv=3, executor="serial", random_state=0, **options,
    ).fit(*load_iris(return_X_y=True))  # fmt: skip


class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.said = []

    def emit(self, record):
        self.said.append(record.getMessage())


def test_messages_are_told_once_per_search_and_again_by_the_next():
    kept = Kept()
    logging.getLogger("optuna").addHandler(kept)
    try:
        with pytest.warns() as caught:
            run(Talks(seed=0))
        words = [str(one.message) for one in caught]
        assert (words.count("this sampler is experimental"), words.count("told a COMPLETE")) == (1, 1)
        assert kept.said == ["falls back to random"]
        with pytest.warns() as again:
            run(Talks(seed=0))
        assert [str(one.message) for one in again].count("this sampler is experimental") == 1
        assert kept.said == ["falls back to random"] * 2
    finally:
        logging.getLogger("optuna").removeHandler(kept)


class BreaksLate(optuna.samplers.RandomSampler):
    def infer_relative_search_space(self, study, trial):
        if trial.number >= 3:
            raise ImportError("libcudnn.so.9: cannot open shared object file")
        return {}


def test_a_sampler_that_breaks_in_mid_run_is_named():
    with pytest.raises(
        RunError, match=r"the sampler BreaksLate failed when it was asked after \d trials: ImportError: libcudnn"
    ):
        run(BreaksLate(seed=0))


@pytest.mark.parametrize("error", ['ImportError("libcudnn.so.9: no such file")', 'OSError("libtorch.so: cannot open")'])
def test_a_package_that_cannot_be_imported_is_refused_before_anything_runs(error, tmp_path, monkeypatch):
    (tmp_path / "cmaes.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cmaes", raising=False)
    with pytest.raises(MissingPackageError, match=r"^sampler: expected the package cmaes, .* to be importable, got \w+: lib"):
        OptunaSearch("cmaes").check(SearchSpace({"x": fw.Float(0, 1), "y": fw.Float(0, 1)}), 3)
