"""The worst day: workers and nodes are lost in mid-run, and the report is that of an undisturbed one."""

import json

import pytest
from clusters import helped
from ray_processes import Killer

import foldwise as fw
from foldwise.errors import StudyFailedError
from foldwise.executors.ray_session import SESSION
from foldwise.loop.queue import _SECONDS_PER_CHUNK
from foldwise.loop.run import Run
from foldwise.report import Report
from foldwise.testing import FaultyEstimator, small_plan


def what_was_found(report):
    """Return all of a report that must not change, whatever happens to the machines."""
    found = report if isinstance(report, dict) else report.to_dict()
    found = {name: value for name, value in found.items() if name not in {"key", "seconds", "n_retries"}}
    outer = [{name: value for name, value in one.items() if name != "seconds"} for one in found["outer"]]
    return {**found, "outer": outer}


def biased(n_biases, seconds, executor, listeners=()):
    plan = small_plan(FaultyEstimator("sleep", seconds=seconds), {"bias": [i / 1000 for i in range(n_biases)]})
    return Report(Run(plan, executor, listeners=listeners).execute())


@pytest.mark.parametrize(
    ("n_biases", "seconds", "every", "most"),
    [(40, 0.05, 0.3, 2), pytest.param(300, 0.05, 3.0, None, marks=pytest.mark.slow)],
    ids=["small", "large"],
)
def test_a_random_worker_killed_now_and_then_changes_nothing(n_biases, seconds, every, most):
    expected = biased(n_biases, 0.0, fw.SerialExecutor())
    SESSION.ensure(None)
    killer = Killer(every, most)
    report = biased(n_biases, seconds, fw.RayExecutor(), [killer])
    assert len(killer.killed) >= 2
    assert what_was_found(report) == what_was_found(expected)
    assert report.n_fits_failed == 0
    most_in_a_chunk = _SECONDS_PER_CHUNK / seconds + 2
    assert report.n_retries <= len(killer.killed) * most_in_a_chunk, "each loss may cost a chunk's fits one retry, and no more"


def undisturbed(n_biases):
    return json.loads(json.dumps(what_was_found(biased(n_biases, 0.0, fw.SerialExecutor()))))


@pytest.mark.parametrize(
    ("n_biases", "seconds"), [(10, 0.1), pytest.param(200, 0.1, marks=pytest.mark.slow)], ids=["small", "large"]
)
def test_a_node_that_is_lost_in_mid_run_changes_nothing(n_biases, seconds, tmp_path):
    said = helped("lose_a_node.py", n_biases, seconds, tmp_path / "places")
    assert said["report"]["n_retries"] >= 1
    assert what_was_found(said["report"]) == undisturbed(n_biases)


def test_nodes_that_join_are_used_and_those_that_leave_change_nothing(tmp_path):
    said = helped("elastic.py", 24, 0.05, tmp_path / "places")
    first, second, third = said["used"]
    assert min(first, second, third) >= 3, "each node ran some of the fits"
    assert said["elsewhere"] == 0, "the head without cores runs none"
    assert len(said["waits"]) == 1
    assert said["waits"][0].startswith(
        "waiting for a node with cpu 1 (the most that one has: 0); the last that could run a fit has"
    )
    assert what_was_found(said["report"]) == undisturbed(24)


@pytest.mark.slow
def test_a_job_whose_last_node_has_left_fails_after_its_limit_with_that_cause(tmp_path):
    said = helped("elastic.py", 24, 0.05, tmp_path / "places", 3)
    assert said["report"] is None
    assert said["error"] == (
        "expected resources within 3 s (limits.wait_seconds), got none: still waiting for a node with cpu 1 (the most that one "
        "has: 0); the last that could run a fit has left"
    )


def test_a_cause_that_all_fits_share_ends_a_large_search_at_once(tmp_path):
    counter = tmp_path / "counter"
    plan = small_plan(FaultyEstimator("raise", counter=str(counter)), {"bias": [i / 1000 for i in range(5000)]})
    with pytest.raises(StudyFailedError, match=r"the first \d+ fits all failed.*ValueError: fault asked for") as caught:
        Run(plan, fw.SerialExecutor()).execute()
    assert isinstance(caught.value, ValueError)
    assert counter.stat().st_size < plan.n_fits / 10, "a few chunks of fits that fail within half a second"
