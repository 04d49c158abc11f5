"""The report: words that are true, JSON that machines can read."""

import json
import math
import re

import numpy as np
import pytest
from rich.console import Console
from sklearn.datasets import load_iris
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneGroupOut, TimeSeriesSplit
from sklearn.svm import SVC

import foldwise as fw
from foldwise.executors import SerialExecutor
from foldwise.listeners.progress import ProgressBar
from foldwise.loop.run import Run
from foldwise.reduce.values import duration, plain, show
from foldwise.report import MetricReport, Report
from foldwise.report.text import optimism_words, sentence, weighing_words
from foldwise.stats.intervals import Interval
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


def scored(*outer, interval=None, flat=0.9, **more):
    mean = float(np.mean(outer))
    ends = Interval(*(interval or (None, None)), "how")
    return MetricReport(outer, mean, float(np.std(outer)), ends, flat, flat - mean, **more)


@pytest.mark.parametrize(
    ("score", "shown"),
    [
        (scored(-3.1e-5, -2.9e-5, interval=(-3.4e-5, -2.6e-5), flat=-2.9e-5), "scored -2.90e-05 on .* scores -3.00e-05 \\(95 % interval -3.40e-05 to -2.60e-05"),
        (scored(-3100, -2900, interval=(-3400, -2600), flat=-2950), r"scored -2950 on .* scores -3000 \(95 % interval -3400 to -2600"),
        (scored(0.95, 0.97, interval=(0.93, 0.99)), r"scored 0\.900 on .* scores 0\.960 \(95 % interval 0\.930 to 0\.990"),
        (scored(0.99951, 0.99953, interval=(0.9994, 0.9996)), r"scored 0\.90000 on .* scores 0\.99952"),
        (scored(12.5, 13.5, interval=(10, 16), flat=12), r"scored 12\.0 on .* scores 13\.0 \(95 % interval 10\.0 to 16\.0"),
        (scored(1e-200, 2e-200, flat=1e-200), r"scored 1\.00e-200 on .* scores 1\.50e-200 \(no interval"),
        (scored(0.8, 0.8 - 1e-16, flat=0.8), r"scored 0\.800 on .* scores 0\.800 \(no interval"),
        (scored(0.0, 0.0, flat=0.0), r"scored 0\.000 on .* scores 0\.000"),
    ],
)  # fmt: skip
def test_scores_are_shown_with_the_digits_that_the_intervals_width_calls_for(score, shown):
    assert re.search(shown, sentence(score, 3)), sentence(score, 3)


def test_a_callables_choice_is_not_called_the_best():
    words = sentence(scored(0.8, 0.9, interval=(0.7, 1.0), flat=0.86, title="f1_macro"), 4, "simplest()", 0.88)
    assert words.startswith("Of 4 params, the best of which scored 0.880, simplest() chose some that scored 0.860 by f1_macro")


def test_folds_of_unequal_size_are_said_to_count_alike():
    score = scored(0.5, 1.0, interval=(0.4, 1.0), by_rows=0.91)
    assert (
        weighing_words(score, [10, 50], by_group=False)
        == "The mean over 2 outer folds of 10 to 50 rows, which count alike; by rows 0.910."
    )
    assert weighing_words(score, [10, 50], by_group=True).startswith("The mean over 2 groups of 10 to 50 rows")
    assert weighing_words(score, [30, 31], by_group=True) == ""
    assert weighing_words(scored(0.9, 0.9, by_rows=0.9), [40, 50], by_group=False) == ""


def test_groups_of_unequal_size_are_said_to_count_alike():
    X, y = load_iris(return_X_y=True)
    groups = np.repeat(np.arange(3), [15, 35, 100])[np.random.RandomState(0).permutation(150)]
    report = fw.NestedSearchCV(
        SVC(), {"C": [1, 10]}, search="grid", outer_cv=LeaveOneGroupOut(), executor="serial", random_state=0
    )
    report = report.fit(X, y, groups=groups).report()
    by_rows = np.average([one.scores["score"] for one in report.outer], weights=[15, 35, 100])
    assert report.scores["score"].by_rows == by_rows
    assert f"The mean over 3 groups of 15 to 100 rows, which count alike; by rows {by_rows:.3f}." in report.summary()


def test_the_rows_behind_both_numbers_are_given_where_they_differ():
    X, y = load_iris(return_X_y=True)
    search = fw.NestedSearchCV(SVC(), {"C": [1, 10]}, search="grid", outer_cv=5, inner_cv=3, executor="serial", random_state=0)
    report = search.fit(X, y).report()
    assert report.n_train == (100, 120)
    assert "The first comes from fits on 100 rows each, the second from fits on 120." in report.summary()
    assert "fits on" not in search.set_params(inner_cv="shared").fit(X, y).report().summary()


def test_params_that_were_asked_twice_count_once():
    X, y = load_iris(return_X_y=True)
    search = fw.NestedSearchCV(SVC(), {"C": [1, 1, 10]}, search="grid", outer_cv=3, executor="serial", random_state=0)
    assert search.fit(X, y).report().summary().startswith("The best of 2 params by accuracy scored")
    assert search.report().to_dict()["n_params"] == 2


def simplest(results):
    return int(results["mean_test_f1_macro"].argmin())


def test_with_a_callable_the_report_names_what_chose_and_what_its_choice_scored():
    X, y = load_iris(return_X_y=True)
    search = fw.NestedSearchCV(
        SVC(), {"C": [1e-3, 1, 10]}, search="grid", scoring=["accuracy", "f1_macro"], refit=simplest, outer_cv=3,
        executor="serial", random_state=0,
    ).fit(X, y)  # fmt: skip
    report, means = search.report(), search.cv_results_["mean_test_f1_macro"]
    assert (report.metric, report.chooser, report.best_mean) == ("f1_macro", "simplest()", means.max())
    assert report.scores["f1_macro"].flat_best == means.min()
    assert search.optimism_ == means.min() - search.outer_scores_["f1_macro"].mean()
    judged = search.trials_[(search.trials_["study"] == "outer-0") & (search.trials_["param_C"] == report.outer[0].params["C"])]
    assert search.outer_results_["inner_best"][0] == judged["inner_f1_macro"].item()
    assert "simplest() chose some that scored" in report.summary()
    assert "The best of" not in report.summary()


def test_json_holds_no_nan_and_no_objects():
    space = {"kernel": ["rbf", "poly"], "class_weight": [None, "balanced"], "C": np.logspace(0, 1, 2)}
    report = Report(Run(small_plan(SVC(), space, outer_cv=3), SerialExecutor()).execute())
    read = json.loads(report.to_json())
    assert read["scores"]["score"]["mean"] == report.scores["score"].mean
    assert read["scores"]["score"]["std"] == pytest.approx(np.std(report.scores["score"].outer))
    assert isinstance(read["best_params"]["C"], float)
    assert plain({"a": math.nan, "b": SVC(C=2), "c": [np.int64(1), math.inf]}) == {"a": None, "b": "SVC(C=2)", "c": [1, None]}


def test_chosen_values_are_counted_over_the_outer_folds():
    report = Report(Run(small_plan(outer_cv=3), SerialExecutor()).execute())
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
