"""Resume is running again: what is finished is found, and the same questions are asked."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.svm import SVC

import foldwise as fw
from foldwise.errors import FitFailedError, LedgerError
from foldwise.events import FitEnded, RunEnded, TrialEnded
from foldwise.executors import SerialExecutor
from foldwise.ledger import MemoryLedger
from foldwise.ledger.schema import SCHEMA
from foldwise.ledger.sql import SqlLedger, SqlLedgerView
from foldwise.loop.run import Run
from foldwise.report import Report
from foldwise.testing import FaultyEstimator, ShuffledExecutor, small_plan

TREE_SPACE = {"max_depth": fw.Int(1, 30), "min_samples_leaf": fw.Int(1, 20)}
TIMES_AND_COUNTS = {"seconds", "n_fits", "n_fits_found", "n_fits_shared", "mlflow_run_id"}


def content(report):
    """Return a report's content: all but its times, and how often what ran where."""
    whole = {key: value for key, value in report.to_dict().items() if key not in TIMES_AND_COUNTS}
    whole["outer"] = [{key: value for key, value in one.items() if key != "seconds"} for one in whole["outer"]]
    return whole


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "ledger.db")


@pytest.fixture
def ledger(address):
    return SqlLedger(address)


def run(plan, ledger=None, executor=None, **more):
    return Report(Run(plan, executor or SerialExecutor(), ledger, **more).execute())


# --- one process ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", ["grid", "random", "optuna"])
def test_a_job_that_runs_again_finds_all_but_its_model(ledger, search):
    options = {"space": TREE_SPACE, "n_trials": 6} if search != "grid" else {}
    plan = small_plan(search=search, scoring=["accuracy", "neg_log_loss"], refit="accuracy", **options)
    alone, first, again = run(plan), run(plan, ledger), run(plan, ledger, ShuffledExecutor(2))
    assert content(alone) == content(first) == content(again)
    assert (first.n_fits, first.n_fits_found) == (alone.n_fits, 0)
    assert (again.n_fits, again.n_fits_found) == (1, alone.n_fits - 1)
    for report in (alone, first, again):
        assert report.n_fits + report.n_fits_found + report.n_fits_shared == report.n_fits_plain
    assert f"{alone.n_fits - 1} of {alone.n_fits} fits found in the ledger." in str(again)
    assert "found in the ledger" not in str(first)


