"""A driver that is killed at any moment loses nothing that was finished."""

import os

import pytest
import yaml
from kill_and_resume import run_killed

from foldwise.job.job import Job

N_BIASES = 49  # 49 params on 3 + 3 train sets, and the final model
N_FITS = 6 * N_BIASES + 1
SECONDS = 0.1
BEGUN = 2 * 5 * (os.cpu_count() or 1)
"""Fits that may have begun and not be kept at a kill: per core a chunk of half a second that runs, and one on its way back."""


def job(counter, seconds):
    return {
        "data": {"loader": "sklearn.datasets:load_iris"},
        "estimator": {"use": "foldwise.testing:FaultyEstimator", "fault": "sleep", "seconds": seconds, "counter": str(counter)},
        "space": {"bias": [i / 1000 for i in range(N_BIASES)]},
        "search": {"method": "grid"}, "folds": {"outer": 3}, "executor": "ray", "tracking": False, "seed": 0,
    }  # fmt: skip


def what_was_found(report):
    times = {"key", "seconds", "n_fits", "n_fits_shared", "n_fits_found", "n_retries"}  # what was found was not run again
    found = {name: value for name, value in report.items() if name not in times}
    return {**found, "outer": [{name: value for name, value in one.items() if name != "seconds"} for one in report["outer"]]}


@pytest.mark.parametrize(("n_kills", "longest"), [(2, 4.0), pytest.param(20, 1.0, marks=pytest.mark.slow)], ids=["few", "many"])
def test_a_driver_killed_at_random_moments_ends_with_the_same_report(tmp_path, n_kills, longest):
    counter, path = tmp_path / "counter", tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job(counter, SECONDS)))
    outcome = run_killed(path, f"sqlite:///{tmp_path / 'ledger.db'}", n_kills, counter=counter, longest=longest)
    n_begun = counter.stat().st_size
    expected = Job.parse({**job(counter, 0.0), "name": "job", "executor": "serial"}).run()
    assert what_was_found(outcome.report) == what_was_found(expected.to_dict())
    assert outcome.n_kills == n_kills
    print(f"{n_kills} kills: {n_begun} fits begun for {N_FITS}, {outcome.report['n_fits_found']} found by the last run")
    assert N_FITS <= n_begun <= N_FITS + n_kills * BEGUN
