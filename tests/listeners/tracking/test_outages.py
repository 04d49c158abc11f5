import http.server
import json
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow_server import MlflowServer
from sklearn.datasets import load_iris
from sklearn.model_selection import ShuffleSplit
from sklearn.svm import SVC
from typer.testing import CliRunner

import foldwise as fw
from foldwise.cli.main import app
from foldwise.data import Dataset
from foldwise.errors import InputError, TrackingError
from foldwise.events import Counts, RunEnded, RunStarted, StudyEnded, TrialEnded
from foldwise.executors import SerialExecutor
from foldwise.listeners.tracking import UNTRACKED, MlflowTracker, sync_all
from foldwise.listeners.tracking.spool import Spool, find_spools
from foldwise.loop.run import Run
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.testing import FaultyEstimator
from foldwise.trial import FoldScores, Trial, TrialState

# MLflow's own tables; raised on a thread, where pytest would make an error of it
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

JOB_TEXT = "name: iris-svm\ntracking: {uri: 'http://ann:secret@127.0.0.1:9'}\n"
STUDIES, N_TRIALS = ["outer-0", "outer-1", "outer-2", "final"], 3
N_RUNS = 1 + len(STUDIES) * (1 + N_TRIALS)


def make_plan(name="iris-svm", C=(-1.0, 1.0, 10.0)):
    data = Dataset(*load_iris(return_X_y=True), name="iris")
    settings = Settings.of({"search": "grid", "outer_cv": 3, "random_state": 0, "name": name})
    return Plan.of(make_problem(data, SVC(), {"C": list(C)}, settings))


def events_of(plan):
    heard = []
    Run(plan, SerialExecutor(), listeners=[heard.append]).execute()
    return [event for event in heard if isinstance(event, RunStarted | TrialEnded | StudyEnded | RunEnded)]


@pytest.fixture(scope="module")
def events():
    return events_of(make_plan())


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("foldwise.listeners.tracking.projection.PAUSE", 0.05)
    monkeypatch.setattr("foldwise.listeners.tracking.store.PAUSE", 0.05)
    monkeypatch.setattr("foldwise.listeners.tracking.store._FIRST_WAIT", 0.01)
    monkeypatch.setattr("foldwise.listeners.tracking.mlflow._PATIENCE_WITH_THE_DEAD", 0.3)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """An empty database of MLflow's; making one takes a second."""
    file = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(tmp_path, template):
    file = tmp_path / "mlflow.db"
    with sqlite3.connect(template) as source, sqlite3.connect(file) as target:
        source.backup(target)
    source.close()
    target.close()
    return f"sqlite:///{file}"


def track(uri, events, timeout=20, **options):
    tracker = MlflowTracker(uri, "x", **options)
    for event in events:
        tracker(event)
    tracker.close(timeout)
    return tracker


def sync(uri=None, say=lambda line: None, default="sqlite:///other.db"):
    return sync_all(UNTRACKED.absolute(), uri, default, say)


def waiting():
    return find_spools(UNTRACKED)


def tree(uri):
    """What MLflow holds, by name: parent, status, tags, params, metrics; and how often each key stands there."""
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("x").experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    told = {
        run.info.run_name: (
            names.get(run.data.tags.get("mlflow.parentRunId")),
            run.info.status,
            run.info.start_time,
            {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")},
            run.data.params,
            run.data.metrics,
        )
        for run in runs
    }
    return told, Counter(run.data.tags["foldwise.key"] for run in runs)


def job_run(uri):
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("x").experiment_id], "attributes.run_name = 'iris-svm'")
    return client, client.get_run(runs[0].info.run_id)


class Away:
    """MLflow's client without a server behind it, from some call on."""

    def __init__(self, patch, after=0):
        self.calls = 0
        for name in ("create_run", "log_batch", "set_terminated", "get_experiment", "get_experiment_by_name", "search_runs"):
            patch.setattr(MlflowClient, name, self._failing(getattr(MlflowClient, name), after))
        for name in ("log_artifact", "log_inputs", "create_logged_model", "get_run", "list_artifacts", "update_run"):
            patch.setattr(MlflowClient, name, self._failing(getattr(MlflowClient, name), after))

    def _failing(self, call, after):
        def fail(client, *args, **kwargs):
            self.calls += 1
            if self.calls > after:
                raise ConnectionError("nobody at http://ann:secret@127.0.0.1:9")
            return call(client, *args, **kwargs)

        return fail


@pytest.fixture(scope="module")
def undisturbed(events, template, tmp_path_factory):
    uri = f"sqlite:///{tmp_path_factory.mktemp('undisturbed')}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("folder"))
        assert track(uri, events, 60, job_text=JOB_TEXT).missing is None
    return tree(uri)