def hundred_after_fifty(ledger, n_trials, batch):
    def plan(n):
        return small_plan(space=TREE_SPACE, search="optuna", n_trials=n, batch=batch)

    half, whole, alone = run(plan(n_trials // 2), ledger), run(plan(n_trials), ledger), run(plan(n_trials))
    assert content(whole) == content(alone)
    new_refits = 2 * len(whole.outer)  # of what the smaller search chose, where the larger one chose otherwise
    assert half.n_fits + whole.n_fits <= alone.n_fits + new_refits + 1
    assert whole.n_fits_found >= half.n_fits - new_refits - 1


def test_more_optuna_trials_cost_only_those_that_are_new(ledger):
    hundred_after_fifty(ledger, 12, 3)


@pytest.mark.slow
def test_100_optuna_trials_after_50_cost_50(ledger):
    hundred_after_fifty(ledger, 100, 10)


def test_two_jobs_that_share_fits_share_them(ledger):
    run(small_plan(space={"max_depth": [1, 2, 3]}, name="one"), ledger)
    report = run(small_plan(space={"max_depth": [2, 3, 4]}, name="other"), ledger)
    assert report.n_fits_found == 2 * 6
    assert content(report) == content(run(small_plan(space={"max_depth": [2, 3, 4]}, name="other")))


def test_another_scorer_runs_again_and_a_train_score_too(ledger):
    first = run(small_plan(), ledger)
    assert run(small_plan(scoring="accuracy"), ledger).n_fits == first.n_fits
    assert run(small_plan(return_train_score=True), ledger).n_fits == first.n_fits
    assert run(small_plan(return_train_score=True), ledger).n_fits == 1
    assert run(small_plan(), ledger).n_fits == 1


def test_failures_and_warnings_are_told_of_again(ledger):
    plan = small_plan(FaultyEstimator(), {"fault": [None, "raise", "nan"]})
    first, again = run(plan, ledger), run(plan, ledger)
    assert content(first) == content(again)
    assert first.n_fits_failed == again.n_fits_failed == 2 * 6
    assert again.n_fits == 1
    warns = small_plan(SVC(max_iter=1), {"C": [1.0]})
    assert run(warns, ledger).warned == run(warns, ledger).warned != ()


def test_metrics_that_a_callable_names_are_known_from_what_is_found(ledger):
    plan = small_plan(scoring=two_metrics, refit="b")
    first, again = run(plan, ledger), run(plan, ledger)
    assert list(first.scores) == list(again.scores) == ["b", "a"]
    assert again.n_fits == 1


def two_metrics(estimator, X, y):
    return {"b": float((estimator.predict(X) == y).mean()), "a": 0.5}


def test_events_of_what_is_found_tell_of_trials_and_not_of_fits(ledger):
    plan, events = small_plan(), []
    run(plan, ledger)
    run(plan, ledger, listeners=[events.append])
    assert sum(isinstance(event, FitEnded) for event in events) == 1
    assert sum(isinstance(event, TrialEnded) for event in events) == plan.n_trials * len(plan.studies)


def test_error_score_raise_keeps_what_went_well_and_tries_again(tmp_path):
    ledger, counter = SqlLedger(str(tmp_path / "ledger.db")), tmp_path / "counter"
    estimator = FaultyEstimator("raise", times=1, counter=str(counter))
    plan = small_plan(estimator, {"bias": [0.0, 0.1, 0.2]}, error_score="raise")
    with pytest.raises(FitFailedError, match="fault asked for, at fit 0"):
        run(plan, ledger)
    report = run(plan, ledger)
    assert not report.n_fits_failed
    assert run(plan, ledger).n_fits == 1


def test_error_score_raise_also_raises_what_is_found(ledger):
    faulty = {"fault": [None, "raise"]}
    run(small_plan(FaultyEstimator(), faulty), ledger)
    with pytest.raises(FitFailedError, match="fault asked for"):
        run(small_plan(FaultyEstimator(), faulty, error_score="raise"), ledger)


def test_forgotten_failures_run_again(ledger, tmp_path):
    counter = tmp_path / "counter"
    plan = small_plan(FaultyEstimator("raise", times=2, counter=str(counter)), {"bias": [0.0, 0.1, 0.2]})
    assert run(plan, ledger).n_fits_failed == 2
    assert run(plan, ledger).n_fits_failed == 2
    assert ledger.forget_failed(plan) == 2
    report = run(plan, ledger)
    assert (report.n_fits, report.n_fits_failed) == (2 + 1, 0)


def test_memory_can_be_shared_and_forget_failures_too(tmp_path):
    ledger = MemoryLedger()
    plan = small_plan(FaultyEstimator("raise", times=1, counter=str(tmp_path / "counter")), {"bias": [0.0, 0.1]})
    assert run(plan, ledger).n_fits_failed == 1
    assert run(plan, ledger).n_fits_failed == 1
    assert ledger.forget_failed(plan) == 1
    assert run(plan, ledger).n_fits_failed == 0


# --- order and failure of writing -------------------------------------------------------------------------------------


def test_no_study_is_told_of_what_is_not_yet_kept(tmp_path):
    path, plan, seen = tmp_path / "ledger.db", small_plan(), []
    SqlLedger(str(path)).open(plan).close()

    def look(event):
        if isinstance(event, FitEnded) and event.result.model is None:
            query = "SELECT count(*) FROM foldwise_fits WHERE key = ?"
            seen.append(reader.execute(query, [event.result.key]).fetchone()[0])

    with contextlib.closing(sqlite3.connect(path)) as reader:
        report = run(plan, SqlLedger(str(path)), listeners=[look])
    assert seen == [1] * (report.n_fits - 1)


def test_a_chunks_results_are_kept_in_one_transaction(tmp_path, monkeypatch):
    sizes = []
    put = SqlLedgerView.put
    monkeypatch.setattr(
        SqlLedgerView, "put", lambda self, finished: put(self, noted := list(finished)) or sizes.append(len(noted))
    )
    report = run(small_plan(space={"max_depth": list(range(1, 40))}), SqlLedger(str(tmp_path / "ledger.db")))
    assert sum(sizes) == report.n_fits
    assert max(sizes) > 5


@pytest.mark.parametrize("after", [0, 3])
def test_a_write_that_fails_stops_the_run_clearly_and_resume_works(ledger, monkeypatch, after):
    plan, events = small_plan(space={"max_depth": [1, 2, 3, 4]}), []
    executor = SerialExecutor()
    real, calls = SqlLedgerView.put, []

    def put(self, finished):
        calls.append(1)
        if len(calls) > after:
            raise LedgerError("ledger x could not be written: database or disk is full; the disk or a quota is full")
        real(self, finished)

    monkeypatch.setattr(SqlLedgerView, "put", put)
    with pytest.raises(LedgerError, match="disk is full"):
        run(plan, ledger, executor, listeners=[events.append])
    assert isinstance(events[-1], RunEnded)
    assert Report(events[-1].archive).partial
    assert not [event for event in events if isinstance(event, TrialEnded)] or after
    monkeypatch.setattr(SqlLedgerView, "put", real)
    again = run(plan, ledger, executor)
    assert again.n_fits_found >= after
    assert content(again) == content(run(plan))


# --- several processes, and the worst of days -------------------------------------------------------------------------


def test_two_runs_on_one_ledger_share_the_work(ledger):
    plan = small_plan(space=TREE_SPACE, search="optuna", n_trials=12, batch=4)
    runs = [Run(plan, SerialExecutor(), ledger) for _ in range(2)]
    while sum(one.step() for one in runs):  # each takes a step in turn
        pass
    alone, *both = run(plan), *(Report(one.archive()) for one in runs)
    assert [content(one) for one in both] == [content(alone)] * 2
    assert sum(one.n_fits for one in both) == alone.n_fits + 1  # the final model twice, and nothing else
    assert all(one.n_fits > 1 for one in both)
    assert all(one.n_fits + one.n_fits_found + one.n_fits_shared == one.n_fits_plain for one in both)


def test_a_run_does_not_wait_for_one_that_is_gone(ledger, monkeypatch):
    monkeypatch.setattr("foldwise.ledger.claims._LEASE", 0.5)
    plan = small_plan()
    gone, stays = Run(plan, ShuffledExecutor(0, n_slots=50), ledger), Run(plan, SerialExecutor(), ledger)
    gone.step()  # it has claimed all there is, and is never heard of again
    assert gone.counts.run < plan.n_fits // 2
    started = time.monotonic()
    report = Report(stays.execute())
    assert time.monotonic() - started < 120
    assert report.n_fits + report.n_fits_found == plan.n_fits
    gone.abort()


SEARCHES = """
import json, sys
from foldwise.ledger.sql import SqlLedger
from foldwise.executors import SerialExecutor
from foldwise.loop.run import Run
from foldwise.report import Report
from test_resume_plan import plan
address, counter, search, n_trials, seconds = sys.argv[1:]
report = Report(Run(plan(counter, search, int(n_trials), float(seconds)), SerialExecutor(), SqlLedger(address)).execute())
print(json.dumps(report.to_dict()))
"""
PLAN = """
import foldwise as fw
from foldwise.testing import FaultyEstimator, small_plan
def plan(counter, search, n_trials, seconds):
    estimator = FaultyEstimator("sleep", seconds=seconds, counter=str(counter))
    return small_plan(estimator, {"bias": fw.Float(0, 1)}, search, n_trials=n_trials, batch=4, outer_cv=4)
"""


@pytest.fixture
def search(tmp_path, monkeypatch):
    """Start a search in a process of its own, and make its plan here."""
    (tmp_path / "test_resume_plan.py").write_text(PLAN)
    monkeypatch.syspath_prepend(tmp_path)
    yield Search(tmp_path)
    sys.modules.pop("test_resume_plan", None)


class Search:
    def __init__(self, folder):
        self.folder, self.counter = folder, folder / "counter"

    def start(self, address, *options):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path])}
        command = [sys.executable, "-c", SEARCHES, address, self.counter, *options]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*map(str, command)], env=environment, text=True, **pipes)

    def here(self, ledger, *options):
        from test_resume_plan import plan

        return run(plan(self.counter, *options), ledger)

    @property
    def n_run(self):
        return self.counter.stat().st_size if self.counter.exists() else 0


