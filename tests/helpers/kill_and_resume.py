"""Run a job from the command line, kill -9 its whole process group at random moments, and start it again until it ends."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """What the last run printed, and how often it was killed before."""

    report: dict
    n_kills: int


def run_killed(job, ledger, n_kills, *, counter, longest, seed=0):
    """Run a job to its end through so many kills.

    Parameters
    ----------
    job : Path
        The job file; its estimator counts its fits in ``counter``, a byte each.
    ledger : str
        Database URL.
    n_kills : int
        Kills; fewer if a run ends before it is killed.
    counter : Path
        The file that grows.
    longest : float
        Most seconds between the first fit of a run and its kill.
    """
    moments, killed = random.Random(seed), 0
    while True:
        process = _start(job, ledger)
        if killed < n_kills and _kill_at(process, counter, moments.uniform(0.0, longest)):
            killed += 1
            continue
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        return Outcome(json.loads(out), killed)


def _start(job, ledger):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "foldwise.cli", "run", str(job), "--json", "--ledger", ledger],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=job.parent, env=environment, start_new_session=True,
    )  # fmt: skip


def _kill_at(process, counter, seconds):
    """Kill a run so many seconds after its first fit; False if it ended before."""
    before = counter.stat().st_size if counter.exists() else 0
    while process.poll() is None and (not counter.exists() or counter.stat().st_size == before):
        time.sleep(0.02)
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return True
