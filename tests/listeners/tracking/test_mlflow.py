import json
import math
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import mlflow.sklearn
import numpy as np
import pyarrow.parquet
import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from foldwise.data import Dataset
from foldwise.errors import RunError, TrackingError
from foldwise.events import Counts, RunEnded, RunStarted, StudyEnded, TrialEnded
from foldwise.executors import SerialExecutor
from foldwise.listeners.tracking import MlflowTracker
from foldwise.listeners.tracking.model import save_model
from foldwise.listeners.tracking.names import as_name
from foldwise.listeners.tracking.store import Store
from foldwise.loop.run import Run
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.reduce.tables import write_trials
from foldwise.report import Report
from foldwise.trial import FoldScores, Trial, TrialState

# MLflow's own tables; raised on a thread, where pytest would make an error of it
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

STUDIES = ["outer-0", "outer-1", "outer-2", "final"]
VALUES = [-1.0, 1.0, 10.0]  # an SVC refuses the first
JOB_TEXT = "name: iris-svm\nestimator: sklearn.svm:SVC\n"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """What cannot be tracked is kept below the working folder."""
    monkeypatch.chdir(tmp_path)


def iris():
    X, y = load_iris(return_X_y=True)
    return Dataset(X, y, name="iris")


@pytest.fixture(scope="module")
def plan():
    settings = Settings.of(
        {"search": "grid", "outer_cv": 3, "scoring": ["accuracy", "f1_macro"], "random_state": 0, "name": "iris-svm"}
    )
    return Plan.of(make_problem(iris(), make_pipeline(StandardScaler(), SVC()), {"svc__C": VALUES}, settings))


@pytest.fixture(scope="module")
def events(plan):
    """All that a run tells, once; tests tell it again."""
    heard = []
    Run(plan, SerialExecutor(), listeners=[heard.append]).execute()
    return tuple(heard)


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow').as_posix()}/mlflow.db"


@pytest.fixture(scope="module")
def client(uri):
    return MlflowClient(tracking_uri=uri)


def track(uri, experiment, events, **options):
    tracker = MlflowTracker(uri, experiment, **options)
    for event in events:
        tracker(event)
    tracker.close(60)
    return tracker


def runs_of(client, experiment):
    found = client.get_experiment_by_name(experiment)
    return client.search_runs([found.experiment_id], max_results=1000)


def named(client, experiment):
    return {run.info.run_name: run for run in runs_of(client, experiment)}


def interrupted(events, trials=4):
    """The events of a run that was interrupted after so many trials, in its second study."""
    heard = [event for event in events if isinstance(event, RunStarted | TrialEnded | StudyEnded)]
    first = next(event for event in heard if isinstance(event, StudyEnded))
    ended = [event for event in heard if isinstance(event, TrialEnded)]
    own = [event for event in ended if event.study == first.study]
    others = [event for event in ended if event.study != first.study][: trials - len(own)]
    return [heard[0], *own, first, *others, RunEnded(None, None, True, KeyboardInterrupt())]


@pytest.fixture(scope="module")
def tracker(uri, events):
    return track(uri, "whole", events, job_text=JOB_TEXT)


@pytest.fixture(scope="module")
def runs(tracker, client):
    return named(client, "whole")


@pytest.fixture(scope="module")
def report(events):
    return Report(events[-1].archive)