def report_of(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return json.loads(out)


def check_two_at_once(search, address, *options):
    reports = [report_of(process) for process in [search.start(address, *options) for _ in range(2)]]
    n_run = search.n_run
    again, alone = search.here(SqlLedger(address), *options), search.here(None, *options)
    for report in reports:
        report["outer"] = [{key: value for key, value in one.items() if key != "seconds"} for one in report["outer"]]
        expected = json.loads(json.dumps(content(alone)))
        assert {key: value for key, value in report.items() if key not in TIMES_AND_COUNTS} == expected
    assert n_run == sum(one["n_fits"] for one in reports)
    assert alone.n_fits <= n_run <= alone.n_fits + 1 + alone.n_fits // 20  # the final model twice, and little else
    assert all(one["n_fits"] > 1 for one in reports)  # they shared the work
    assert again.n_fits == 1
    assert content(again) == content(alone)


def test_two_processes_that_run_one_job_at_once_share_the_work(search, tmp_path):
    check_two_at_once(search, str(tmp_path / "ledger.db"), "random", 12, 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "optuna"])
def test_two_processes_that_run_a_large_job_at_once_share_the_work(search, address, method):
    check_two_at_once(search, address, method, 60, 0.015)


def check_killed(search, address, n_kills, *options):
    draw, seconds = random.Random(0), options[-1]
    for _ in range(n_kills):
        until = search.n_run + draw.randrange(1, 10)
        process = search.start(address, *options)
        while process.poll() is None and search.n_run < until:
            time.sleep(0.005)
        time.sleep(draw.random() * seconds)
        process.kill()
        process.communicate()
    last, n_run = search.here(SqlLedger(address), *options), search.n_run
    alone = search.here(None, *options)
    assert content(last) == content(alone)
    in_hand = int(0.5 / seconds) + 1  # a chunk, which the serial executor runs as one
    assert n_run <= alone.n_fits + n_kills * in_hand


