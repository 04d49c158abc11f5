"""A job's archive comes back from MLflow, and with it the report to the byte: from a database, from a server, after an outage."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from sklearn.datasets import load_iris
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import InputError, TrackingError
from foldwise.events import RunEnded
from foldwise.executors import SerialExecutor
from foldwise.listeners.tracking import UNTRACKED, MlflowTracker, find_report, sync_all
from foldwise.loop.run import Run
from foldwise.testing import small_plan

X, Y = load_iris(return_X_y=True)
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow').as_posix()}/mlflow.db"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def searched(uri, name):
    search = fw.NestedSearchCV(
        SVC(), {"C": [1, 10], "class_weight": [None, {0: 1, 1: 2.5}]}, search="grid", outer_cv=3, refit=False, executor="serial",
        random_state=0, tracking=uri, experiment=name,
    )  # fmt: skip
    return search.fit(X, Y)


@pytest.fixture(scope="module")
def events():
    heard = []
    Run(small_plan(name="trees"), SerialExecutor(), listeners=[heard.append]).execute()
    return heard


def track(uri, events):
    tracker = MlflowTracker(uri, "trees")
    for event in events:
        tracker(event)
    tracker.close(60)
    return tracker


def assert_same(one, other):
    assert (str(one), one.to_json()) == (str(other), other.to_json())


def test_the_report_comes_back_from_a_database_to_the_byte(uri):
    search = searched(uri, "svm")
    for name in ("svm", search.run_id_):
        assert_same(fw.Report(fw.load_archive(uri, name)), search.report())
    assert find_report(uri, "svm") == str(search.report())
    assert find_report(uri, "svm", "report.json") == search.report().to_json()
    files = MlflowClient(uri).download_artifacts(search.run_id_, "report.txt")
    assert Path(files).read_text() == f"{search.report()}\n"


def test_the_report_comes_back_in_a_process_without_the_data(uri):
    search = searched(uri, "elsewhere")
    code = "import sys, foldwise as fw\nsys.stdout.write(str(fw.Report(fw.load_archive(*sys.argv[1:]))))"
    done = subprocess.run([sys.executable, "-c", code, uri, search.run_id_], capture_output=True, text=True, check=True)
    assert done.stdout == str(search.report())


def test_the_report_comes_back_from_a_server_to_the_byte(tmp_path):
    server = MlflowServer(tmp_path)
    try:
        server.start()
        search = searched(server.uri, "svm")
        assert search.report().mlflow_missing is None
        assert_same(fw.Report(fw.load_archive(server.uri, "svm")), search.report())
    finally:
        server.kill()


def test_an_archive_that_waited_on_disk_learns_its_run(events, tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("create_run", "get_experiment_by_name", "search_runs"):
            patch.setattr(MlflowClient, name, lambda *_, **__: (_ for _ in ()).throw(ConnectionError("away")))
        patch.setattr("foldwise.listeners.tracking.mlflow._PATIENCE_WITH_THE_DEAD", 0.3)
        track(uri, events)
    assert sync_all(UNTRACKED.absolute(), None, uri, print) == 0
    report = fw.Report(fw.load_archive(uri, "trees"))
    assert str(report) == str(fw.Report(events[-1].archive))
    assert MlflowClient(uri).get_run(report.mlflow_run_id).info.run_name == "trees"


def test_a_job_that_runs_again_has_no_archive_until_it_has_ended(uri, events):
    broken_off = [*events[:3], RunEnded(None, None, True, KeyboardInterrupt())]
    track(uri, events)
    run_id = fw.Report(fw.load_archive(uri, "trees")).mlflow_run_id
    client = MlflowClient(uri)
    client.set_tag(run_id, "foldwise.state", "PARTIAL")  # as if its earlier run had not come to its end
    assert track(uri, broken_off).run_id == run_id
    with pytest.raises(TrackingError, match="a job that has not ended, or that an earlier foldwise ran"):
        fw.load_archive(uri, "trees")
    assert find_report(uri, "trees") == "trees: it runs again; its report stands here once it has ended."
    assert track(uri, events).run_id == run_id
    assert str(fw.Report(fw.load_archive(uri, run_id))).startswith("trees (seed 0)")


def test_what_an_earlier_version_tracked_is_shown_as_it_stands(uri, tmp_path):
    client = MlflowClient(uri)
    run_id = client.create_run(client.create_experiment("earlier")).info.run_id
    for name, text in (("report.txt", "the report\n"), ("report.json", '{"job": "earlier"}')):
        (tmp_path / name).write_text(text)
        client.log_artifact(run_id, tmp_path / name)
    assert find_report(uri, run_id) == "the report"
    assert json.loads(find_report(uri, run_id, "report.json")) == {"job": "earlier"}
    with pytest.raises(TrackingError, match="expected an archive of"):
        fw.load_archive(uri, run_id)


def test_an_archive_of_another_version_is_refused(uri, tmp_path):
    client = MlflowClient(uri)
    run_id = client.create_run(client.create_experiment("later")).info.run_id
    (tmp_path / "archive.json").write_text('{"version": 2}')
    client.log_artifact(run_id, tmp_path / "archive.json")
    with pytest.raises(InputError, match="expected version 1"):
        fw.load_archive(uri, run_id)


def test_files_of_an_archive_that_is_not_whole_are_written_anew(uri, events):
    whole = track(uri, events).run_id
    client = MlflowClient(uri)
    with pytest.MonkeyPatch.context() as patch:
        names = lambda store, known: {"trials.parquet", "report.txt", "report.json"}  # noqa: E731
        patch.setattr("foldwise.listeners.tracking.store.Store.artifact_names", names)
        told = [*events[:-1], RunEnded(events[-1].archive, events[-1].model, False, None)]
        assert track(uri, told).run_id == whole
    assert str(fw.Report(fw.load_archive(uri, whole))).startswith("trees (seed 0)")
    assert {file.path for file in client.list_artifacts(whole)} >= {"archive.json", "trials.parquet", "outer.parquet"}
