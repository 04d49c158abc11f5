"""The command line: exit codes, one-line errors, reports for people and machines."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from free_ports import free_ports

import foldwise as fw
import foldwise.cli.main

JOB = {
    "name": "tiny",
    "data": {"loader": "sklearn.datasets:load_iris"},
    "estimator": "sklearn.svm:SVC",
    "space": {"C": [1, 10]},
    "search": {"method": "grid"},
    "folds": {"outer": 3},
    "executor": "serial",
    "scoring": ["accuracy", "f1_macro"],
    "tracking": False,
    "seed": 0,
}


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(JOB))
    return path


def call(monkeypatch, capsys, *arguments):
    """Call the command line in this process; returns (exit code, standard output, standard error)."""
    monkeypatch.setattr(sys, "argv", ["foldwise", *map(str, arguments)])
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back what `run` redirects
    with pytest.raises(SystemExit) as end:
        foldwise.cli.main.main()
    captured = capsys.readouterr()
    return end.value.code or 0, captured.out, captured.err


def test_run_prints_the_report_and_ends_with_0(job, monkeypatch, capsys):
    code, out, err = call(monkeypatch, capsys, "run", job)
    assert code == 0
    assert "tiny (seed 0)" in out
    assert "quote the second" in out
    assert "13 fits run" in out
    assert "totalling 13 fits" in err


def test_json_is_one_object_with_the_promised_keys(job, monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "run", job, "--json", "--set", "search={method: optuna, trials: 3, batch: 2}",
                        "--set", "space={C: {float: [0.1, 10], log: true}}")  # fmt: skip
    assert code == 0
    report = json.loads(out)
    assert {"job", "seconds", "seed", "n_fits", "n_fits_plain", "best_params", "mlflow_run_id", "scores", "outer"} <= set(
        report
    )
    assert set(report["scores"]["accuracy"]) >= {"mean", "std", "interval", "outer", "flat_best", "optimism"}
    assert [set(one) >= {"fold", "params", "scores", "inner_best"} for one in report["outer"]] == [True] * 3


def test_what_an_estimator_prints_does_not_spoil_the_json(job, monkeypatch, capsys):
    (job.parent / "chatty_model.py").write_text(
        "from sklearn.svm import SVC\nclass Chatty(SVC):\n    def fit(self, X, y):\n        print('hello')\n"
        "        return super().fit(X, y)\n"
    )
    code, out, err = call(monkeypatch, capsys, "run", job, "--json", "--set", "estimator=chatty_model:Chatty")
    assert code == 0
    assert json.loads(out)["job"] == "tiny"
    assert "hello" in err


def test_plan_and_validate_run_nothing(job, monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "plan", job)
    assert code == 0
    assert "13 to run" in out
    code, out, _ = call(monkeypatch, capsys, "plan", job, "--json")
    assert json.loads(out)["n_fits"] == 13
    code, out, _ = call(monkeypatch, capsys, "validate", job)
    assert (code, out.strip()) == (0, f"{job}: valid, 13 fits")
    assert [path.name for path in job.parent.iterdir() if path.name != "__pycache__"] == ["tiny.yaml"]


def test_spaces_are_listed_and_printed(monkeypatch, capsys):
    code, out, _ = call(monkeypatch, capsys, "spaces")
    assert code == 0
    shipped = Path(__file__).parents[2] / "search_spaces"
    assert [line.split()[0] for line in out.splitlines()] == sorted(path.stem for path in shipped.glob("*.yaml"))
    code, out, _ = call(monkeypatch, capsys, "spaces", "svm_rbf")
    assert "svc__C" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "gone.yaml"], "gone.yaml: expected a readable file"),
        (["run", "tiny.yaml", "--set", "search.trials=0"], "tiny.yaml: search.trials: expected an integer >= 1, got 0"),
        (["run", "tiny.yaml", "--set", "serch=1"], "tiny.yaml: serch: expected a known key, got 'serch'; did you mean search?"),
        (
            ["run", "tiny.yaml", "--set", "estimator=sklearn.svm:SVD"],
            "tiny.yaml: estimator: expected a name in sklearn.svm, got 'SVD'",
        ),
        (["run", "tiny.yaml", "--set", "seed"], "--set: expected key=value"),
        (["validate", "tiny.yaml", "--set", "folds.outer=2"], "tiny.yaml: folds.inner: expected at least 3 outer folds"),
        (["plan", "tiny.yaml", "--set", "scoring=acuracy"], "tiny.yaml: scoring: expected a metric"),
        (["spaces", "svm_rfb"], "expected a space's path or name, got 'svm_rfb'; did you mean svm_rbf?"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(job, monkeypatch, capsys, arguments, words):
    code, out, err = call(monkeypatch, capsys, *arguments)
    assert code == 2
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_a_wrong_option_is_exit_code_2(job, monkeypatch, capsys):
    code, _, err = call(monkeypatch, capsys, "run", job, "--jason")
    assert code == 2
    assert "--jason" in err


def test_a_job_that_fails_is_exit_code_1(job, monkeypatch, capsys):
    code, _, err = call(
        monkeypatch,
        capsys,
        "run",
        job,
        "--set",
        "estimator=foldwise.testing:FaultyEstimator",
        "--set",
        "space={fault: [raise]}",
    )
    assert code == 1
    assert "none of the 1 trials of study final has a score: 1 x ValueError: fault asked for" in err


def test_an_interrupted_run_says_what_is_complete_and_ends_with_130(job):
    settings = ["--set", "estimator=foldwise.testing:FaultyEstimator", "--set", "space={fault: [sleep], seconds: [0.3]}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "foldwise.cli", "run", str(job), "--set", "folds.outer=10", *settings],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=job.parent,
    )  # fmt: skip
    for line in process.stderr:
        if "outer-1 chose" in line:
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "PARTIAL" in out
    assert "interrupted" in err


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """Run a small job on Ray, tracked in a fresh MLflow store, as a user does: from the command line."""
    folder = tmp_path_factory.mktemp("tracked")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**JOB, "executor": "ray", "tracking": {"experiment": "small"}}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-m", "foldwise.cli", "run", "tiny.yaml", "--json"],
        capture_output=True, text=True, cwd=folder, env=environment, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


def test_a_tracked_run_leaves_job_studies_and_trials(tracked):
    from mlflow import MlflowClient

    folder, report, err = tracked
    assert "Traceback" not in err
    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    children = {}
    for run in runs:
        children.setdefault(run.data.tags.get("mlflow.parentRunId"), []).append(run)
    (job,) = children[None]
    assert job.info.run_id == report["mlflow_run_id"]
    studies = children[job.info.run_id]
    assert len(studies) == 4
    for study in studies:
        trials = children[study.info.run_id]
        assert len(trials) == 2
        for trial in trials:
            assert trial.info.status == "FINISHED"
            assert trial.data.params["C"] in {"1", "10"}
            assert 0 < trial.data.metrics["inner_accuracy"] <= 1
            assert trial.info.start_time <= trial.info.end_time
    ours = {"tiny.yaml", "mlruns", "mlartifacts", ".foldwise"}
    assert {path.name for path in folder.iterdir()} <= ours | {"mlflow.db", "mlflow.db-shm", "mlflow.db-wal"}  # it is open here


def test_a_report_is_found_by_job_name_and_run_id(tracked, monkeypatch, capsys):
    folder, report, _ = tracked
    monkeypatch.chdir(folder)
    for target in ("tiny.yaml", "tiny", report["mlflow_run_id"]):
        code, out, _ = call(monkeypatch, capsys, "report", target)
        assert code == 0
        assert "quote the second" in out
    code, out, _ = call(monkeypatch, capsys, "report", "tiny", "--json")
    assert json.loads(out)["scores"] == report["scores"]
    code, _, err = call(monkeypatch, capsys, "report", "nothing")
    assert code in {1, 2}
    assert "nothing" in err


def test_a_report_is_made_of_an_archives_folder(tracked, monkeypatch, capsys, tmp_path):
    folder, report, _ = tracked
    monkeypatch.chdir(folder)
    fw.load_archive("sqlite:///mlflow.db", "tiny").save(tmp_path / "kept")
    monkeypatch.chdir(tmp_path)
    code, out, _ = call(monkeypatch, capsys, "report", "kept", "--json")
    assert (code, json.loads(out)["scores"]) == (0, report["scores"])
    code, out, _ = call(monkeypatch, capsys, "report", str(tmp_path / "kept"))
    assert code == 0
    assert "quote the second" in out
    (tmp_path / "kept" / "archive.json").write_text('{"version": 7}')
    code, _, err = call(monkeypatch, capsys, "report", "kept")
    assert code == 2
    assert "expected version 1" in err


def listening_on(port):
    """Return the addresses at which any process of this machine listens on a port, as the kernel lists them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            local, state = line.split()[1], line.split()[3]
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add("127.0.0.1" if address == "0100007F" else address)
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux who listens")
def test_the_ui_serves_on_loopback_only_and_stops_with_its_command(tracked):
    import urllib.request

    folder, _, _ = tracked
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "foldwise.cli", "ui", "--port", str(port)], cwd=folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                    assert answer.status == 200
                assert listening_on(port) == {"127.0.0.1"}
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.5)
        else:
            pytest.fail("the UI did not answer")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    for _ in range(20):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.5)
    pytest.fail("the UI still answers")


