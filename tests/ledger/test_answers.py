"""What the ledger gives again: only what the fit itself raised. And a ledger on disk says what one in memory says."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import foldwise as fw
from foldwise.errors import NON_FINITE, Failure
from foldwise.executors import SerialExecutor
from foldwise.ledger import MemoryLedger
from foldwise.loop.run import Run
from foldwise.report import Report
from foldwise.testing import FaultyEstimator, small_plan
from foldwise.trial import FitResult
from foldwise.worker.fit import FitContext, failure_of

PLAN = small_plan()
FIT = PLAN.fit({"max_depth": 1}, PLAN.studies[0].folds[0].train)
OF_SURROUNDINGS = [
    "TimeLimitExceeded",
    "WorkerLost",
    "OutOfMemory",
    "NodeLost",
    "DataLost",
    "MemoryError",
    "ResourceExhaustedError",
]


@pytest.mark.parametrize("kind", ["ValueError", "ZeroDivisionError", NON_FINITE, "DivergedError"])
def test_what_a_fit_raises_is_an_answer(kind):
    assert Failure(kind, "no").is_answer


@pytest.mark.parametrize("kind", OF_SURROUNDINGS)
def test_time_memory_and_lost_workers_are_no_answer(kind):
    assert not Failure(kind, "no").is_answer


def test_memory_that_a_fit_could_not_have_is_no_answer():
    with pytest.raises(MemoryError) as caught:
        np.empty(2**55, dtype="u1")
    assert not failure_of(caught.value).is_answer


def test_what_foldwise_raises_itself_is_no_answer(monkeypatch):
    def broken(self, params, seed):
        raise KeyError("a slip of our own")

    broken.__code__ = broken.__code__.replace(co_filename=FitContext.run.__code__.co_filename)
    monkeypatch.setattr(FitContext, "model_for", broken)
    context = FitContext.of(PLAN)
    (result,) = context.run([FIT])
    assert result.error.kind == "KeyError"
    assert not result.error.is_answer


def test_what_an_estimator_raises_is_an_answer_even_where_foldwise_ships_it():
    plan = small_plan(FaultyEstimator(), {"fault": ["raise"]})
    (result,) = FitContext.of(plan).run([plan.fit({"fault": "raise"}, plan.studies[0].folds[0].train)])
    assert result.error.is_answer


class Once(SerialExecutor):
    """Gives the first fits up, for a reason of the machine's, as long as it is told to."""

    kind = None

    def results(self, timeout=None):
        results = super().results(timeout)
        if self.kind is None:
            return results
        return [replace(one, scores={}, error=Failure(self.kind, "given up")) for one in results]


@pytest.mark.parametrize("kind", ["TimeLimitExceeded", "WorkerLost", "OutOfMemory"])
@pytest.mark.parametrize(
    "make", [lambda path: MemoryLedger(), lambda path: fw.SqlLedger(str(path / "l.db"))], ids=["memory", "sql"]
)
def test_the_next_run_tries_again_what_the_machine_gave_up(tmp_path, kind, make):
    ledger, executor = make(tmp_path), Once()
    executor.kind = kind
    with pytest.raises(fw.RunError, match=f"{kind}: given up"):
        Run(PLAN, executor, ledger).execute()
    executor.kind = None
    report = Report(Run(PLAN, executor, ledger).execute())
    assert (report.n_fits, report.n_fits_found, report.n_fits_failed) == (PLAN.n_fits, 0, 0)
    assert report.scores == Report(Run(PLAN, SerialExecutor()).execute()).scores


def test_what_a_fit_raised_is_found_again_until_failures_are_forgotten(tmp_path):
    ledger = fw.SqlLedger(str(tmp_path / "ledger.db"))
    plan = small_plan(FaultyEstimator(), {"fault": [None, "raise"]})
    first = Report(Run(plan, SerialExecutor(), ledger).execute())
    again = Report(Run(plan, SerialExecutor(), ledger).execute())
    assert (first.n_fits_failed, again.n_fits_failed, again.n_fits) == (6, 6, 1)
    assert again.causes == first.causes
    assert ledger.forget_failed(plan) == 6


