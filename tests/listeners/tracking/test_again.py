"""A job that is run again: what MLflow holds is what the last report said, as if there had been no other run."""

import json
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from foldwise.data import Dataset
from foldwise.events import RunEnded, RunStarted, StudyEnded, TrialEnded
from foldwise.executors import SerialExecutor
from foldwise.listeners.tracking import UNTRACKED, MlflowTracker, store
from foldwise.listeners.tracking.entry import COUNTS
from foldwise.listeners.tracking.spool import find_spools
from foldwise.listeners.tracking.sync_spool import sync
from foldwise.loop.run import Run
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.report import Report

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


class Ailing(DecisionTreeClassifier):
    """A tree that cannot be fitted to some depths while there is trouble, which is no part of what it is."""

    def fit(self, X, y):
        if str(self.max_depth) in os.environ.get("AILING", ""):
            raise MemoryError(f"no memory for depth {self.max_depth}")
        return super().fit(X, y)


def events_of(depths):
    """All that a run of one job tells, in which trees of some depths cannot be fitted."""
    rng = np.random.default_rng(0)
    X, y = load_iris(return_X_y=True)
    X = X + rng.normal(0, 1.5, X.shape)
    settings = Settings.of({"search": "grid", "outer_cv": 3, "random_state": 0, "name": "trees"})
    problem = make_problem(Dataset(X, y, name="iris"), Ailing(random_state=0), {"max_depth": [1, 2]}, settings)
    heard = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AILING", depths)
        Run(Plan.of(problem), SerialExecutor(), listeners=[heard.append]).execute()
    return tuple(heard)


@pytest.fixture(scope="module")
def runs():
    told = {"ailing": events_of("2"), "well": events_of("")}
    assert told["ailing"][0].plan.problem.key == told["well"][0].plan.problem.key
    assert Report(told["ailing"][-1].archive).best_params != Report(told["well"][-1].archive).best_params
    return told


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow').as_posix()}/mlflow.db"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def client(uri):
    return MlflowClient(tracking_uri=uri)


def track(uri, experiment, events):
    tracker = MlflowTracker(uri, experiment, job_text="name: trees\n")
    for event in events:
        tracker(event)
    tracker.close(60)
    return tracker


def interrupted(events, n_trials=3):
    """What a run tells that is interrupted after so many trials, the final study's first."""
    ended = [event for event in events if isinstance(event, TrialEnded)]
    ended.sort(key=lambda event: event.study != "final")
    final = next(event for event in events if isinstance(event, StudyEnded) and event.study == "final")
    return [events[0], *ended[:2], final, *ended[2:n_trials], RunEnded(None, None, True, KeyboardInterrupt())]


def tree(client, experiment):
    """All that an experiment's runs hold but ids and times: by key."""
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in found}
    held = {}
    for run in found:
        tags = {n: v for n, v in run.data.tags.items() if v and n.startswith("foldwise.") and n != "foldwise.replaces"}
        metrics = {n: v for n, v in run.data.metrics.items() if n != "seconds"}
        history = {
            n: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, n)] for n in metrics if n not in COUNTS
        }
        parent = names.get(run.data.tags.get("mlflow.parentRunId"), run.data.tags.get("mlflow.parentRunId"))
        assert run.info.run_name not in held, "it stands there twice"
        files = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        outputs = len(run.outputs.model_outputs) if run.outputs else 0
        note = run.data.tags.get("mlflow.note.content", "") if run.info.run_name != "trees" else ""
        held[run.info.run_name] = (run.info.status, run.data.params, metrics, history, tags, parent, files, outputs, note)
    return held


def report_in(client, run_id, tmp_path):
    return json.loads(Path(client.download_artifacts(run_id, "report.json", str(tmp_path))).read_text())


