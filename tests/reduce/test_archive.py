"""The archive: a report comes back from it to the byte, in a process that has neither the data nor the code."""

import json
import math
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import LeaveOneGroupOut, RepeatedStratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import Failure, InputError, InputTypeError
from foldwise.events import Counts
from foldwise.executors import SerialExecutor
from foldwise.loop.run import Run
from foldwise.reduce.archive import Tracked
from foldwise.reduce.reduce import Choice, FitWarning, OuterResult
from foldwise.reduce.values import show_params
from foldwise.report.frames import outer_frame, trials_frame
from foldwise.testing import FaultyEstimator, SerialScheduledExecutor, scheduled_plan, small_plan
from foldwise.trial import FoldScores, Segment, Trial, TrialState

pytestmark = pytest.mark.filterwarnings("ignore:(invalid|overflow) .*:RuntimeWarning")  # of infinite and huge scores

X, Y = load_iris(return_X_y=True)


class Mine(ClassifierMixin, BaseEstimator):
    """A class that no other process can import; it fails on all rows, if it is told to."""

    def __init__(self, shape=(1, 2), fails=False):
        self.shape = shape
        self.fails = fails

    def fit(self, X, y):
        if self.fails and len(X) == 150:
            raise ValueError("no model")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.resize(self.classes_, len(X))


def simplest(results):
    return int(results["mean_test_f1_macro"].argmin())


def searched(estimator, space, *data, groups=None, sample_weight=None, **options):
    options = {"search": "grid", "outer_cv": 3, "executor": "serial", "random_state": 0, **options}
    given = {"groups": groups, "sample_weight": sample_weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = fw.NestedSearchCV(estimator, space, **options).fit(*(data or (X, Y)), **given)
    return search.report()


def partly_run():
    run = Run(small_plan(outer_cv=4), SerialExecutor())
    while not any(live.outer for live in run.studies.values()):
        run.step()
    run.abort()
    return fw.Report(run.archive())


def scheduled():
    return fw.Report(Run(scheduled_plan(), SerialScheduledExecutor()).execute())


SCALERS = {"scale": [StandardScaler(), MinMaxScaler(), FunctionTransformer(np.sqrt), "passthrough"], "svc__C": [1, 10]}
CASES = {
    "one metric": lambda: searched(SVC(), {"C": np.logspace(-1, 1, 3), "class_weight": [None, "balanced"]}),
    "metrics and a callable": lambda: searched(
        SVC(), {"C": [1e-3, 1, 10]}, scoring=["accuracy", "f1_macro"], refit=simplest, return_train_score=True
    ),
    "no model": lambda: searched(SVC(), {"C": [1.0]}, refit=False),
    "estimators as values": lambda: searched(Pipeline([("scale", None), ("svc", SVC())]), SCALERS),
    "tuples, functions": lambda: searched(Mine(), {"shape": [(1, 2.5), [None, True], {"a": (1,)}, len, lambda: 1]}),
    "groups": lambda: searched(
        LogisticRegression(max_iter=500), {"C": [1, 10]}, outer_cv=LeaveOneGroupOut(), groups=np.random.RandomState(0).permutation(np.repeat(list("abc"), [15, 35, 100]))
    ),
    "weights": lambda: searched(LogisticRegression(max_iter=500), {"C": [1, 10]}, sample_weight=np.linspace(1, 2, 150)),
    "time": lambda: searched(
        Ridge(), {"alpha": [0.1, 1.0]}, X, X @ [1.0, 2, 3, 4], outer_cv=TimeSeriesSplit(3), inner_cv=TimeSeriesSplit(2)
    ),
    "repeats, inner folds of their own": lambda: searched(
        SVC(), {"C": [1, 10]}, outer_cv=RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=1), inner_cv=3
    ),
    "failures": lambda: searched(SVC(), {"C": [1, -1]}, error_score=0.99),
    "infinite scores": lambda: searched(SVC(), {"C": [1, 10]}, scoring={"inf": lambda *_: -math.inf, "zero": lambda *_: -0.0}, refit="zero"),
    "a model that fails": lambda: searched(Mine(), {"fails": [True]}),
    "optuna": lambda: searched(SVC(), {"C": fw.Float(0.1, 10, log=True)}, search="optuna", n_trials=4, batch=2),
    "partial": partly_run,
    "scheduled": scheduled,
}  # fmt: skip