def test_a_gap_in_a_metric_that_does_not_choose_is_no_failure_to_forget(tmp_path):
    X, y = load_iris(return_X_y=True)
    scoring = {"acc": "accuracy", "odd": _nan}
    search = fw.NestedSearchCV(
        DecisionTreeClassifier(), {"max_depth": [1, 2]}, search="grid", scoring=scoring, refit="acc", executor="serial"
    )
    for ledger in (MemoryLedger(), fw.SqlLedger(str(tmp_path / "ledger.db"))):
        plan = search.set_params(random_state=0).plan(X, y)
        Run(plan, SerialExecutor(), ledger).execute()
        assert ledger.forget_failed(plan) == 0


def _nan(estimator, X, y):
    return math.nan


# --- two ledgers ------------------------------------------------------------------------------------------------------

SCORES = st.sampled_from([0.25, 0.5, math.nan])


@st.composite
def results(draw):
    """Draw what a process may know of the fit: it raised, or some rows are scored, by some metrics."""
    if draw(st.integers(0, 4)) == 0:
        return FitResult(FIT.key, {}, 1.0, error=Failure("ValueError", draw(st.sampled_from("ab"))))
    scores, errors = {}, {}
    for rows in FIT.held_out:
        what = draw(st.sampled_from(["not asked", "raised", "scored", "scored", "in part"]))
        if what == "raised":
            scores[rows], errors[rows] = {}, {None: Failure("TypeError", draw(st.sampled_from("ab")))}
        elif what != "not asked":
            scores[rows] = {name: draw(SCORES) for name in ("x", "y")}
            errors[rows] = {n: Failure(NON_FINITE, f"{n} is nan") for n, score in scores[rows].items() if math.isnan(score)}
            if what == "in part":
                del scores[rows]["y"]
                errors[rows]["y"] = Failure("ZeroDivisionError", "y")
    return FitResult(FIT.key, scores, 1.0, score_errors={rows: one for rows, one in errors.items() if one})


def seen(entries):
    found = [entries.find([replace(FIT, held_out=(rows,))]).get(FIT.key) for rows in FIT.held_out]
    return repr([one and (one.error, sorted(one.scores.items()), sorted(one.score_errors.items(), key=str)) for one in found])


@settings(max_examples=60, deadline=None)
@given(st.lists(results(), min_size=1, max_size=4))
def test_a_ledger_on_disk_says_what_one_in_memory_says(tmp_path_factory, told):
    entries = [
        MemoryLedger().open(PLAN), fw.SqlLedger(str(tmp_path_factory.mktemp("l") / "ledger.db")).open(PLAN)
    ]  # fmt: skip
    for one in entries:
        for result in told:
            one.put([(FIT, result)])
    assert seen(entries[0]) == seen(entries[1])
    entries[1].close()


def test_a_score_stands_before_a_failure_whoever_came_first(tmp_path):
    rows = FIT.held_out[0]
    bad = FitResult(FIT.key, {rows: {}}, 1.0, score_errors={rows: {None: Failure("TypeError", "no")}})
    good = FitResult(FIT.key, {rows: {"score": 0.5}}, 1.0)
    for number, order in enumerate(([bad, good], [good, bad])):
        for ledger in (MemoryLedger(), fw.SqlLedger(str(tmp_path / f"{number}.db"))):
            entries = ledger.open(PLAN)
            for result in order:
                entries.put([(FIT, result)])
            found = entries.find([replace(FIT, held_out=(rows,))])[FIT.key]
            assert (found.scores, found.score_errors) == ({rows: {"score": 0.5}}, {})
            entries.close()


def test_thousands_of_keys_are_asked_for_in_parts(tmp_path):
    entries = fw.SqlLedger(str(tmp_path / "ledger.db")).open(PLAN)
    fits = [replace(FIT, key=f"{number:032x}") for number in range(40_000)]
    entries.put([(fit, FitResult(fit.key, {}, 1.0, error=Failure("E", "m"))) for fit in fits])
    assert len(entries.find(fits)) == len(fits)
    assert entries.claim(fits) == set()
    entries.close()
