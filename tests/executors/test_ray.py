"""The Ray executor beyond the common suite: resources, lost workers, other Rays."""

import math
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import psutil
import pytest
from ray_processes import workers
from sklearn.datasets import load_iris
from sklearn.model_selection import ShuffleSplit

import foldwise as fw
from foldwise.errors import ClusterError, ResourcesError
from foldwise.executors.local_resources import check_locally
from foldwise.executors.losses import Loss
from foldwise.executors.ray_session import SESSION
from foldwise.plan.resources import Resources
from foldwise.testing import FaultyEstimator, small_plan

IRIS = load_iris(return_X_y=True)


def test_what_this_machine_cannot_have_is_refused_before_ray_starts(monkeypatch):
    monkeypatch.setattr("foldwise.executors.local_resources.has_accelerator", lambda: False)
    with pytest.raises(ResourcesError, match=r"resources\.gpu: expected 0 on a machine without a GPU, got 0\.5"):
        check_locally(Resources(gpu=0.5))
    with pytest.raises(ResourcesError, match=r"resources\.cpu: expected at most the \d+ cores"):
        check_locally(Resources(cpu=1024))


def test_a_fit_that_kills_its_worker_fails_alone_and_others_finish(tmp_path):
    counter = tmp_path / "counter"
    search = fw.NestedSearchCV(
        FaultyEstimator(counter=str(counter)), {"fault": ["exit", None]}, search="grid", refit=False, random_state=0,
        outer_cv=ShuffleSplit(1), inner_cv=ShuffleSplit(1),
    ).fit(*IRIS)  # fmt: skip
    states = search.trials_.groupby("trial")["state"].unique()
    assert states[0].tolist() == ["FAILED"]
    assert states[1].tolist() == ["COMPLETE"]
    assert search.trials_["error"][0].startswith("WorkerLost: the worker was lost 3 times")
    n_searched = 1 + 1  # the inner train set and that of the final study
    assert counter.stat().st_size == n_searched * (3 + 1) + 1  # and the outer refit of the choice


def test_a_worker_that_is_lost_now_and_then_changes_nothing(tmp_path):
    search = fw.NestedSearchCV(
        FaultyEstimator("exit", times=2, counter=str(tmp_path / "counter")), {"bias": [0.0, 0.1]}, search="grid", outer_cv=3,
        random_state=0,
    ).fit(*IRIS)  # fmt: skip
    assert set(search.trials_["state"]) == {"COMPLETE"}
    assert search.best_params_ == {"bias": 0.1}


def test_a_private_ray_is_closed_by_a_token_and_serves_later_calls():
    ray = SESSION.ensure(None)
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) >= 32
    before = ray.get_runtime_context().gcs_address
    fw.NestedSearchCV(FaultyEstimator(), {"bias": [0.0]}, search="grid", outer_cv=3).fit(*IRIS)
    assert SESSION.ensure(None).get_runtime_context().gcs_address == before


def run_script(body, **environment):
    head = "import os\nimport foldwise as fw\nfrom sklearn.datasets import load_iris\nX, y = load_iris(return_X_y=True)\n"
    script = head + textwrap.dedent(body)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")} | environment
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=150, env=variables, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_ray_of_the_users_is_joined_and_left_alone_and_threads_follow_the_cpus():
    out = run_script("""
        import secrets
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(16), RAY_USAGE_STATS_ENABLED="0")
        import ray
        ray.init(address="local", num_cpus=3, resources={"license": 2}, include_dashboard=False, log_to_driver=False)
        from sklearn.dummy import DummyClassifier

        class Threads(DummyClassifier):
            def fit(self, X, y):
                import threadpoolctl
                pools = threadpoolctl.threadpool_info()
                assert pools and {pool["num_threads"] for pool in pools} == {2}, pools
                return super().fit(X, y)

        options = {"search": "grid", "outer_cv": 3, "error_score": "raise"}
        search = fw.NestedSearchCV(Threads(), {"strategy": ["prior"]}, resources={"cpu": 2, "license": 1}, **options).fit(X, y)
        serial = fw.NestedSearchCV(Threads(), {"strategy": ["prior"]}, resources={"cpu": 2}, executor="serial", **options).fit(X, y)
        assert (search.outer_scores_["score"] == serial.outer_scores_["score"]).all()
        try:
            fw.NestedSearchCV(Threads(), {"strategy": ["prior"]}, resources={"cpu": 1, "license": 3}, **options).fit(X, y)
        except fw.InputError as error:
            print(error)
        assert ray.is_initialized() and ray.cluster_resources()["CPU"] == 3
        """)
    assert "resources.license: expected what one node can give, got cpu 1, license 3" in out


