"""The report: words that are true, JSON that machines can read."""

import json
import math

import numpy as np
import pytest
from rich.console import Console
from sklearn.linear_model import Ridge
from sklearn.model_selection import TimeSeriesSplit
from sklearn.svm import SVC

import foldwise as fw
from foldwise.executors import SerialExecutor
from foldwise.report import MetricReport
from foldwise.report.metric import plain, show
from foldwise.report.progress import ProgressBar
from foldwise.report.text import duration, optimism_words, sentence
from foldwise.run import Run
from foldwise.stats import Interval
from foldwise.testing import ShuffledExecutor, small_plan

SCORE = MetricReport((0.9, 1.0), 0.979, 0.01, Interval(0.965, 0.993, "t"), 0.982, 0.003, title="accuracy")


def test_the_sentence_says_which_number_to_quote():
    assert sentence(SCORE, 27) == (
        "The best of 27 params by accuracy scored 0.982 on the folds that chose it; the same search, judged on folds that had "
        "no part in the choice, scores 0.979 (95 % interval 0.965 to 0.993): quote the second."
    )


@pytest.mark.parametrize(("optimism", "is_hedged"), [(0.003, True), (0.0, True), (-0.01, True), (0.02, False)])
def test_optimism_is_never_called_the_absence_of_overfitting(optimism, is_hedged):
    words = optimism_words(MetricReport((), 0, 0, SCORE.interval, 0, optimism))
    assert ("noise" in words) == is_hedged
    assert "overfit" not in words


def test_json_holds_no_nan_and_no_objects():
    space = {"kernel": ["rbf", "poly"], "class_weight": [None, "balanced"], "C": np.logspace(0, 1, 2)}
    report = Run(small_plan(SVC(), space, outer_cv=3), SerialExecutor()).execute()
    read = json.loads(report.to_json())
    assert read["scores"]["score"]["mean"] == report.scores["score"].mean
    assert read["scores"]["score"]["std"] == pytest.approx(np.std(report.scores["score"].outer))
    assert isinstance(read["best_params"]["C"], float)
    assert plain({"a": math.nan, "b": SVC(C=2), "c": [np.int64(1), math.inf]}) == {"a": None, "b": "SVC(C=2)", "c": [1, None]}


def test_chosen_values_are_counted_over_the_outer_folds():
    report = Run(small_plan(outer_cv=3), SerialExecutor()).execute()
    counts = report.recurrence()["max_depth"]
    assert sum(counts.values()) == 3
    assert f"max_depth: {counts.most_common()[0][0]} ({counts.most_common()[0][1]} of 3)" in str(report)


def test_time_ordered_folds_have_no_interval_and_say_why():
    search = fw.NestedSearchCV(
        Ridge(),
        {"alpha": [0.1, 1.0]},
        search="grid",
        outer_cv=TimeSeriesSplit(3),
        inner_cv=TimeSeriesSplit(2),
        executor="serial",
    )
    X = np.random.RandomState(0).normal(size=(60, 3))
    search.fit(X, X @ [1.0, 2.0, 3.0])
    assert search.interval_ is None
    assert "ordered in time" in str(search.report())


@pytest.mark.parametrize(
    ("value", "shown"), [(0.123456, "0.1235"), (1e-7, "1e-07"), (np.float64(2), "2"), ("rbf", "rbf"), (None, "None")]
)
def test_values_are_shown_on_one_line(value, shown):
    assert show(value) == shown


@pytest.mark.parametrize(("seconds", "words"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (7300, "2 h 1 min")])
def test_durations_are_worded(seconds, words):
    assert duration(seconds) == words


def test_a_terminal_sees_a_bar_with_counts_and_best_scores():
    import io

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=140)
    bar = ProgressBar(console)
    Run(small_plan(), ShuffledExecutor(0), listeners=[bar]).execute()
    bar._bar.refresh()
    assert "fits run" in out.getvalue() or bar._status.counts.run == 13
    assert set(bar._status.best) == {"outer-0", "outer-1", "outer-2", "final"}
