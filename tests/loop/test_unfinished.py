"""What is finished survives the end of its search: an interrupt, an error, a close that fails."""

import os
import pickle
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.errors import LedgerError, StudyFailedError
from foldwise.events import RunEnded
from foldwise.executors import SerialExecutor
from foldwise.ledger import MemoryLedger
from foldwise.loop.run import Interrupted, Run
from foldwise.report import Report
from foldwise.testing import small_plan

X, Y = load_iris(return_X_y=True)


def search_of(estimator, **changes):
    given = {"search": "grid", "outer_cv": 3, "executor": "serial", **changes}
    return fw.NestedSearchCV(estimator, {"max_depth": [1, 2, 3], "min_samples_leaf": [1, 5, 10]}, **given)


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(3)], ids=str)
@pytest.mark.parametrize("after", [1, 2, 20, 40, 55])
def test_an_interrupted_call_leaves_what_is_complete_and_the_next_goes_on(after, random_state):
    plan = search_of(DecisionTreeClassifier(), random_state=0).plan(X, Y)
    interrupt = _InterruptingExecutor(after)
    search = search_of(DecisionTreeClassifier(), random_state=random_state, executor=interrupt)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert search.report().partial
    assert "PARTIAL" in search.report().summary()
    assert "best_estimator_" not in vars(search)
    n_trials = len(search.trials_)
    assert n_trials == 0 if after == 1 else n_trials >= (after > 20)
    seed = search.seed_
    search.fit(X, Y)
    assert search.seed_ == seed
    assert search.n_fits_ == plan.n_fits - (after - 1)
    whole = search_of(DecisionTreeClassifier(), random_state=seed).fit(X, Y)
    assert search.outer_scores_["score"].tolist() == whole.outer_scores_["score"].tolist()
    assert search.best_params_ == whole.best_params_
    assert not search.report().partial
    search.fit(X, Y)
    assert search.n_fits_ == plan.n_fits, "a call that came to its end leaves nothing behind"


class _InterruptingExecutor(SerialExecutor):
    """Is interrupted, once, as it is asked for the results of a fit; chunks are of one fit."""

    def __init__(self, after):
        super().__init__()
        self.after, self.n_asked = after, 0

    def submit(self, chunk):
        for fit in chunk:
            super().submit([fit])

    def results(self, timeout=None):
        self.n_asked += 1
        if self.n_asked == self.after:
            raise KeyboardInterrupt
        return super().results(timeout)


def test_a_wrong_call_takes_nothing_of_an_interrupted_one(tmp_path):
    search = search_of(DecisionTreeClassifier(), executor=_InterruptingExecutor(20))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    with pytest.raises(fw.InputError):
        search.fit(X, Y[:-1])
    search.fit(X, Y)
    assert search.n_fits_ == search.plan_.n_fits - 19


def test_with_a_ledger_too_a_seed_that_was_drawn_is_kept(tmp_path):
    ledger = str(tmp_path / "ledger.db")
    search = search_of(DecisionTreeClassifier(), executor=_InterruptingExecutor(20), ledger=ledger)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    seed = search.seed_
    assert search.fit(X, Y).seed_ == seed
    assert search.report().n_fits_found == 19


def test_other_data_finds_nothing_of_an_interrupted_call():
    search = search_of(DecisionTreeClassifier(), executor=_InterruptingExecutor(20))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    search.fit(X[::-1], Y[::-1])
    assert search.n_fits_ == search.plan_.n_fits


def test_what_an_interrupted_call_left_is_neither_cloned_nor_pickled():
    search = search_of(DecisionTreeClassifier(), executor=_InterruptingExecutor(20))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert "_unfinished" in vars(search)
    for copy in (clone(search), pickle.loads(pickle.dumps(search))):
        assert "_unfinished" not in vars(copy)


class NeedsAFile(DecisionTreeClassifier):
    """A tree that fails as long as a file is missing."""

    def __init__(self, path="", max_depth=None, min_samples_leaf=1):
        super().__init__(max_depth=max_depth, min_samples_leaf=min_samples_leaf)
        self.path = path

    def fit(self, X, y):
        if self.max_depth != 1 and not Path(self.path).exists():
            raise FileNotFoundError(self.path)
        return super().fit(X, y)


def test_after_an_error_what_did_well_is_kept_and_what_failed_is_tried_again(tmp_path):
    path = tmp_path / "lookup.txt"
    search = search_of(NeedsAFile(str(path)), error_score="raise", random_state=0)
    with pytest.raises(fw.RunError, match="lookup"):
        search.fit(X, Y)
    path.touch()
    search.fit(X, Y)
    assert search.report().n_fits_failed == 0
    assert search.report().n_fits_found > 0


def test_an_interrupt_while_the_run_is_opened_is_told_and_the_next_call_runs():
    class Opening(SerialExecutor):
        is_first = True

        def open(self, plan, n_jobs=None):
            if self.is_first:
                self.is_first = False
                raise KeyboardInterrupt
            super().open(plan, n_jobs)

    search = search_of(DecisionTreeClassifier(), executor=Opening(), random_state=0)
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    assert search.report().partial
    assert search.fit(X, Y).n_fits_ == search.plan_.n_fits


# --- closing ----------------------------------------------------------------------------------------------------------


class BrokenClose(SerialExecutor):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def close(self):
        super().close()
        raise self.error


class BrokenLedger(MemoryLedger):
    def open(self, plan):
        entries = super().open(plan)
        entries.close = self._fail
        return entries

    @staticmethod
    def _fail():
        raise LedgerError("the disk is gone")


@pytest.mark.parametrize(
    ("executor", "ledger", "words"),
    [
        (BrokenClose(OSError("no such process")), None, "OSError: no such process"),
        (SerialExecutor(), BrokenLedger(), "LedgerError: the disk is gone"),
    ],
    ids=["executor", "ledger"],
)
def test_a_close_that_fails_takes_nothing_away(executor, ledger, words):
    search = search_of(DecisionTreeClassifier(), executor=executor, ledger=ledger, random_state=0)
    with pytest.warns(RuntimeWarning, match=words):
        search.fit(X, Y)
    assert not search.report().partial
    assert search.predict(X).shape == Y.shape


def test_listeners_hear_the_end_whatever_closing_raises():
    events = []
    run = Run(small_plan(), BrokenClose(OSError("gone")), BrokenLedger(), listeners=[events.append])
    report = Report(run.execute())
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert (Report(ended.archive).scores, ended.error, ended.interrupted) == (report.scores, None, False)
    assert ended.model is run.model is not None
    assert [type(one) for one in run.trouble] == [OSError, LedgerError]


def test_an_error_of_the_run_is_told_before_one_of_closing():
    class Failing(BrokenClose):
        def results(self, timeout=None):
            raise StudyFailedError("the first")

    with pytest.raises(StudyFailedError, match="the first"):
        Run(small_plan(), Failing(OSError("the second"))).execute()


def test_an_interrupt_while_a_finished_run_is_closed_loses_nothing():
    search = search_of(DecisionTreeClassifier(), executor=BrokenClose(KeyboardInterrupt()), random_state=0)
    with pytest.raises(Interrupted):
        search.fit(X, Y)
    assert not search.report().partial
    assert search.predict(X).shape == Y.shape


def test_a_signal_in_a_fit_leaves_the_finished_ones():
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    search = search_of(_Slow(), random_state=0)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, Y)
    timer.join()
    search.fit(X, Y)
    assert 0 < search.n_fits_ < search.plan_.n_fits


class _Slow(DecisionTreeClassifier):
    def fit(self, X, y):
        time.sleep(0.05)
        return super().fit(X, y)