def test_a_killed_search_goes_on_where_it_was(search, tmp_path):
    check_killed(search, str(tmp_path / "ledger.db"), 1, "optuna", 8, 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "optuna"])
def test_a_search_that_is_killed_ten_times_goes_on_where_it_was(search, address, method):
    check_killed(search, address, 10, method, 30, 0.02)


# --- the faces --------------------------------------------------------------------------------------------------------


def test_python_takes_a_path_or_an_object(tmp_path):
    X, y = load_iris(return_X_y=True)
    memory = MemoryLedger()
    for ledger in (tmp_path / "ledger.db", f"sqlite:///{tmp_path}/ledger.db", memory, memory):
        search = fw.NestedSearchCV(SVC(), {"C": [1, 10]}, search="grid", executor="serial", ledger=ledger, random_state=0)
        search.fit(X, y)
    assert search.n_fits_ == 1
    again = fw.NestedSearchCV(
        SVC(), {"C": [1, 10]}, search="grid", executor="serial", ledger=tmp_path / "ledger.db", random_state=0
    )
    assert again.fit(X, y).n_fits_ == 1
    assert again.report().n_fits_found == 30


JOB = {
    "name": "tiny", "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.svm:SVC", "space": {"C": [1, 10]},
    "search": {"method": "grid"}, "folds": {"outer": 3}, "executor": "serial", "tracking": False, "seed": 0,
}  # fmt: skip


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Call the command line in a folder with a job file; returns (exit code, standard output, standard error)."""
    import foldwise.cli.main

    monkeypatch.chdir(tmp_path)

    def call(*arguments, **changes):
        (tmp_path / "jobs").mkdir(exist_ok=True)
        (tmp_path / "jobs" / "tiny.yaml").write_text(yaml.safe_dump({**JOB, **changes}))
        monkeypatch.setattr(sys, "argv", ["foldwise", *map(str, arguments)])
        with monkeypatch.context() as here:
            here.setattr(sys, "stdout", sys.stdout)  # put back what `run` redirects
            with pytest.raises(SystemExit) as end:
                foldwise.cli.main.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


def found_in(out):
    return json.loads(out)["n_fits_found"]


def test_the_command_line_keeps_a_ledger_in_the_working_folder(command, tmp_path):
    run = ("run", "jobs/tiny.yaml")
    assert found_in(command(*run, "--json")[1]) == 0
    assert (tmp_path / ".foldwise" / "ledger.db").exists()
    code, out, err = command(*run)
    assert code == 0
    assert "12 of 13 fits found in the ledger." in out
    assert "12 of 13 fits found in the ledger" in err
    assert found_in(command(*run, "--json", ledger=False)[1]) == 0
    assert found_in(command(*run, "--json", ledger=True)[1]) == 12
    assert found_in(command(*run, "--json", ledger="mine.db")[1]) == 0
    assert (tmp_path / "jobs" / "mine.db").exists()  # relative to the job file
    assert found_in(command(*run, "--json", "--ledger", "jobs/mine.db", ledger=False)[1]) == 12  # to the working folder
    assert found_in(command(*run, "--json", "--set", "ledger=jobs/mine.db")[1]) == 12
    assert found_in(command(*run, "--json", "--ledger", f"sqlite:///{tmp_path}/jobs/mine.db")[1]) == 12


def test_retry_forgets_failures_and_says_what_that_means(command, tmp_path):
    faulty = {"use": "foldwise.testing:FaultyEstimator", "fault": "raise", "times": 1, "counter": str(tmp_path / "counter")}
    changes = {"estimator": faulty, "space": {"bias": [0.0, 0.5]}}
    assert json.loads(command("run", "jobs/tiny.yaml", "--json", **changes)[1])["n_fits_failed"] == 1
    assert json.loads(command("run", "jobs/tiny.yaml", "--json", **changes)[1])["n_fits_failed"] == 1
    code, out, err = command("run", "jobs/tiny.yaml", "--json", "--retry", "failed", **changes)
    assert (code, json.loads(out)["n_fits_failed"]) == (0, 0)
    assert "1 failed fit of earlier runs is forgotten and run again" in err
    assert "may ask otherwise than before" in err
    assert command("run", "jobs/tiny.yaml", "--retry", "all")[::2] == (2, "error: --retry: expected failed, got 'all'\n")


def test_a_ledger_is_shown_and_pruned(command, tmp_path):
    assert command("ledger")[0] == 2
    assert "which does not exist" in command("ledger")[2]
    command("run", "jobs/tiny.yaml")
    code, out, _ = command("ledger")
    assert code == 0
    assert ".foldwise/ledger.db: 12 fits of 1 job" in out
    assert f"schema {SCHEMA}" in out
    shown = json.loads(command("ledger", "--json")[1])
    assert (shown["jobs"][0]["job"], shown["jobs"][0]["fits"], shown["jobs"][0]["failed"]) == ("tiny", 12, 0)
    assert "12 fits of 1 job" in command("ledger", "--ledger", str(tmp_path / ".foldwise" / "ledger.db"))[1]
    assert command("ledger", "prune")[0] == 2
    assert command("ledger", "prune", "--older-than", "30d")[1] == "0 fits pruned\n"
    assert command("ledger", "prune", "--older-than", "yesterday")[0] == 2
    assert command("ledger", "prune", "--job", "other", "--older-than", "0s")[1] == "0 fits pruned\n"
    assert command("ledger", "prune", "--job", "tiny")[1] == "12 fits pruned\n"
    assert found_in(command("run", "jobs/tiny.yaml", "--json")[1]) == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("mysql://me:hunter2@host/db", "jobs/tiny.yaml: ledger: expected a URL of SQLite or PostgreSQL"),
        (3, "jobs/tiny.yaml: ledger: expected text or true or false, got 3"),
        ("", "jobs/tiny.yaml: ledger: expected a database URL or a path"),
    ],
)
def test_a_wrong_ledger_is_one_line_and_exit_code_2(command, wrong, words):
    code, out, err = command("run", "jobs/tiny.yaml", ledger=wrong)
    assert (code, out) == (2, "")
    assert words in err
    assert "hunter2" not in err
    assert len(err.strip().splitlines()) == 1


def test_a_ledger_that_cannot_be_used_is_exit_code_1(command, tmp_path):
    (tmp_path / "bad.db").write_text("no database at all " * 100)
    code, out, err = command("run", "jobs/tiny.yaml", "--ledger", "bad.db")
    assert (code, out) == (1, "")
    assert "error: ledger " in err
    assert "it is damaged or no ledger; move it away" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.slow
def test_an_interrupted_job_goes_on_by_the_same_command(tmp_path):
    faulty = {"use": "foldwise.testing:FaultyEstimator", "fault": "sleep", "seconds": 0.1}
    (tmp_path / "tiny.yaml").write_text(
        yaml.safe_dump({**JOB, "estimator": faulty, "space": {"bias": [0.1 * i for i in range(10)]}})
    )
    command = [sys.executable, "-m", "foldwise.cli", "run", "tiny.yaml", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ledger = tmp_path / ".foldwise" / "ledger.db"
    while process.poll() is None and (not ledger.exists() or n_fits_in(ledger) < 3):
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    kept = n_fits_in(ledger)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert found_in(done.stdout) == kept >= 3


def n_fits_in(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM foldwise_fits").fetchone()[0]
    except sqlite3.OperationalError:  # it is only being made
        return 0
    finally:
        connection.close()