def assert_whole(uri, undisturbed):
    told, keys = tree(uri)
    assert set(keys.values()) == {1}
    assert told == undisturbed[0]
    client, job = job_run(uri)
    names = {file.path for file in client.list_artifacts(job.info.run_id)}
    assert names == {"archive.json", "job.yaml", "outer.parquet", "plan.txt", "report.json", "report.txt", "trials.parquet"}
    assert len(job.inputs.dataset_inputs) == len(job.outputs.model_outputs) == 1
    assert waiting() == []


@pytest.mark.parametrize("after", [0, 1, 9, 20, 47, 60])
def test_what_an_outage_kept_away_is_written_by_sync(events, uri, undisturbed, after):
    with pytest.MonkeyPatch.context() as patch:
        Away(patch, after)
        tracker = track(uri, events, job_text=JOB_TEXT)
    assert tracker.untracked > 0
    assert "nobody at" in tracker.missing
    assert "foldwise sync" in tracker.missing
    assert "secret" not in tracker.missing
    said = []
    assert sync(say=said.append) == 0
    assert_whole(uri, undisturbed)
    [line] = said
    assert line.startswith("iris-svm: ")
    assert line.endswith(f" runs and files tracked in {uri}")
    assert sync(say=said.append) == 0
    assert said[-1] == "nothing waits to be tracked"


def test_report_learns_its_run(events, uri):
    with pytest.MonkeyPatch.context() as patch:
        Away(patch)
        track(uri, events)
    sync()
    client, job = job_run(uri)
    file = client.download_artifacts(job.info.run_id, "report.json")
    assert json.loads(Path(file).read_text())["mlflow_run_id"] == job.info.run_id


def test_sync_may_be_interrupted_by_another_outage(events, uri, undisturbed):
    with pytest.MonkeyPatch.context() as patch:
        Away(patch)
        track(uri, events, job_text=JOB_TEXT)
    for after in (0, 3, 8, 30, 33):
        said = []
        with pytest.MonkeyPatch.context() as patch:
            Away(patch, after)
            assert sync(say=said.append) > 0
        assert "are left: ConnectionError: nobody at" in said[0]
        assert len(waiting()) == 1
    assert sync() == 0
    assert_whole(uri, undisturbed)


@pytest.mark.parametrize("after", [0, 12, 13, 14])  # 12 to 14: a trial is made, filled, ended
def test_an_outage_that_ends_is_made_up_for_at_once(events, uri, undisturbed, after):
    """While it lasts nothing is tried but whether it is over, and the trials wait."""
    with pytest.MonkeyPatch.context() as patch:
        away = Away(patch, after)
        tracker = MlflowTracker(uri, "x", job_text=JOB_TEXT)
        for event in events[:-1]:
            tracker(event)
        deadline = time.monotonic() + 20
        while not tracker._projection.why_away and time.monotonic() < deadline:
            time.sleep(0.01)
        calls = away.calls
        time.sleep(0.5)
        assert away.calls - calls < 15
    while tracker.n_waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(tree(uri)[0]) > 10  # before the run has ended
    tracker(events[-1])
    tracker.close()
    assert tracker.missing is None
    assert_whole(uri, undisturbed)


def test_the_next_run_writes_what_waits_for_its_store(events, uri):
    with pytest.MonkeyPatch.context() as patch:
        Away(patch)
        track(uri, events)
    other = events_of(make_plan("another", C=(1.0, 2.0)))
    assert len(waiting()) == 1
    track("sqlite:///elsewhere.db", other, 60)
    assert len(waiting()) == 1
    assert track(uri, other, 60).missing is None
    assert waiting() == []
    told, keys = tree(uri)
    assert {"iris-svm", "another"} <= told.keys()
    assert set(keys.values()) == {1}
    assert len(keys) == N_RUNS + 1 + 4 * 3


def test_the_same_job_again_writes_what_waits(events, uri, undisturbed):
    with pytest.MonkeyPatch.context() as patch:
        Away(patch, after=25)
        first = track(uri, events, job_text=JOB_TEXT)
    assert first.untracked
    assert track(uri, events, 60, job_text=JOB_TEXT).missing is None
    assert_whole(uri, undisturbed)


def test_an_older_half_takes_nothing_back(events, uri, undisturbed):
    """What an interrupted run left waits beside the run that went on and was tracked by another path."""
    half = [*events[:6], RunEnded(None, None, True, KeyboardInterrupt())]
    with pytest.MonkeyPatch.context() as patch:
        Away(patch)
        track(uri, half, job_text=JOB_TEXT)
    [kept] = waiting()
    aside = kept.rename("aside")
    assert track(uri, events, 60, job_text=JOB_TEXT).missing is None
    aside.rename(kept)
    assert sync() == 0
    assert_whole(uri, undisturbed)