class TestWhatIsWritten:
    def test_everything(self, tracker):
        assert (tracker.untracked, tracker.problem) == (0, None)

    def test_tree(self, runs, tracker):
        parents = {name: run.data.tags.get("mlflow.parentRunId") for name, run in runs.items()}
        job = runs["iris-svm"].info.run_id
        assert job == tracker.run_id
        assert parents.pop("iris-svm") is None
        expected = dict.fromkeys(STUDIES, job)
        expected |= {f"{study}/{number}": runs[study].info.run_id for study in STUDIES for number in range(3)}
        assert parents == expected

    def test_states(self, runs):
        states = Counter((run.info.status, run.data.tags["foldwise.state"]) for run in runs.values())
        assert states == {("FINISHED", "COMPLETE"): 1 + 4 + 8, ("FAILED", "FAILED"): 4}

    def test_trial(self, runs, events, plan):
        trial = next(e.trial for e in events if isinstance(e, TrialEnded) and e.study == "outer-1" and e.trial.number == 2)
        run = runs["outer-1/2"]
        assert run.data.params == {"svc__C": "10.0"}
        assert run.data.metrics["inner_accuracy"] == trial.scores["accuracy"].mean
        assert run.data.metrics["inner_accuracy_std"] == trial.scores["accuracy"].std
        assert run.data.metrics["inner_f1_macro"] == trial.scores["f1_macro"].mean
        assert run.data.metrics["seconds"] == trial.seconds
        assert run.info.start_time == round(trial.started * 1000)
        assert run.info.start_time <= run.info.end_time <= round((trial.started + trial.seconds) * 1000)
        tags = {name: value for name, value in run.data.tags.items() if name.startswith("foldwise.")}
        assert tags == {
            "foldwise.key": f"{plan.problem.key}/outer-1/2",
            "foldwise.job": "iris-svm",
            "foldwise.study": "outer-1",
            "foldwise.trial": "2",
            "foldwise.state": "COMPLETE",
            "foldwise.model": "Pipeline",
            "foldwise.search": "grid",
        }

    def test_inner_folds_are_steps(self, runs, events, client):
        trial = next(e.trial for e in events if isinstance(e, TrialEnded) and e.study == "final" and e.trial.number == 1)
        history = client.get_metric_history(runs["final/1"].info.run_id, "fold_accuracy")
        assert {point.step: point.value for point in history} == dict(enumerate(trial.scores["accuracy"].held_out))

    def test_failed_trial_says_why(self, runs):
        run = runs["outer-0/0"]
        assert run.info.status == "FAILED"
        assert run.data.tags["foldwise.error"].startswith("InvalidParameterError: ")
        assert "Traceback" in run.data.tags["mlflow.note.content"]
        assert set(run.data.metrics) == {"seconds"}  # its scores are NaN
        assert run.data.params == {"svc__C": "-1.0"}

    def test_study(self, runs, report):
        outer, run = report.outer[1], runs["outer-1"]
        assert run.data.params == {name: str(value) for name, value in outer.params.items()}
        assert run.data.metrics["outer_accuracy"] == outer.scores["accuracy"]
        assert run.data.metrics["outer_f1_macro"] == outer.scores["f1_macro"]
        assert run.data.metrics["inner_best"] == outer.inner_best
        assert run.data.metrics["n_trials"] == 3

    def test_final_study(self, runs, report):
        run = runs["final"]
        assert run.data.params == {name: str(value) for name, value in report.best_params.items()}
        assert run.data.metrics["inner_best"] == report.scores["accuracy"].flat_best
        assert not any(name.startswith("outer_") for name in run.data.metrics)

    def test_job(self, runs, report):
        run, score = runs["iris-svm"], report.scores["accuracy"]
        expected = {
            "accuracy_nested": score.mean,
            "accuracy_std": score.std,
            "accuracy_interval_low": score.interval.ends[0],
            "accuracy_interval_high": score.interval.ends[1],
            "accuracy_flat_best": score.flat_best,
            "accuracy_optimism": score.optimism,
            "f1_macro_nested": report.scores["f1_macro"].mean,
            "n_fits": report.n_fits,
            "n_fits_shared": report.n_fits_shared,
            "n_fits_failed": report.n_fits_failed,
            "n_fits_plain": report.n_fits_plain,
            "seconds": report.seconds,
        }
        assert expected.items() <= run.data.metrics.items()
        assert run.data.params == {
            "search": "grid", "n_trials": "3", "outer_folds": "3", "inner_folds": "shared", "seed": "0",
            "estimator": "Pipeline", "metric": "accuracy", "best_svc__C": str(report.best_params["svc__C"]),
        }  # fmt: skip

    def test_address(self, tracker, uri):
        assert tracker.address == f"{uri}; after foldwise ui at http://127.0.0.1:5000/#/experiments/1/runs/{tracker.run_id}"


