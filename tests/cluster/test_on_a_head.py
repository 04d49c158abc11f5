"""Jobs on the head of a real Ray cluster: submitted, joined, followed, stopped, resumed, and what goes wrong there."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from command_line import call
from ray_head import RayHead

import foldwise as fw
from foldwise.cluster.submission import SubmissionState
from foldwise.job.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT

JOB = {
    "data": {"loader": "sklearn.datasets:load_iris"},
    "estimator": "sklearn.svm:SVC",
    "space": {"C": [1, 10, 100]},
    "search": {"method": "grid"},
    "folds": {"outer": 3},
    "tracking": False,
    "seed": 0,
}
SLEEPS = {
    "estimator": "foldwise.testing:FaultyEstimator",
    "space": {"fault": ["sleep"], "seconds": [0.2, 0.21, 0.22]},
    "folds": {"outer": 5},
}
GATED = """
import time
from pathlib import Path

from foldwise.testing import FaultyEstimator


class Gated(FaultyEstimator):
    def fit(self, X, y):
        with Path(self.counter).open("a") as file:
            file.write(".")
        while Path(self.counter).stat().st_size > 36 and Path(f"{self.counter}-hold").exists():
            time.sleep(0.05)
        return super().fit(X, y)

    def _count(self):
        return 0
"""
"""After 36 of 46 fits no more of them end, as long as there is a file to hold them."""
MINE = (
    "from sklearn.svm import SVC\n\n\nclass Mine(SVC):\n    def fit(self, X, y):\n        if self.C == 10:\n"
    "            raise ValueError('in my own words')\n        return super().fit(X, y)\n"
)


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    one = RayHead(tmp_path_factory.mktemp("head"))
    yield one
    one.close()


@pytest.fixture(autouse=True)
def client(head, monkeypatch, tmp_path):
    """Be a user who is in a folder of their own, with address and token in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", head.address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", head.token)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)


def write(name, **changes):
    path = Path(f"{name}.yaml")
    path.write_text(yaml.safe_dump({**JOB, **changes}))
    return str(path)


def result_of(report):
    """Return what of a report must be the same wherever the job ran."""
    kept = {name: report[name] for name in ("job", "key", "seed", "scores", "best_params", "partial", "n_fits")}
    return {**kept, "outer": [{key: one[key] for key in one if key != "seconds"} for one in report["outer"]]}


def fits_begun(handle):
    return any("chose" in line for line in handle.logs())


def write_gated(name, folder):
    """Write a job that stands still when most is done, until the file that is returned is unlinked."""
    (folder / "gated.py").write_text(GATED)
    hold = folder / f"{name}-hold"
    hold.touch()
    space = {**SLEEPS["space"], "counter": [str(folder / name)]}
    return write(name, **{**SLEEPS, "estimator": "gated:Gated", "space": space, "code": "gated.py"}), hold


def wait_until(happened, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_a_job_with_code_of_its_own_ends_with_the_report_of_a_run_here(tmp_path, monkeypatch, capsys):
    (tmp_path / "own_models").mkdir()
    (tmp_path / "own_models" / "__init__.py").write_text("")
    (tmp_path / "own_models" / "svm.py").write_text(MINE)
    job = write("own", estimator="own_models.svm:Mine", code="own_models")
    code, out, err = call(monkeypatch, capsys, "submit", job, "--wait", "--json")
    assert code == DONE, err
    assert "in my own words" in err
    there = json.loads(out)
    here = fw.Job.load(job, {"executor": "serial"}).run().to_dict()
    assert result_of(there) == result_of(here)

    code, out, err = call(monkeypatch, capsys, "submit", job, "--wait")  # the second time it is joined
    assert code == DONE
    assert "has succeeded before" in err
    assert "quote the second" in out
    _, out, _ = call(monkeypatch, capsys, "jobs", "--json")
    (seen,) = [one for one in json.loads(out) if one["job"] == "own"]
    assert (seen["attempt"], seen["state"]) == (1, "SUCCEEDED")
    _, out, _ = call(monkeypatch, capsys, "logs", "own")
    assert out.count("ValueError: in my own words") >= 1
    assert "svm.py" in out[out.index("Traceback") :]  # where it was raised
    assert "quote the second" in out
    assert "==== foldwise" not in out
    _, out, _ = call(monkeypatch, capsys, "report", "own", "--address", fw.cluster.connect().address, "--json")
    assert json.loads(out) == there
    report = fw.cluster.submitted("own").report()
    report.archive.save(tmp_path / "kept")
    again = fw.Report(fw.Archive.load(tmp_path / "kept"))
    assert (str(again), again.to_json()) == (str(report), report.to_json())
    assert str(report) in "\n".join(fw.cluster.submitted("own").logs())
    code, out, _ = call(monkeypatch, capsys, "status", "own")
    assert (code, "SUCCEEDED" in out, "chose trial" in out) == (0, True, True)


def test_a_stopped_job_keeps_what_is_finished_and_goes_on_when_it_is_submitted_again(tmp_path, monkeypatch, capsys):
    job, hold = write_gated("sleeps", tmp_path)
    first = fw.cluster.submit(job)
    wait_until(lambda: fits_begun(first))
    code, out, err = call(monkeypatch, capsys, "stop", "sleeps")
    assert code == 0, err
    assert "STOPPED; what is finished is kept" in out
    assert first.exit_code() == INTERRUPTED
    assert first.report().to_dict()["partial"]
    n_before = first.report().to_dict()["n_fits"]
    hold.unlink()
    code, out, err = call(monkeypatch, capsys, "submit", job, "--wait", "--json")
    assert code == DONE, err
    report = json.loads(out)
    assert n_before > 0
    assert report["n_fits_found"] >= n_before
    assert report["n_fits"] + report["n_fits_found"] == 46
    assert fw.cluster.submitted("sleeps").status().attempt == 2


def test_what_is_wrong_there_is_said_there_with_the_exit_code_of_a_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "needs_more.py").write_text(
        "import importlib\nimport os\n\nfrom sklearn.svm import SVC\n\nif 'RAY_JOB_CONFIG_JSON_ENV_VAR' in os.environ:\n"
        "    importlib.import_module('not_there')\n\n\nclass Mine(SVC):\n    pass\n"
    )
    code_there = fw.cluster.submit(write("code", estimator="needs_more:Mine", code="needs_more.py"))
    fails = fw.cluster.submit(write("fails", estimator="foldwise.testing:FaultyEstimator", space={"fault": ["raise"]}))
    code, out, err = call(
        monkeypatch, capsys, "submit", write("data", data={"path": "/nowhere/x.csv", "target": "y"}), "--wait"
    )
    assert (code, out) == (WRONG_INPUT, ""), err
    *_, last = err.strip().splitlines()
    assert last.startswith("error: foldwise-job.yaml: data.path: expected a file, got '/nowhere/x.csv'")
    assert last.endswith("the cluster's head must see it by this path")

    assert code_there.exit_code() == WRONG_INPUT
    *_, last = filter(None, code_there.logs())
    assert "estimator: expected a module that can be imported, got 'needs_more'" in last
    assert "No module named 'not_there'" in last
    assert last.endswith("on the cluster it must be installed, or be sent: add it to code")

    assert fails.exit_code() == FAILED
    assert fails.status().state is SubmissionState.FAILED
    log = "\n".join(fails.logs())
    assert "Traceback (most recent call last)" in log
    assert log.rstrip().splitlines()[-1].startswith("error: none of the 1 trials of study")