@pytest.fixture(scope="module", params=CASES)
def report(request):
    return CASES[request.param]()


def loaded(archive, folder):
    archive.save(folder)
    return fw.Report(fw.Archive.load(folder))


def assert_same(one, other):
    assert str(one) == str(other)
    assert one.to_json() == other.to_json()
    assert one.summary() == other.summary()
    assert one.failures() == other.failures()
    assert repr(one) == repr(other)


def as_shown(frame):
    """Return a frame with the params as reports print them."""
    names = [name for name in frame if name.startswith("param_")]
    return frame.drop(columns=names).assign(params=[show_params(params) for params in frame["params"]])


def test_a_report_comes_back_to_the_byte(report, tmp_path):
    again = loaded(report.archive, tmp_path / "kept")
    assert_same(report, again)
    assert_same(report, fw.Report(fw.Archive.from_json(report.archive.to_json())))
    assert_same(report, loaded(again.archive, tmp_path / "kept again"))
    assert {file.name for file in (tmp_path / "kept").iterdir()} == {"archive.json", "trials.parquet", "outer.parquet"}


def test_frames_come_back(report, tmp_path):
    again = loaded(report.archive, tmp_path)
    pd.testing.assert_frame_equal(
        as_shown(trials_frame(again.archive.trials)), as_shown(trials_frame(report.archive.trials)), check_exact=True
    )
    if report.outer:
        pd.testing.assert_frame_equal(as_shown(outer_frame(again.outer)), as_shown(outer_frame(report.outer)), check_exact=True)


def test_the_plan_comes_back(report, tmp_path):
    plan, again = report.archive.plan, loaded(report.archive, tmp_path).archive.plan
    assert again == replace(plan, error_score=again.error_score)  # NaN equals nothing
    assert again.explain() == plan.explain()
    assert repr(again.error_score) == repr(plan.error_score)


def test_every_outer_result_has_the_key_of_its_held_out_rows(tmp_path):
    report = CASES["one metric"]()
    report.archive.save(tmp_path)
    table = pd.read_parquet(tmp_path / "outer.parquet")
    assert list(table["held_out"]) == [fold.held_out for fold in report.archive.plan.folds]
    assert len(set(table["held_out"])) == 3
    assert list(table["outer_score"]) == list(report.scores["score"].outer)


def test_a_fresh_process_without_the_data_and_the_code_prints_the_same(tmp_path):
    for name in ("tuples, functions", "estimators as values"):
        report = CASES[name]()
        report.archive.save(tmp_path)
        code = (
            "import sys, foldwise as fw\n"
            "report = fw.Report(fw.Archive.load(sys.argv[1]))\n"
            "sys.stdout.write(f'{report}\\0{report.to_json()}')"
        )
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, cwd=tmp_path, check=True)
        assert done.stdout.decode().split("\0") == [str(report), report.to_json()]


# --- values of all kinds ---