@pytest.fixture(scope="module")
def folder(tracker, client, tmp_path_factory):
    names = sorted(file.path for file in client.list_artifacts(tracker.run_id))
    assert names == [
        "archive.json", "job.yaml", "outer.parquet", "plan.txt", "report.json", "report.txt", "trials.parquet",
    ]  # fmt: skip
    folder = tmp_path_factory.mktemp("artifacts")
    for name in names:
        client.download_artifacts(tracker.run_id, name, str(folder))
    return folder


class TestArtifacts:
    def test_texts(self, folder, plan, report):
        assert (folder / "job.yaml").read_text() == JOB_TEXT
        assert (folder / "plan.txt").read_text() == plan.explain() + "\n"
        assert str(report) in (folder / "report.txt").read_text()

    def test_report(self, folder, report, tracker):
        expected = json.loads(report.to_json()) | {"mlflow_run_id": tracker.run_id}
        assert json.loads((folder / "report.json").read_text()) == expected

    def test_trials(self, folder, events):
        rows = pyarrow.parquet.read_table(folder / "trials.parquet").to_pylist()
        assert [(row["study"], row["trial"]) for row in rows] == [(study, n) for study in STUDIES for n in range(3)]
        trial = next(e.trial for e in events if isinstance(e, TrialEnded) and e.study == "outer-0" and e.trial.number == 1)
        row = rows[1]
        assert (row["state"], row["params"], row["param_svc__C"], row["error"]) == ("COMPLETE", '{"svc__C": 1.0}', 1.0, None)
        assert row["inner_accuracy"] == trial.scores["accuracy"].mean
        assert (row["split0_accuracy"], row["split1_accuracy"]) == trial.scores["accuracy"].held_out
        assert rows[0]["inner_accuracy"] is None
        assert rows[0]["error"].startswith("InvalidParameterError")

    def test_columns_hold_one_type(self, tmp_path):
        values = [1, 2.5, None], [1, "rbf", None], [True, False, None], [SVC(C=2), None, "x"]
        trials = [Trial(n, {"a": a, "b": b, "c": c, "d": d}) for n, (a, b, c, d) in enumerate(zip(*values, strict=True))]
        write_trials(tmp_path / "trials.parquet", {"final": trials})
        columns = pyarrow.parquet.read_table(tmp_path / "trials.parquet").to_pydict()
        assert columns["param_a"] == [1.0, 2.5, None]
        assert columns["param_b"] == ["1", "rbf", None]
        assert columns["param_c"] == [True, False, None]
        assert columns["param_d"] == ["SVC(C=2)", None, "x"]
        assert columns["started"] == [None, None, None]

    def test_rows_come_in_groups_so_that_memory_stays_flat(self, tmp_path):
        scores = {"accuracy": FoldScores((0.5, math.nan))}
        first = [Trial(n, {"a": n}, TrialState.COMPLETE, scores, 0.5, 1e9, 1.0) for n in range(1500)]
        last = [
            Trial(n, {"a": 0.5, "b": "x"}, TrialState.COMPLETE, {"f1": FoldScores((1.0,))}, 1.0, 1e9, 1.0) for n in range(10)
        ]
        write_trials(tmp_path / "trials.parquet", {"outer-0": first, "final": last})
        file = pyarrow.parquet.ParquetFile(tmp_path / "trials.parquet")
        assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [1000, 510]
        rows = file.read().to_pylist()
        assert [row["trial"] for row in rows] == [*range(1500), *range(10)]
        assert rows[1499] | {"params": None, "record": None} == {
            "study": "outer-0", "trial": 1499, "state": "COMPLETE", "started": rows[0]["started"], "seconds": 1.0, "params": None,
            "param_a": 1499.0, "inner_accuracy": None, "inner_accuracy_std": None, "split0_accuracy": 0.5,
            "split1_accuracy": None, "param_b": None, "inner_f1": None, "inner_f1_std": None, "split0_f1": None, "error": None,
            "record": None,
        }  # fmt: skip
        assert (rows[-1]["param_a"], rows[-1]["param_b"], rows[-1]["inner_f1"]) == (0.5, "x", 1.0)
        assert rows[0]["started"].timestamp() == 1e9

    def test_data(self, tracker, client):
        [used] = client.get_run(tracker.run_id).inputs.dataset_inputs
        assert (used.dataset.name, used.dataset.digest) == ("iris", iris().digest)
        assert json.loads(used.dataset.profile) == {"num_rows": 150, "num_elements": 600}
        assert json.loads(used.dataset.schema)["mlflow_tensorspec"]["features"][0]["tensor-spec"]["shape"] == [-1, 4]