def test_a_ray_that_was_imported_before_is_closed_by_a_token_too():
    out = run_script("""
        from ray import tune
        from sklearn.svm import SVC
        search = fw.NestedSearchCV(SVC(), {"C": tune.loguniform(0.1, 10)}, n_trials=2, outer_cv=3, random_state=0).fit(X, y)
        import ray
        from ray._raylet import AuthenticationMode, get_authentication_mode
        print(search.n_fits_, os.environ["RAY_AUTH_MODE"], len(os.environ["RAY_AUTH_TOKEN"]))
        assert get_authentication_mode() == AuthenticationMode.TOKEN
        """)
    assert out.split() == ["13", "token", "64"]


def test_an_address_that_nobody_answers_is_an_error_with_the_fix():
    out = run_script(
        """
        from sklearn.dummy import DummyClassifier
        try:
            fw.NestedSearchCV(DummyClassifier(), {"strategy": ["prior"]}, executor=fw.RayExecutor("127.0.0.1:9")).fit(X, y)
        except fw.RunError as error:
            print(str(error).splitlines()[0])
        """,
        RAY_gcs_rpc_server_connect_timeout_s="1",
        RAY_gcs_server_request_timeout_seconds="1",
        RAY_NUM_REDIS_GET_RETRIES="1",
    )
    assert "127.0.0.1:9" in out
    assert "check the address" in out


def open_with(plan, executor=None):
    executor = executor or fw.RayExecutor()
    executor.open(plan)
    return executor


def fits_of(plan):
    (asked, *_) = [plan.problem.settings.search.open(plan.problem.space, plan.n_trials, 0).ask(plan.n_trials)]
    return [plan.fit(trial.params, plan.studies[0].folds[0].train) for trial in asked]


def all_results(executor, n):
    results, deadline = [], time.monotonic() + 60
    while len(results) < n and time.monotonic() < deadline:
        results += executor.results(timeout=1)
    return results


def test_data_that_is_lost_is_put_again():
    ray = SESSION.ensure(None)
    executor = open_with(small_plan(FaultyEstimator(), {"bias": [0.0, 0.1]}))
    try:
        executor.submit(fits_of(small_plan(FaultyEstimator(), {"bias": [0.0, 0.1]})))
        (handle,) = executor._in_flight
        before = executor._references
        assert executor._lose(handle, ray.exceptions.OwnerDiedError("00" * 28, b"", "")) == []
        assert executor._references != before
        results = all_results(executor, 2)
    finally:
        executor.close()
    assert [(result.error, result.retries) for result in results] == [(None, 1), (None, 1)]


def test_a_full_object_store_is_an_error_with_the_fix(monkeypatch):
    ray = SESSION.ensure(None)

    def full(value):
        raise ray.exceptions.ObjectStoreFullError("no room for 80 GiB")

    monkeypatch.setattr(ray, "put", full)
    with pytest.raises(ClusterError, match=r"expected room for the data .* got ObjectStoreFullError: .*object_store_memory"):
        open_with(small_plan())