def test_a_driver_that_was_killed_is_made_up_for_by_running_again(events, uri, undisturbed):
    killed = MlflowTracker(uri, "x", job_text=JOB_TEXT)
    for event in events[:8]:
        killed(event)
    deadline = time.monotonic() + 20
    while killed.n_waiting > 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    killed._projection.stop()  # nobody closes it
    killed._thread.join(0.5)
    assert waiting() == []
    assert track(uri, events, 60, job_text=JOB_TEXT).missing is None
    assert_whole(uri, undisturbed)


def test_a_database_that_is_locked_holds_nothing_up(events, uri, undisturbed):
    lock = sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    started = time.monotonic()
    tracker = track(uri, events, 0.5, job_text=JOB_TEXT)
    assert time.monotonic() - started < 30
    assert tracker.untracked == N_RUNS + 9
    lock.execute("COMMIT")
    lock.close()
    tracker._thread.join(30)
    assert sync() == 0
    assert_whole(uri, undisturbed)


class Stub(http.server.BaseHTTPRequestHandler):
    status, is_slow = 500, False
    over = threading.Event()

    def do_GET(self):
        if self.is_slow:
            self.over.wait(120)
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"no")

    do_POST = do_PATCH = do_PUT = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def stub():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    Stub.over.set()
    server.shutdown()
    server.server_close()
    Stub.over.clear()


@pytest.mark.parametrize(("status", "is_slow", "said"), [(500, False, "500"), (403, False, "403"), (200, True, "0.5 s")])
def test_a_server_that_refuses_or_is_slow_holds_nothing_up(events, stub, monkeypatch, status, is_slow, said):
    monkeypatch.setattr(Stub, "status", status)
    monkeypatch.setattr(Stub, "is_slow", is_slow)
    started = time.monotonic()
    tracker = MlflowTracker(f"http://ann:secret@127.0.0.1:{stub.server_port}", "x", job_text=JOB_TEXT)
    for event in events:
        tracker(event)
    assert time.monotonic() - started < 10
    while not (is_slow or tracker._projection.why_away):
        assert time.monotonic() - started < 60
        time.sleep(0.01)
    closing = time.monotonic()
    tracker.close(0.5)
    assert time.monotonic() - closing < 20
    assert tracker.untracked == N_RUNS + 9
    assert said in tracker.missing
    assert "secret" not in tracker.missing
    [folder] = waiting()
    for file in folder.rglob("*"):
        assert not file.is_file() or b"secret" not in file.read_bytes(), file
    assert [path.name for path in folder.rglob("*.pkl")] == []


class TestSecrets:
    def test_job_file_is_tracked_without_passwords(self, events, uri):
        track(uri, [events[0], events[-1]], 60, job_text=JOB_TEXT)
        client, job = job_run(uri)
        file = client.download_artifacts(job.info.run_id, "job.yaml")
        assert Path(file).read_text() == JOB_TEXT.replace("ann:secret@", "")

    def test_params_and_errors_are_tracked_without_passwords(self, events, uri):
        address = "postgresql://ann:secret@db/x"
        end = RunEnded(None, None, False, ValueError(f"cannot reach {address}"))
        trial = Trial(0, {"source": address}, TrialState.COMPLETE, {"accuracy": FoldScores((0.5,))}, 0.5, 1e9, 1.0)
        track(uri, [events[0], TrialEnded("final", trial, Counts()), end], 60)
        told = json.dumps(tree(uri)[0])
        assert "secret" not in told
        assert "postgresql://db/x" in told


class TestSpool:
    @pytest.fixture
    def kept(self, events, uri):
        with pytest.MonkeyPatch.context() as patch:
            Away(patch)
            track(uri, events)
        return waiting()[0]

    def test_a_newer_one_is_refused(self, kept):
        about = json.loads((kept / "about.json").read_text())
        (kept / "about.json").write_text(json.dumps(about | {"version": 2}))
        with pytest.raises(TrackingError, match=r"expected version 1 .*got 2; update foldwise"):
            sync()

    def test_a_broken_one_is_named(self, kept):
        (kept / "about.json").write_text("{")
        with pytest.raises(TrackingError, match=kept.name):
            Spool(kept)

    def test_of_another_store_is_not_touched(self, kept, uri):
        with pytest.raises(InputError, match=r"--tracking: expected one of sqlite.*mlflow.db, got 'sqlite:///nowhere.db'"):
            sync("sqlite:///nowhere.db")
        assert waiting() == [kept]

    def test_one_that_cannot_be_kept_is_told(self, events, uri, tmp_path):
        (tmp_path / ".foldwise").write_text("a file, where a folder should be")
        with pytest.MonkeyPatch.context() as patch:
            Away(patch)
            tracker = track(uri, events)
        assert "not all of it could be kept for foldwise sync: NotADirectoryError: " in tracker.missing

    def test_from_the_command_line(self, kept, uri, undisturbed):
        with pytest.MonkeyPatch.context() as patch:
            Away(patch)
            done = CliRunner().invoke(app, ["sync"])
        assert (done.exit_code, "are left: ConnectionError" in done.output) == (1, True)
        done = CliRunner().invoke(app, ["sync", "--tracking", uri])
        assert (done.exit_code, "iris-svm: " in done.output) == (0, True)
        assert {key for key, count in tree(uri)[1].items() if count > 1} == set()