class TestModel:
    def test_it_predicts_again(self, tracker, client, events, monkeypatch, uri):
        monkeypatch.setattr("mlflow.tracking._tracking_service.utils._tracking_uri", uri)
        [output] = client.get_run(tracker.run_id).outputs.model_outputs
        X = load_iris().data
        loaded = mlflow.sklearn.load_model(f"models:/{output.model_id}")
        np.testing.assert_array_equal(loaded.predict(X), events[-1].model.model.predict(X))
        info = mlflow.models.get_model_info(f"models:/{output.model_id}")
        assert info.flavors["sklearn"]["serialization_format"] == "skops"
        assert info.signature.inputs is not None
        assert info.saved_input_example_info is not None
        assert client.get_logged_model(output.model_id).source_run_id == tracker.run_id

    def test_what_skops_cannot_store_is_pickled(self, tmp_path):
        X, y = load_iris(return_X_y=True)
        model = make_pipeline(FunctionTransformer(lambda rows: rows * 2), SVC()).fit(X, y)
        saved = save_model(model, Dataset(X, y), tmp_path)
        np.testing.assert_array_equal(mlflow.sklearn.load_model(str(saved)).predict(X), model.predict(X))

    def test_says_what_must_be_installed(self, tmp_path):
        X, y = load_iris(return_X_y=True, as_frame=True)
        saved = save_model(SVC().fit(X, y), Dataset(X, y), tmp_path)
        names = [line.partition("==")[0] for line in (saved / "requirements.txt").read_text().split()]
        assert names == ["mlflow", "numpy", "pandas", "scikit-learn", "skops"]

    def test_what_nothing_can_store_is_told(self, uri, client, events):
        model = SVC().fit(*load_iris(return_X_y=True))
        model.lock_ = threading.Lock()
        result = replace(events[-1].model, model=model)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("foldwise.listeners.tracking.model.requirements", lambda *_: ["scikit-learn"])
            tracker = track(uri, "no-model", [events[0], replace(events[-1], model=result)])
        assert tracker.untracked == 1
        assert "SVC cannot be stored" in tracker.problem
        run = client.get_run(tracker.run_id)
        assert (run.info.status, run.data.tags["foldwise.model_error"]) == ("FINISHED", tracker.problem)

    def test_unsavable_is_an_error(self, tmp_path):
        with pytest.raises(TrackingError, match="Lock cannot be stored"):
            save_model(type("Lock", (), {"lock": threading.Lock()})(), iris(), tmp_path)