def test_what_would_never_run_is_refused_before_it_is_sent(monkeypatch, capsys):
    n_before = len(fw.cluster.connect().submissions())
    code, _, err = call(monkeypatch, capsys, "submit", write("large", resources={"cpu": 1000}))
    assert (code, "large.yaml: resources.cpu: expected what one node can give, got cpu 1000" in err) == (WRONG_INPUT, True)
    code, _, err = call(monkeypatch, capsys, "submit", write("typo"), "--set", "space.D=[1]")
    assert (code, "typo.yaml: space.D: expected a param of SVC" in err) == (WRONG_INPUT, True)
    assert len(fw.cluster.connect().submissions()) == n_before


def own_address():
    """Return this machine's address on its network; None if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        found = probe.getsockname()[0]
    return None if found.startswith("127.") else found


def test_without_the_token_with_a_wrong_one_and_from_elsewhere_it_is_refused(head, monkeypatch, capsys):
    job = write("refused")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    code, out, err = call(monkeypatch, capsys, "submit", job)
    assert (code, out) == (FAILED, "")
    assert f"error: expected the token of the cluster at {head.address}, got none; looked into RAY_AUTH_TOKEN" in err
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    code, out, err = call(monkeypatch, capsys, "submit", job)
    assert (code, out) == (FAILED, "")
    assert f"error: expected the token of the cluster at {head.address}, got another one from RAY_AUTH_TOKEN" in err
    if (elsewhere := own_address()) is not None:
        address = f"http://{elsewhere}:{head.address.rpartition(':')[2]}"
        code, out, err = call(monkeypatch, capsys, "submit", job, "--address", address)
        assert (code, out) == (FAILED, "")
        assert f"error: expected Ray's Jobs API at {address}, got no answer" in err


def test_the_address_that_is_given_wins_over_the_environments(head, monkeypatch):
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert fw.cluster.connect(head.address).nodes()


@pytest.mark.slow
def test_many_who_submit_at_once_share_one_attempt():
    job = write("shared")
    fw.cluster.connect()  # Ray is imported once
    together = threading.Barrier(4)

    def submit():
        together.wait()
        return fw.cluster.submit(job)

    with ThreadPoolExecutor(4) as pool:
        handles = [one.result() for one in [pool.submit(submit) for _ in range(4)]]
    assert len({handle.id for handle in handles}) == 1
    assert sum(handle.is_new for handle in handles) == 1
    assert handles[0].wait(120).state is SubmissionState.SUCCEEDED


@pytest.mark.slow
def test_ctrl_c_while_waiting_leaves_the_job_running(tmp_path, monkeypatch, capsys):
    import _thread

    job, hold = write_gated("left", tmp_path)
    handle = fw.cluster.submit(job)
    wait_until(lambda: fits_begun(handle))
    threading.Timer(3.0, _thread.interrupt_main).start()
    code, out, err = call(monkeypatch, capsys, "submit", job, "--wait")
    assert (code, out) == (INTERRUPTED, "")
    assert f"{handle.id} goes on without you: foldwise logs -f {handle.id}" in err
    hold.unlink()
    assert handle.wait(120).state is SubmissionState.SUCCEEDED