def test_a_wheel_holds_the_spaces():
    from foldwise.space.space import shipped_spaces

    assert all(Path(path).is_file() for path in shipped_spaces().values())


def test_code_beside_the_job_and_code_elsewhere_is_found_by_workers_too(tmp_path):
    folder, elsewhere = tmp_path / "jobs", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "beside_for_workers.py").write_text("from sklearn.svm import SVC\n")
    (elsewhere / "coded_for_workers.py").write_text("from beside_for_workers import SVC\n\nclass Mine(SVC):\n    pass\n")
    job = folder / "tiny.yaml"
    job.write_text(yaml.safe_dump({**JOB, "executor": "ray", "estimator": "coded_for_workers:Mine", "code": "../elsewhere"}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    done = subprocess.run([sys.executable, "-m", "foldwise.cli", "run", "jobs/tiny.yaml", "--json"],
                          capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_fits_failed"] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 3}, "the same command goes on from here"),
        ({}, "the same command with --set seed=17 goes on from here"),
        ({"seed": 3, "ledger": False}, "no ledger, so it begins anew"),
    ],
)
def test_an_interrupted_job_says_how_it_goes_on(changes, words):
    from types import SimpleNamespace

    from foldwise.cli.main import _how_to_go_on
    from foldwise.job.job import Job

    job = Job.parse(
        {"data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "sklearn.svm:SVC", "space": {"C": [1]}, **changes}
    )
    assert words in _how_to_go_on(job, SimpleNamespace(seed=17))


ODD = {
    "a ledger's path": {"ledger": "a\0b"},
    "a ledger's URL": {"ledger": "sqlite:///a\0b"},
    "a ledger's name on a server": {"ledger": "postgresql://127.0.0.1/a\ud800b"},
    "a path longer than any": {"ledger": "x" * 300},
    "the data": {"data": {"path": "a\0b.csv", "target": "y"}},
    "a loader": {"data": {"loader": "a\0b:f"}},
    "the code": {"code": "a\0b"},
    "one of several": {"code": [{"path": "a\0b"}]},
    "long code": {"code": "x" * 300},
    "the space": {"space": "a\0b"},
    "a space's file": {"space": "a\0b.yaml"},
    "the tracking database": {"tracking": {"uri": "sqlite:///a\0b"}},
    "the tracking server": {"tracking": {"uri": "http://a\0b"}},
    "a name": {"name": "\x1b[2J"},
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD.keys())
def test_what_no_file_or_name_can_be_is_wrong_input(job, monkeypatch, capsys, changes):
    job.write_text(yaml.safe_dump({**JOB, **changes}))
    code, out, err = call(monkeypatch, capsys, "run", job)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert err.rstrip("\n").isprintable()


def test_paths_that_no_file_can_have_are_wrong_input_in_options(job, monkeypatch, capsys):
    for setting in ('data={path: "a\\0b", target: y}', 'data.path="a\\0b"', 'code="a\\0b"', 'ledger="a\\0b"'):
        code, _, err = call(monkeypatch, capsys, "run", job, "--set", setting)
        assert code == 2, setting
        assert err.rstrip("\n").isprintable()


def test_control_characters_of_names_and_files_reach_no_terminal(job, monkeypatch, capsys):
    for arguments in (
        ["report", "\x1b[2J"],
        ["ledger", "--ledger", "\x1b[2J"],
        ["spaces", "\x1b]0;x\x07"],
        ["run", "\x9b2J.yaml"],
        ["run", job, "\u202e"],
    ):
        code, out, err = call(monkeypatch, capsys, *arguments)
        assert code in {1, 2}
        assert all(character.isprintable() or character == "\n" for character in out + err)