class TestAgain:
    def test_same_run_adds_nothing(self, tracker, client, events, report, uri):
        before, job = runs_of(client, "whole"), client.get_run(tracker.run_id)
        counts = replace(report.archive.counts, run=0, shared=80)
        same = replace(events[-1], archive=replace(report.archive, counts=counts, seconds=0.1))
        again = track(uri, "whole", [*events[:-1], same], job_text=JOB_TEXT)
        assert again.untracked == 0
        assert again.run_id == tracker.run_id
        assert [run.to_dictionary() for run in runs_of(client, "whole")] == [run.to_dictionary() for run in before]
        assert client.get_run(tracker.run_id).outputs.to_dictionary() == job.outputs.to_dictionary()
        assert client.get_metric_history(tracker.run_id, "n_fits")[-1].value == report.n_fits

    def test_interrupted_then_continued(self, uri, client, events, report):
        first = track(uri, "continued", interrupted(events))
        stopped = named(client, "continued")
        states = {name: (run.info.status, run.data.tags["foldwise.state"]) for name, run in stopped.items() if "/" not in name}
        done, opened = (name for name in states if name != "iris-svm")
        if states[done][0] != "FINISHED":
            done, opened = opened, done
        assert states == {
            "iris-svm": ("KILLED", "KILLED"),
            done: ("FINISHED", "COMPLETE"),
            opened: ("KILLED", "KILLED"),
        }
        assert sum("/" in name for name in stopped) == 4
        again = track(uri, "continued", events)
        assert (again.run_id, again.untracked) == (first.run_id, 0)
        whole = runs_of(client, "continued")
        assert len(whole) == 1 + 4 + 12
        assert Counter(run.info.status for run in whole) == {"FINISHED": 13, "FAILED": 4}
        for name, run in stopped.items():
            assert named(client, "continued")[name].info.run_id == run.info.run_id
        assert client.get_run(again.run_id).data.metrics["accuracy_nested"] == report.scores["accuracy"].mean

    def test_failed_then_continued(self, uri, client, events):
        first = track(uri, "failed", [*interrupted(events)[:-1], RunEnded(None, None, False, RunError("the disk is full"))])
        run = client.get_run(first.run_id)
        assert (run.info.status, run.data.tags["foldwise.error"]) == ("FAILED", "RunError: the disk is full")
        assert Counter(run.info.status for run in runs_of(client, "failed"))["RUNNING"] == 0
        again = track(uri, "failed", events)
        run = client.get_run(again.run_id)
        assert again.run_id == first.run_id
        assert (run.info.status, run.data.tags["foldwise.error"]) == ("FINISHED", "")

    def test_run_left_open_by_a_crash_is_completed(self, uri, client, events):
        trial = next(event for event in events if isinstance(event, TrialEnded))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "log", _only_trials_die(Store.log))
            crashed = track(uri, "crashed", [events[0], trial])
        assert crashed.untracked == 1
        name = f"{trial.study}/{trial.trial.number}"
        assert named(client, "crashed")[name].info.status == "RUNNING"
        track(uri, "crashed", [events[0], trial])
        assert named(client, "crashed")[name].info.status in {"FINISHED", "FAILED"}
        assert named(client, "crashed")[name].data.params
        assert len(runs_of(client, "crashed")) == 3

    def test_deleted_experiment_is_restored(self, uri, client, events):
        client.delete_experiment(client.create_experiment("deleted"))
        assert track(uri, "deleted", [events[0], events[-1]]).untracked == 0

    def test_nests_below_the_callers_run(self, uri, client, events):
        caller = client.create_run(client.create_experiment("nested")).info.run_id
        tracker = track(uri, "nested", [events[0], events[-1]], parent_run_id=caller)
        assert client.get_run(tracker.run_id).data.tags["mlflow.parentRunId"] == caller


def _only_trials_die(log):
    def die(self, known, entry):
        if entry.name.count("/"):
            raise RuntimeError("the power went")
        log(self, known, entry)

    return die


@pytest.fixture(scope="module")
def limited(uri, client, events):
    params = {f"p{number}": number for number in range(150)} | {"long": "x" * 7000, "odd (name)@1": SVC(C=3)}
    scores = {"f1@k": FoldScores((0.5, math.nan)), "many": FoldScores(tuple(np.linspace(0, 1, 1200)))}
    trial = Trial(0, params, TrialState.PRUNED, scores, math.nan, time.time(), 1e6)
    tracker = track(uri, "limits", [events[0], TrialEnded("final", trial, Counts()), events[-1]])
    assert tracker.untracked == 0
    return named(client, "limits")["final/0"]


class TestLimits:
    def test_pruned_is_finished(self, limited):
        assert (limited.info.status, limited.data.tags["foldwise.state"]) == ("FINISHED", "PRUNED")

    def test_has_not_ended_in_the_future(self, limited):
        assert limited.info.end_time <= time.time() * 1000

    def test_more_than_a_batch(self, limited, client):
        assert len(limited.data.params) == 152
        assert len(client.get_metric_history(limited.info.run_id, "fold_many")) == 1200

    def test_long_values_are_cut_visibly(self, limited):
        assert len(limited.data.params["long"]) == 6000
        assert limited.data.params["long"].endswith(" ... (cut from 7000 characters)")

    def test_names(self, limited):
        assert limited.data.params[as_name("odd (name)@1")] == "SVC(C=3)"
        assert limited.data.metrics["fold_f1_k"] == 0.5

    def test_what_is_not_finite_is_left_out(self, limited, client):
        assert "inner_f1_k" not in limited.data.metrics
        assert [point.step for point in client.get_metric_history(limited.info.run_id, "fold_f1_k")] == [0]


