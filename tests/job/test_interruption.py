"""The first signal ends a run in good order, the second at once."""

import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from foldwise.executors import SerialExecutor
from foldwise.job.interruption import Interruption
from foldwise.loop.run import Run
from foldwise.report import Report
from foldwise.testing import small_plan

JOB = {
    "data": {"loader": "sklearn.datasets:load_iris"}, "estimator": "foldwise.testing:FaultyEstimator",
    "search": {"method": "grid"}, "executor": "serial", "tracking": False, "seed": 0, "folds": {"outer": 3},
}  # fmt: skip


def test_a_signal_is_answered_when_the_run_asks_and_handlers_are_given_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    said = []
    with Interruption(said.append, patience=300) as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        deadline = time.monotonic() + 10
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert said == ["interrupted: ending in good order; once more ends at once"]


def test_before_anything_runs_the_first_signal_ends_it():
    with pytest.raises(KeyboardInterrupt), Interruption(print):
        signal.raise_signal(signal.SIGINT)


def interrupt_and_sleep():
    signal.raise_signal(signal.SIGINT)
    time.sleep(60)


def test_a_run_that_does_not_ask_in_time_is_interrupted():
    with Interruption(lambda text: None, patience=0.2) as stop:
        stop()
        with pytest.raises(KeyboardInterrupt):
            interrupt_and_sleep()


def test_a_run_that_is_to_stop_keeps_what_is_finished_and_says_so():
    events = []
    asked = iter([False] * 5 + [True] * 100)
    run = Run(small_plan(outer_cv=4), SerialExecutor(), listeners=[events.append], stop=lambda: next(asked))
    report = Report(run.execute())
    assert report.partial
    assert report.ended == "interrupted"
    assert events[-1].interrupted
    assert events[-1].error is None
    assert not run.step()


def start(folder, space, **options):
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump({**JOB, "space": space, **options}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "foldwise.cli", "run", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=folder, env=environment,
    )  # fmt: skip


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_ends_with_the_partial_report_and_says_how_to_go_on(tmp_path, number):
    counter = tmp_path / "counter"
    process = start(tmp_path, {"fault": ["sleep"], "seconds": [0.05], "counter": [str(counter)], "bias": list(range(200))})
    wait_for(counter)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "PARTIAL: 0 of 3 outer folds are complete" in out
    assert "interrupted" in out
    assert "the same command goes on from here" in err
    assert "Traceback" not in err


def test_a_second_signal_ends_even_code_that_hears_of_none(tmp_path):
    counter = tmp_path / "counter"
    process = start(tmp_path, {"fault": ["wait"], "counter": [str(counter)]})
    wait_for(counter)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