FLOATS = st.floats() | st.sampled_from([-0.0, math.nan, math.inf, 5e-324, 0.1 + 0.2])
TEXTS = st.text() | st.sampled_from(["token=abc", "http://u:p@h/x", "\ud800", "\x1b[2J", "a\nb", "NaN", "$float"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.sampled_from([2**53 + 1, -(2**70)]) | FLOATS | TEXTS
    | FLOATS.map(np.float64) | FLOATS.filter(lambda value: not abs(value) > 1e38).map(np.float32) | st.integers(-9, 9).map(np.int64)
    | st.booleans().map(np.bool_) | TEXTS.map(np.str_) | st.complex_numbers().map(np.complex128)
)  # fmt: skip
OBJECTS = st.sampled_from(
    [SVC(C=2), len, SVC, np.arange(3), np.array("x"), frozenset([1]), np.datetime64("2020"), range(3), b"x"]
)
VALUES = st.recursive(
    SCALARS | OBJECTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
PARAMS = st.dictionaries(st.sampled_from(["C", "svc__C", "token", "max_tokens", "record", "n_token"]), VALUES, max_size=4)
FAILURES = st.none() | st.builds(Failure, TEXTS, TEXTS, TEXTS, st.booleans())
SCORES = st.fixed_dictionaries({"acc": FLOATS, "acc_std": FLOATS, "float": FLOATS})
FOLDS = st.lists(FLOATS, min_size=3, max_size=3).map(tuple)


@st.composite
def trials(draw, number):
    scores = {name: FoldScores(draw(FOLDS), draw(FOLDS)) for name in ("acc", "acc_std", "float")}
    lineage = tuple(Segment(draw(PARAMS), draw(st.integers(1, 9))) for _ in range(draw(st.integers(0, 2))))
    return Trial(
        number, draw(PARAMS), draw(st.none() | st.sampled_from(TrialState)), scores, draw(FLOATS), draw(st.floats(0, 2e9)), draw(FLOATS),
        draw(FOLDS), draw(FOLDS), draw(FAILURES), draw(st.integers(0, 3)), lineage, ((1, draw(FLOATS)),) if lineage else (),
    )  # fmt: skip


@pytest.fixture(scope="module")
def plain_archive():
    return CASES["metrics and a callable"]().archive


@settings(max_examples=30, phases=[Phase.explicit, Phase.generate])
@given(data=st.data())
def test_any_values_come_back_as_a_report_shows_them(plain_archive, tmp_path_factory, data):
    draw = data.draw
    found = {study: tuple(draw(trials(number)) for number in range(2)) for study in plain_archive.trials}
    outer = tuple(
        OuterResult(n, draw(SCORES), draw(FLOATS), draw(PARAMS), 100, 50, draw(st.floats(0, 1e9)), draw(FAILURES))
        for n in range(3)
    )
    scoring = replace(
        plain_archive.plan.scoring, metrics=("acc", "acc_std", "float"), objective="acc", chooser=draw(st.none() | TEXTS),
        titles={"acc": draw(TEXTS)}, zero_one=frozenset({"float"}),
    )  # fmt: skip
    archive = replace(
        plain_archive, trials=found, outer=outer, plan=replace(plain_archive.plan, scoring=scoring), n_rows_judged=150,
        choice=draw(st.none() | st.just(Choice(found["final"][1], ("acc",)))), model_error=draw(FAILURES),
        warned=(FitWarning("builtins:UserWarning", draw(st.just("odd")), 3),), causes=(("ValueError: x", 2**60),),
        counts=Counts(1, 2, 3, 4, 5, 6), seconds=draw(st.floats(0, 1e9)), tracked=Tracked("id", "address", draw(st.none() | TEXTS)),
    )  # fmt: skip
    one, other = fw.Report(archive), loaded(archive, tmp_path_factory.mktemp("archive"))
    assert_same(one, other)
    assert [show_params(trial.params) for trial in found["final"]] == [
        show_params(trial.params) for trial in other.archive.trials["final"]
    ]
    assert repr([(t.scores, t.value, t.started, t.seconds, t.fit_seconds, t.curve, t.state) for t in found["final"]]) == repr(
        [(t.scores, t.value, t.started, t.seconds, t.fit_seconds, t.curve, t.state) for t in other.archive.trials["final"]]
    )


# --- what it holds, and what it does not ---


def test_it_holds_no_secrets(plain_archive, tmp_path):
    word = "hUnTeR2"
    secrets = {
        "token": word,
        "url": f"http://u:{word}@h/x",
        "of": [f"password={word}"],
        "args": {"password": word},
        "model": Odd(word),
    }
    one = replace(plain_archive.trials["final"][0], params=secrets)
    outer = tuple(replace(result, params=secrets) for result in plain_archive.outer)
    plan = replace(plain_archive.plan, name=f"x?token={word}", data=f"http://u:{word}@h/x", explanation=f"password={word}")
    ended = f"token={word}"
    archive = replace(
        plain_archive,
        plan=plan,
        trials={**plain_archive.trials, "final": (one,)},
        outer=outer,
        ended=ended,
        choice=Choice(one, ("f1_macro",)),
    )
    assert_same(fw.Report(archive), loaded(archive, tmp_path))
    assert word not in archive.to_json()
    assert not [file for file in tmp_path.iterdir() if word.encode() in file.read_bytes()]
    assert word not in pd.read_parquet(tmp_path / "trials.parquet").to_csv()


class Odd:
    def __init__(self, token):
        self.token = token

    def __repr__(self):
        return f"Odd(token={self.token!r})"


def test_archive_json_is_strict_json(plain_archive, tmp_path):
    plain_archive.save(tmp_path)
    head = json.loads((tmp_path / "archive.json").read_text(), parse_constant=pytest.fail)
    assert (head["version"], head["plan"]["error_score"]) == (1, {"$float": "nan"})


def test_provenance_says_where_results_come_from(plain_archive):
    provenance = plain_archive.provenance
    assert {"foldwise", "numpy", "python", "scikit-learn", "scipy"} <= set(provenance.versions)
    assert provenance.command
    assert provenance.platform


# --- what cannot be read ---


def test_another_version_is_refused_by_name(plain_archive, tmp_path):
    plain_archive.save(tmp_path)
    head = json.loads((tmp_path / "archive.json").read_text())
    (tmp_path / "archive.json").write_text(json.dumps({**head, "version": 2}))
    with pytest.raises(
        InputError, match=r"expected version 1 in .*, got 2; read it with the foldwise that wrote it, or update"
    ):
        fw.Archive.load(tmp_path)
    with pytest.raises(InputError, match="expected version 1 in the text, got 99"):
        fw.Archive.from_json('{"version": 99}')


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("archive.json", b""), ("archive.json", b"[]"), ("archive.json", b"{}"), ("archive.json", b'{"version": 1}'), ("archive.json", None),
        ("trials.parquet", b"PAR1"), ("trials.parquet", None), ("outer.parquet", b""), ("outer.parquet", None),
    ],
)  # fmt: skip
def test_what_is_damaged_is_refused(plain_archive, tmp_path, name, content):
    plain_archive.save(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="expected"):
        fw.Archive.load(tmp_path)