class TestTrouble:
    def test_dead_server_neither_raises_nor_holds_up(self, events):
        tracker = MlflowTracker("http://ann:secret@127.0.0.1:9", "x")
        told = time.monotonic()
        for event in events:
            tracker(event)
        assert time.monotonic() - told < 10
        assert tracker.wait_for_run_id(30) is None
        tracker.close(30)
        assert time.monotonic() - told < 25
        assert (tracker.run_id, tracker.address) == (None, None)
        assert tracker.untracked == 1 + 4 + 12 + 8  # the job, its studies, their trials; files, data and model
        assert "127.0.0.1" in tracker.problem
        assert "secret" not in tracker.problem

    def test_close_is_bounded(self, uri, events):
        with pytest.MonkeyPatch.context() as patch:
            held = threading.Event()
            patch.setattr(Store, "find", lambda self, key: held.wait())
            tracker = MlflowTracker(uri, "held")
            for event in events[:3]:
                tracker(event)
            started = time.monotonic()
            tracker.close(0.2)
            assert time.monotonic() - started < 60
            assert tracker.untracked >= 1
            assert "0.2 s" in tracker.problem
            held.set()

    def test_outage_is_made_up_for(self, uri, client, events):
        calls = Counter()
        create = MlflowClient.create_run

        def failing(self, *args, **kwargs):
            calls["create"] += 1
            if 4 <= calls["create"] <= 6:
                raise ConnectionError("gone")
            return create(self, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MlflowClient, "create_run", failing)
            tracker = track(uri, "outage", events)
        assert tracker.untracked == 0
        assert len(runs_of(client, "outage")) == 17

    def test_lost_answer_makes_no_second_run(self, uri, client, events):
        create, calls = MlflowClient.create_run, Counter()

        def deaf(self, *args, **kwargs):
            made = create(self, *args, **kwargs)
            calls["create"] += 1
            if calls["create"] % 3 == 0:
                raise ConnectionError("no answer")
            return made

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MlflowClient, "create_run", deaf)
            tracker = track(uri, "deaf", events)
        assert tracker.untracked == 0
        assert len(runs_of(client, "deaf")) == 17
        assert all(run.data.tags["foldwise.key"] for run in runs_of(client, "deaf"))

    def test_nothing_told_nothing_done(self, tmp_path):
        tracker = MlflowTracker(f"sqlite:///{tmp_path}/never.db", "x")
        assert tracker.wait_for_run_id(1) is None
        tracker.close()
        assert list(tmp_path.iterdir()) == []


def test_server_address(uri):
    class Client:
        tracking_uri = "https://ann:secret@mlflow.example:5000/"

    store = Store(uri, "x")
    store._connection = (Client(), "7")
    known = type("StoredRun", (), {"run_id": "abc"})()
    assert store.address(known) == "https://mlflow.example:5000/#/experiments/7/runs/abc"


_SCRIPT = """
import random, sys
import numpy as np
import foldwise
assert "mlflow" not in sys.modules
from foldwise.data import Dataset
from foldwise.events import RunEnded, RunStarted
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.listeners.tracking import MlflowTracker
from sklearn.datasets import load_iris
from sklearn.svm import SVC
assert "mlflow" not in sys.modules
settings = Settings.of({"search": "grid", "random_state": 0})
plan = Plan.of(make_problem(Dataset(*load_iris(return_X_y=True)), SVC(), {"C": [1]}, settings))
before = random.getstate(), np.random.get_state()[1].tolist()
tracker = MlflowTracker("sqlite:///kept/new.db", "an experiment")
tracker(RunStarted(plan, 1e9))
tracker(RunEnded(None, None, False, None))
tracker.close()
assert tracker.untracked == 0, tracker.problem
assert tracker.address == f"sqlite:///kept/new.db; after foldwise ui at http://127.0.0.1:5000/#/experiments/1/runs/{tracker.run_id}", tracker.address
assert before == (random.getstate(), np.random.get_state()[1].tolist())
"""


def test_new_database_is_quiet_draws_nothing_and_litters_nowhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["mlruns", "new.db"]
    assert [path.name for path in (tmp_path / "kept" / "mlruns").iterdir()] == ["an-experiment"]