def test_the_report_says_what_is_not_tracked(tmp_path):
    search = fw.NestedSearchCV(
        SVC(), {"C": [1.0, 2.0]}, search="grid", outer_cv=3, executor="serial", tracking="http://ann:secret@127.0.0.1:9"
    )
    search.fit(*load_iris(return_X_y=True))
    assert "Not tracked: " in str(search.report())
    assert "foldwise sync, or the next run that is tracked there, completes it" in str(search.report())
    assert "secret" not in str(search.report())


def sleeping_run(uri, n_trials, seconds, at=None):
    """Tell of trials as they would come, and do something in between."""
    plan = make_plan()
    tracker = MlflowTracker(uri, "x")
    tracker(RunStarted(plan, time.time()))
    trials = []
    for number in range(n_trials):
        time.sleep(seconds)
        trials.append(Trial(number, {"C": float(number)}, TrialState.COMPLETE, {"accuracy": FoldScores((0.5,))}, 0.5, 1e9, 1.0))
        tracker(TrialEnded("final", trials[-1], Counts()))
        for due, act in list((at or {}).items()):
            if number >= due:
                del at[due]
                act()
    tracker(StudyEnded("final", trials[0], tuple(trials), None))
    tracker(RunEnded(None, None, False, None))
    tracker.close(600)
    return tracker


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr("foldwise.listeners.tracking.mlflow._PATIENCE_WITH_THE_DEAD", 300)
    server = MlflowServer(tmp_path)
    yield server.start()
    server.kill()


def test_a_server_killed_in_mid_run_gets_every_trial_once(server):
    tracker = sleeping_run(server.uri, 120, 0.02, {40: server.kill, 70: server.start})
    assert tracker.missing is None
    told, keys = tree(server.uri)
    assert set(keys.values()) == {1}
    assert {name for name in told if "/" in name} == {f"final/{number}" for number in range(120)}
    assert {run[1] for run in told.values()} == {"FINISHED"}
    assert all(len(run[5]) == 4 for name, run in told.items() if "/" in name)


def sleeping_search(uri, name, n_trials):
    """Two trials at a time that sleep 100 ms; returns how long it took, all of tracking included."""
    rows = np.arange(40)
    search = fw.NestedSearchCV(
        FaultyEstimator("sleep", seconds=0.1), {"bias": fw.Float(0, 1)}, search="random", n_trials=n_trials // 2, n_jobs=2,
        outer_cv=[(rows[:30], rows[30:])], inner_cv=ShuffleSplit(1, random_state=0), random_state=0, tracking=uri, experiment=name,
    )  # fmt: skip
    clock = time.perf_counter()
    search.fit(rows.reshape(-1, 1), rows % 2)
    seconds = time.perf_counter() - clock
    assert search.report().mlflow_missing is None
    return seconds


@pytest.mark.slow
def test_twenty_seconds_without_a_server_cost_no_time_and_no_trial(server):
    """`mlflow server` is killed for 20 s in mid-run and started again (issue 4, "Must show", 4)."""
    n_trials = 1700
    sleeping_search(server.uri, "warm", 8)
    whole = sleeping_search(server.uri, "undisturbed", n_trials)

    def restart():
        time.sleep(10)
        server.kill()
        time.sleep(20)
        server.start()

    disturber = threading.Thread(target=restart)
    disturber.start()
    disturbed = sleeping_search(server.uri, "disturbed", n_trials)
    disturber.join()
    client = MlflowClient(server.uri)
    keys = Counter()
    token = None
    while True:
        page = client.search_runs([client.get_experiment_by_name("disturbed").experiment_id], page_token=token)
        keys.update(run.data.tags["foldwise.key"] for run in page)
        assert {run.info.status for run in page} == {"FINISHED"}
        token = page.token
        if not token:
            break
    assert len(keys) == 1 + 2 + n_trials
    assert set(keys.values()) == {1}
    print(f"undisturbed {whole:.2f} s, disturbed {disturbed:.2f} s: {disturbed / whole:.3f} x")
    assert disturbed < 1.05 * whole