def test_files_of_two_archives_are_refused(plain_archive, tmp_path):
    plain_archive.save(tmp_path / "one")
    replace(plain_archive, seconds=0.5).save(tmp_path / "other")
    (tmp_path / "one" / "trials.parquet").replace(tmp_path / "other" / "trials.parquet")
    with pytest.raises(InputError, match=r"trials\.parquet is of another archive"):
        fw.Archive.load(tmp_path / "other")


def test_an_archive_replaces_the_one_that_was_there(plain_archive, tmp_path):
    plain_archive.save(tmp_path)
    replace(plain_archive, seconds=0.5).save(tmp_path)
    assert fw.Archive.load(tmp_path).seconds == 0.5


def test_a_folder_is_wanted(plain_archive, tmp_path):
    with pytest.raises(InputTypeError, match="expected the path of a folder, got 3"):
        fw.Archive.load(3)
    with pytest.raises(InputError, match="expected the folder of an archive"):
        fw.Archive.load(tmp_path / "nowhere")


def test_a_failing_estimator_leaves_its_causes(tmp_path):
    run = Run(small_plan(FaultyEstimator(), {"fault": ["none", "raise"]}), SerialExecutor())
    again = loaded(run.execute(), tmp_path)
    trial = again.archive.trials["final"][1]
    assert (trial.state, trial.error.kind) == (TrialState.FAILED, "ValueError")
    assert "Traceback" in trial.error.traceback
    assert again.causes == fw.Report(run.archive()).causes