def test_a_worker_that_is_ended_for_memory_is_known_by_its_error():
    ray = SESSION.ensure(None)
    executor = open_with(small_plan())
    executor.close()
    errors = ray.exceptions
    assert executor._loss_of(errors.OutOfMemoryError("killed")) is Loss.MEMORY
    assert executor._loss_of(errors.NodeDiedError("gone")) is Loss.NODE
    assert executor._loss_of(errors.OwnerDiedError("00" * 28, b"", "")) is Loss.DATA
    assert executor._loss_of(errors.WorkerCrashedError()) is Loss.WORKER
    assert executor._loss_of(errors.RuntimeEnvSetupError("no")) is None


def test_fits_that_are_tried_again_keep_to_n_jobs(tmp_path):
    """Each fit notes when it ran, so that overlaps show."""
    faulty = FaultyEstimator("kill", times=1, counter=str(tmp_path / "counter"))
    plan = small_plan(faulty, {"bias": [i / 10 for i in range(8)]})
    executor = fw.RayExecutor()
    executor.open(plan, 1)
    try:
        executor.submit(fits_of(plan))
        most, results = 0, []
        while len(results) < 8:
            results += executor.results(timeout=1)
            most = max(most, len(executor._in_flight))
    finally:
        executor.close()
    assert most == 1
    assert all(result.error is None for result in results)


def assert_ended(process, within=60):
    """Assert that a process ends soon; it may not be buried yet."""
    deadline = time.monotonic() + within
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, process
        time.sleep(0.05)


def test_a_worker_that_stands_still_is_ended_by_the_driver(monkeypatch):
    monkeypatch.setattr("foldwise.executors.ray._LATE", 0.0)
    plan = small_plan(FaultyEstimator(seconds=600.0), {"fault": ["sleep"]}, limits={"fit_seconds": 600})
    executor = open_with(plan)
    try:
        executor.submit(fits_of(plan)[:1])
        while not any(math.isfinite(begun or math.inf) for begun in executor._watched.values()):  # its time runs
            executor.results(timeout=1)
        deadline = time.monotonic() + 60
        while not (found := [worker for worker in workers() if "run_watched" in " ".join(worker.cmdline())]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (running,) = found
        running.suspend()
        executor._limits = replace(executor._limits, fit_seconds=0.1)  # only the driver hears of it
        (result,) = all_results(executor, 1)
    finally:
        executor.close()
    assert_ended(running)
    assert result.error.kind == "TimeLimitExceeded"


def test_resources_that_never_come_end_the_job_with_their_name():
    out = run_script("""
        import secrets
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(16), RAY_USAGE_STATS_ENABLED="0")
        import ray
        ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
        from sklearn.dummy import DummyClassifier

        @ray.remote(num_cpus=1)
        class Holder:
            def ready(self):
                return True

        for resources in ({"license": 1}, {"cpu": 1}):
            holder = Holder.remote()
            assert ray.get(holder.ready.remote())
            search = fw.NestedSearchCV(DummyClassifier(), {"strategy": ["prior"]}, resources=resources, limits={"wait_seconds": 1})
            try:
                search.fit(X, y)
            except fw.RunError as error:
                print(type(error).__name__, error)
            del holder
        """)
    assert "expected resources within 1 s (limits.wait_seconds), got none: still waiting for a node with license 1" in out
    assert "still waiting for cpu: 1 of 1 are taken by other jobs" in out


@pytest.mark.slow
def test_a_fit_that_ray_ends_for_its_memory_fails_alone():
    out = run_script(
        """
        from foldwise.testing import FaultyEstimator, small_plan
        search = fw.NestedSearchCV(
            FaultyEstimator(n_bytes=4 * 2**30, seconds=20), {"fault": ["allocate", None]}, search="grid", outer_cv=3, refit=False,
        ).fit(X, y)
        print(search.trials_[["state", "error"]].drop_duplicates().to_dict("records"))
        """,
        RAY_memory_usage_threshold=str(min(0.9, (psutil.virtual_memory().percent / 100) + 0.08)),
        RAY_memory_monitor_refresh_ms="100",
    )
    assert "OutOfMemory: the worker was ended since its node ran out of memory 3 times" in out
    assert "COMPLETE" in out