@pytest.fixture(scope="module")
def fresh(uri, client, runs, tmp_path_factory):
    """What MLflow holds of each run where there was no other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("fresh"))
        for name, events in runs.items():
            assert track(uri, f"fresh-{name}", events).missing is None
    return {name: tree(client, f"fresh-{name}") for name in runs}


@pytest.mark.parametrize(("before", "after"), [("ailing", "well"), ("well", "ailing")])
def test_a_job_that_ends_otherwise_is_written_anew(uri, client, runs, fresh, before, after, tmp_path):
    experiment = f"{before}-{after}"
    first = track(uri, experiment, runs[before])
    client.set_tag(first.run_id, "reviewed by", "ann")
    old_models = client.search_logged_models([client.get_experiment_by_name(experiment).experiment_id])
    second = track(uri, experiment, runs[after])
    assert second.missing is None
    assert tree(client, experiment) == fresh[after]
    run = client.get_run(second.run_id)
    assert (run.data.tags["foldwise.replaces"], run.data.tags["reviewed by"]) == (first.run_id, "ann")
    assert client.get_run(first.run_id).info.lifecycle_stage == "deleted"
    assert str(Report(runs[after][-1].archive)) in run.data.tags["mlflow.note.content"]
    assert report_in(client, second.run_id, tmp_path)["scores"] == Report(runs[after][-1].archive).to_dict()["scores"]
    models = client.search_logged_models([client.get_experiment_by_name(experiment).experiment_id])
    assert len(models) == len(old_models) == 1
    assert models[0].model_id != old_models[0].model_id
    assert second.address.endswith(second.run_id)


def test_an_interrupted_job_that_goes_on_otherwise_is_written_anew(uri, client, runs, fresh):
    track(uri, "went-on", interrupted(runs["ailing"]))
    assert track(uri, "went-on", runs["well"]).missing is None
    assert tree(client, "went-on") == fresh["well"]


def test_a_complete_job_that_is_interrupted_as_it_goes_otherwise_shows_no_old_report(uri, client, runs, fresh):
    first = track(uri, "stopped", runs["ailing"])
    second = track(uri, "stopped", interrupted(runs["well"]))
    held = tree(client, "stopped")
    assert held["trees"][0] == "KILLED"
    assert second.run_id != first.run_id
    assert not any("nested" in name for name in held["trees"][2])
    assert sum(name.count("/") for name in held) == 3
    assert track(uri, "stopped", runs["well"]).missing is None
    assert tree(client, "stopped") == fresh["well"]


def test_a_driver_that_dies_as_it_writes_anew_leaves_no_old_report(uri, client, runs, fresh):
    track(uri, "died", runs["ailing"])
    tracker = MlflowTracker(uri, "died")
    for event in [one for one in runs["well"] if isinstance(one, RunStarted | TrialEnded)][:4]:
        tracker(event)
    tracker._waiting.put(None)
    tracker._thread.join(60)
    assert tree(client, "died")["trees"][0] == "RUNNING"
    assert track(uri, "died", runs["well"]).missing is None
    assert tree(client, "died") == fresh["well"]


def test_what_a_died_rewriting_did_not_delete_is_deleted_by_the_next_run(uri, client, runs, fresh):
    track(uri, "halfway", runs["ailing"])
    with pytest.MonkeyPatch.context() as patch:
        deleted = Counter()
        delete = store.Store.delete

        def dies(self, known):
            deleted["n"] += 1
            if deleted["n"] > 2:
                raise RuntimeError("the power went")
            delete(self, known)

        patch.setattr(store.Store, "delete", dies)
        assert track(uri, "halfway", runs["well"]).missing is not None
    assert track(uri, "halfway", runs["well"]).missing is None
    assert tree(client, "halfway") == fresh["well"]


@pytest.mark.parametrize("first", ["ailing", "well"])
def test_what_waited_on_disk_is_written_anew(uri, client, runs, fresh, first, monkeypatch):
    experiment = f"waited-{first}"
    track(uri, experiment, runs[first])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "connect", _away)
        patch.setattr("foldwise.listeners.tracking.mlflow._PATIENCE_WITH_THE_DEAD", 0.2)
        assert "foldwise sync" in track(uri, experiment, runs["well"]).missing
    assert [one.problem for one in sync(UNTRACKED.absolute(), uri)] == [None]
    assert tree(client, experiment) == fresh["well"]
    assert find_spools(UNTRACKED.absolute()) == []


def test_a_store_that_goes_away_before_the_first_difference_is_told_all(uri, client, runs, fresh):
    track(uri, "went", runs["ailing"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.Store, "create", _away)
        patch.setattr("foldwise.listeners.tracking.mlflow._PATIENCE_WITH_THE_DEAD", 0.2)
        assert track(uri, "went", runs["well"]).missing is not None
    assert [one.problem for one in sync(UNTRACKED.absolute(), uri)] == [None]
    assert tree(client, "went") == fresh["well"]


def test_what_waited_since_before_a_later_run_changes_nothing(uri, client, runs, fresh):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "connect", _away)
        patch.setattr("foldwise.listeners.tracking.mlflow._PATIENCE_WITH_THE_DEAD", 0.2)
        assert track(uri, "later", runs["ailing"]).missing is not None
    assert len(find_spools(UNTRACKED.absolute())) == 1
    assert track(uri, "later", runs["well"]).missing is None  # it syncs at its end
    assert tree(client, "later") == fresh["well"]
    assert find_spools(UNTRACKED.absolute()) == []


def _away(*_, **__):
    raise ConnectionError("the store is away")


def test_the_description_is_the_report_and_a_studys_says_what_it_chose(uri, client, runs, fresh):
    track(uri, "described", runs["well"])
    found = client.search_runs([client.get_experiment_by_name("described").experiment_id])
    notes = {run.info.run_name: run.data.tags.get("mlflow.note.content", "") for run in found}
    report = Report(runs["well"][-1].archive)
    assert notes["trees"].startswith(report.summary()[:40])
    assert str(report) in notes["trees"]
    outer = report.outer[1]
    assert f"max_depth = {outer.params['max_depth']}" in notes["outer-1"]
    assert f"on the {outer.n_test} rows of outer fold 1" in notes["outer-1"]
    assert not math.isnan(outer.inner_best)
