"""A driver that is killed at any moment loses nothing that was finished: must show 1 of the ledger's issue.

To be completed where the command line knows ``--ledger``: until then the module skips itself.
"""

import subprocess
import sys

import pytest
import yaml
from kill_and_resume import run_killed

from foldwise.job import Job

N_BIASES = 49  # 49 params on 3 + 3 train sets, and the final model
N_FITS = 6 * N_BIASES + 1
IN_FLIGHT = 8 * 5
"""Fits that may be with workers at a kill: four chunks for two cores (more on larger machines), of half a second each."""


@pytest.fixture(scope="module", autouse=True)
def _needs_the_ledger():
    done = subprocess.run([sys.executable, "-m", "foldwise.cli", "run", "--help"], capture_output=True, text=True, check=True)
    if "--ledger" not in done.stdout:
        pytest.skip("foldwise run has no --ledger yet")


def job(folder, counter):
    return {
        "data": {"loader": "sklearn.datasets:load_iris"},
        "estimator": {"use": "foldwise.testing:FaultyEstimator", "fault": "sleep", "seconds": 0.1, "counter": str(counter)},
        "space": {"bias": [i / 1000 for i in range(N_BIASES)]},
        "search": {"method": "grid"}, "folds": {"outer": 3}, "executor": "ray", "tracking": False, "seed": 0,
    }  # fmt: skip


def what_was_found(report):
    times = {"seconds", "n_fits", "n_fits_shared", "n_retries"}  # what was found again was not run again
    found = {name: value for name, value in report.items() if name not in times}
    return {**found, "outer": [{name: value for name, value in one.items() if name != "seconds"} for one in report["outer"]]}


@pytest.mark.parametrize("n_kills", [2, pytest.param(20, marks=pytest.mark.slow)], ids=["few", "many"])
def test_a_driver_killed_at_random_moments_ends_with_the_same_report(tmp_path, n_kills):
    counter, path = tmp_path / "counter", tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job(tmp_path, counter)))
    outcome = run_killed(path, f"sqlite:///{tmp_path / 'ledger.db'}", n_kills, counter=counter, longest=2.0)
    n_begun = counter.stat().st_size
    expected = Job.parse({**job(tmp_path, counter), "name": "job", "executor": "serial"}).run()
    assert what_was_found(outcome.report) == what_was_found(expected.to_dict())
    # Each kill costs what was with workers then; the final model is fitted once more by the last run only.
    assert N_FITS <= n_begun <= N_FITS + outcome.n_kills * IN_FLIGHT + 1
    assert outcome.n_kills >= min(n_kills, 2)
