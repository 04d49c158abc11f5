"""What holds of the files that deploy a cluster, without an engine; ``test_services.py`` runs what they say."""

import re
import stat
import subprocess
import sys

import compose_file
import pytest
import yaml
from compose_file import ROOT
from compose_services import make_env_module
from service_process import Ports, ServiceProcess

from foldwise.job.job import Job

FILES = ["docker-compose.yml", "docker-compose.gpu.yml"]
SECRETS = {"RAY_AUTH_TOKEN", "POSTGRES_PASSWORD", "MLFLOW_DB_PASSWORD", "LEDGER_DB_PASSWORD"}
ENV = dict.fromkeys(SECRETS, "s3cr3t")
SERVICES = compose_file.load(env=ENV)["services"]
RAY = ["head", "worker"]
LOCK = dict(line.split(" ;")[0].split("==") for line in (ROOT / "requirements.lock").read_text().splitlines())
VERSION = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()
PYTHON_LINE = next(line for line in EXAMPLE.splitlines() if line.startswith("# PYTHON="))
BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def n_bytes(text):
    number, unit = re.fullmatch(r"(\d+)([kmg]?)b?", str(text)).groups()
    return int(number) * BYTES[unit]


def option(service, name):
    return next(part.split("=", 1)[1] for part in SERVICES[service]["command"] if part.startswith(f"--{name}="))


def check_schema(path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_as_the_compose_specification_wants_it(name):
    assert check_schema(ROOT / name).returncode == 0


def test_the_schema_sees_what_is_wrong(tmp_path):
    wrong = tmp_path / "compose.yml"
    wrong.write_text((ROOT / FILES[0]).read_text().replace("depends_on:", "depend_on:"))
    assert "depend_on" in check_schema(wrong).stdout


# Versions


def test_images_are_pinned_by_version():
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", images.pop("postgres"))
    assert set(images.values()) == {f"foldwise:{VERSION}"}


def test_each_image_of_ours_is_built_by_one_service_only():
    both = compose_file.merged(compose_file.load(env=ENV), compose_file.load(FILES[1], env=ENV))["services"]
    for services in (SERVICES, both):
        ours = {service["image"] for service in services.values() if service["image"].startswith("foldwise:")}
        built = [service["image"] for service in services.values() if "build" in service]
        assert sorted(built) == sorted(ours)
        for service in services.values():
            build = service.get("build", {"context": ".", "dockerfile": "deploy/Dockerfile"})
            assert (build["context"], build["dockerfile"]) == (".", "deploy/Dockerfile")


def test_our_image_has_the_python_and_the_packages_of_the_lock_file():
    locked_for = re.search(r"--python-version (3\.\d+)", (ROOT / ".ci" / "lock").read_text())[1]
    assert re.search(rf"^ARG PYTHON={re.escape(locked_for)}\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"python:${PYTHON}"}
    assert "--constraint requirements.lock" in DOCKERFILE
    assert {"ray", "mlflow", "psycopg"} <= set(LOCK)


def test_our_image_is_built_of_what_the_builder_is_sent():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(" ".join(copied).split()) == sent
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


# Who may do what


def test_ports_are_published_on_the_loopback_interface_only():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"mlflow": ["127.0.0.1:5000:5000"], "head": ["127.0.0.1:8265:8265"]}
    assert not any("network_mode" in service for service in SERVICES.values())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert service.get("user") == "postgres" or re.search(r"^USER 1000$", DOCKERFILE, re.MULTILINE)


def test_the_databases_are_reached_by_mlflow_and_the_drivers_only():
    assert compose_file.load()["networks"]["storage"] == {"internal": True}
    assert [name for name, service in SERVICES.items() if "storage" in service["networks"]] == ["postgres", "mlflow", "head"]
    assert SERVICES["postgres"]["networks"] == ["storage"]
    assert not {"MLFLOW_TRACKING_URI", "FOLDWISE_LEDGER"} & set(SERVICES["worker"]["environment"])


@pytest.mark.parametrize("name", RAY)
def test_ray_wants_the_token_and_tells_nobody_of_us(name):
    environment = SERVICES[name]["environment"]
    assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN"]) == ("token", ENV["RAY_AUTH_TOKEN"])
    assert environment["RAY_USAGE_STATS_ENABLED"] == environment["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] == "0"
    assert environment["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] == "1"


def test_mlflow_answers_to_its_service_name_and_the_published_port():
    changed = compose_file.load(env={**ENV, "MLFLOW_PORT": "5001"})["services"]["mlflow"]
    assert SERVICES["mlflow"]["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"] == "mlflow:5000,127.0.0.1:5000,localhost:5000"
    assert changed["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"] == "mlflow:5000,127.0.0.1:5001,localhost:5001"
    assert changed["ports"] == ["127.0.0.1:5001:5000"]
    assert SERVICES["head"]["environment"]["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"


def test_mlflow_runs_no_jobs_of_its_own_and_tells_nobody_of_us():
    environment = SERVICES["mlflow"]["environment"]
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == SERVICES["head"]["environment"]["MLFLOW_DISABLE_TELEMETRY"] == "true"


# Health, order and size


def test_each_service_starts_when_what_it_needs_is_healthy():
    needed = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}
    assert {name: list(services) for name, services in needed.items()} == {
        "postgres": [], "mlflow": ["postgres"], "head": ["postgres", "mlflow"], "worker": ["head"],
    }  # fmt: skip
    assert all(one["condition"] == "service_healthy" for services in needed.values() for one in services.values())


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_without_a_shell_and_comes_back(name):
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True


def test_mlflows_health_is_asked_by_the_name_that_the_cluster_uses():
    assert SERVICES["mlflow"]["healthcheck"]["test"][-2:] == ["http://127.0.0.1:5000", "mlflow:5000"]


@pytest.mark.parametrize("name", RAY)
def test_shared_memory_is_larger_than_the_object_store_and_fits_the_memory(name):
    store, shared = n_bytes(option(name, "object-store-memory")), n_bytes(SERVICES[name]["shm_size"])
    assert store * 1.2 < shared < n_bytes(SERVICES[name]["mem_limit"]) / 2


def test_trials_run_on_workers_which_scale():
    assert option("head", "num-cpus") == "0"
    assert float(option("worker", "num-cpus")) == float(SERVICES["worker"]["cpus"])
    assert not {"container_name", "ports", "hostname"} & set(SERVICES["worker"])


def test_data_survives_and_postgres_keeps_it_where_version_18_looks():
    assert set(compose_file.load()["volumes"]) == {"postgres", "artifacts", "states"}
    assert "postgres:/var/lib/postgresql" in SERVICES["postgres"]["volumes"]
    folder = SERVICES["mlflow"]["environment"]["MLFLOW_ARTIFACTS_DESTINATION"]
    assert f"artifacts:{folder}" in SERVICES["mlflow"]["volumes"]
    assert f"--owner=foldwise --group=foldwise {folder}" in DOCKERFILE


def test_jobs_see_the_data_folder_read_only_on_head_and_workers():
    for mount in (SERVICES[name]["volumes"][0] for name in RAY):
        assert (mount["source"], mount["target"], mount["read_only"]) == ("./data", "/data", True)


def test_head_and_workers_share_the_states_of_scheduled_trials():
    folder = SERVICES["head"]["environment"]["FOLDWISE_STORAGE"]
    assert all(f"states:{folder}" in SERVICES[name]["volumes"] for name in RAY)
    assert re.search(rf"--owner=foldwise --group=foldwise .*{folder}( |$)", DOCKERFILE, re.MULTILINE)


def test_services_without_containers_keep_states_in_a_folder_of_theirs(tmp_path):
    head = ServiceProcess("head", SERVICES["head"], Ports(), tmp_path, tmp_path)
    assert head.environment["FOLDWISE_STORAGE"] == str(tmp_path / "head" / "states")


# The overlay


def test_the_gpu_overlay_only_adds_gpus_to_workers_and_an_image_with_keras():
    both = compose_file.merged(compose_file.load(env=ENV), compose_file.load(FILES[1], env=ENV))["services"]
    for name, service in both.items():
        added = {key: value for key, value in service.items() if SERVICES[name].get(key) != value}
        wanted = {"postgres": set(), "mlflow": set(), "head": {"image", "build"}}
        assert set(added) == wanted.get(name, {"image", "deploy", "environment"})
    assert both["head"]["image"] == both["worker"]["image"] == f"foldwise:{VERSION}-gpu"
    assert set(both["worker"]["environment"].items()) > set(SERVICES["worker"]["environment"].items())
    args = {
        "PYTHON": SERVICES["mlflow"]["build"]["args"]["PYTHON"],
        "EXTRAS": "postgres,keras",
        "PACKAGES": "tensorflow[and-cuda]",
    }
    assert both["head"]["build"]["args"] == args
    (device,) = both["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}


# Secrets


def test_every_secret_comes_from_the_environment_and_must_be_there():
    kinds = compose_file.variables(FILES[0])
    assert {name for name, kind in kinds.items() if kind == "?"} == SECRETS
    for name in SECRETS:
        with pytest.raises(LookupError, match=f"{name}: run python deploy/make_env.py"):
            compose_file.load(env={**ENV, name: ""})


def test_no_secret_is_written_in_the_files():
    raw = [service.get("environment", {}) for service in compose_file.load()["services"].values()]
    for environment in raw:
        secret = {name: value for name, value in environment.items() if re.search("PASSWORD|TOKEN", name)}
        assert all(re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in secret.values())
        assert all("@" not in value or re.search(r":\$\{\w+:\?[^}]+\}@", value) for value in environment.values())


def test_the_example_names_all_that_the_files_read_with_their_defaults():
    read = {**compose_file.variables(FILES[0]), **compose_file.variables(FILES[1])}
    named = dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert set(named) == set(read)
    assert {name for name, value in named.items() if not value} == SECRETS | {"PACKAGES"}
    text = "".join((ROOT / name).read_text() for name in FILES)
    assert all(value in re.findall(rf"\$\{{{name}:-([^}}]*)\}}", text) for name, value in named.items() if value)


def test_the_made_file_has_the_names_of_the_example_and_a_value_for_each(tmp_path):
    make_env = make_env_module()
    assert make_env.main(tmp_path) == 0
    text = (tmp_path / ".env").read_text()
    text = re.sub(r"^PYTHON=.*$", PYTHON_LINE, text, flags=re.MULTILINE)  # of another Python than the Dockerfile's
    values = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert set(values) == SECRETS
    assert len(set(values.values())) == len(SECRETS)
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in values.values())
    assert re.sub(r"=[0-9a-f]{64}$", "=", text, flags=re.MULTILINE) == EXAMPLE
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("python", "line"), [((3, 11), PYTHON_LINE), ((3, 12), "PYTHON=3.12-slim-bookworm"), ((3, 13), "PYTHON=3.13-slim-bookworm")]
)
def test_the_made_file_names_the_image_of_the_python_that_makes_it(python, line):
    text = make_env_module().make_env(EXAMPLE, python)
    assert line in text.splitlines()
    assert len(re.findall(r"^(?:# )?PYTHON=", text, re.MULTILINE)) == 1


def test_the_image_is_built_as_the_environment_says_and_else_as_the_dockerfile_does():
    defaults = dict(re.findall(r'^ARG (\w+)="?([^"\n]+?|)"?$', DOCKERFILE, re.MULTILINE))
    assert SERVICES["mlflow"]["build"]["args"] == defaults
    chosen = {"PYTHON": "3.12-slim-bookworm", "EXTRAS": "postgres,keras", "PACKAGES": "tensorflow"}
    assert compose_file.load(env={**ENV, **chosen})["services"]["mlflow"]["build"]["args"] == chosen


def test_a_file_that_exists_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / ".env").write_text("RAY_AUTH_TOKEN=mine\n")
    assert make_env_module().main(tmp_path) == 1
    assert (tmp_path / ".env").read_text() == "RAY_AUTH_TOKEN=mine\n"
    assert "was left as it is" in capsys.readouterr().err


def test_the_made_file_is_no_part_of_the_repository():
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


# Kubernetes


@pytest.fixture(scope="module")
def manifest():
    documents = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "rayjob.yaml").read_text()))
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def cluster(manifest):
    return manifest["RayJob"]["spec"]["rayClusterSpec"]


def containers(cluster):
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [container for group in groups for container in group["template"]["spec"]["containers"]]


def test_kubernetes_has_the_ray_of_the_lock_file_and_our_image(cluster):
    assert cluster["rayVersion"] == LOCK["ray"]
    assert {container["image"] for container in containers(cluster)} == {f"foldwise:{VERSION}"}


def test_kubernetes_wants_the_token_and_has_no_secret_written_down(manifest, cluster):
    assert cluster["authOptions"] == {"mode": "token", "secretName": "foldwise-token"}
    environment = {variable["name"]: variable for container in containers(cluster) for variable in container["env"]}
    for name in ("MLFLOW_TRACKING_URI", "FOLDWISE_LEDGER"):
        assert environment[name]["valueFrom"]["secretKeyRef"]["name"] == "foldwise-services"
    assert "Secret" not in manifest
    assert not any(re.search("TOKEN|PASSWORD", name) for name in environment)


def test_kubernetes_scales_between_bounds_and_ends_with_the_job(manifest, cluster):
    (workers,) = cluster["workerGroupSpecs"]
    assert cluster["enableInTreeAutoscaling"] is True
    assert 1 <= workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert manifest["RayJob"]["spec"]["shutdownAfterJobFinishes"] is True


def test_kubernetes_confines_containers(cluster):
    for container in containers(cluster):
        context = container["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == 1000
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}


def test_the_job_on_kubernetes_is_the_shipped_one(manifest, cluster, tmp_path):
    path = tmp_path / "job.yaml"
    path.write_text(manifest["ConfigMap"]["data"]["job.yaml"])
    job, shipped = Job.load(path).spec, Job.load(ROOT / "jobs" / "digits_svm.yaml").spec
    same = ["name", "data", "estimator", "space", "search", "folds", "scoring", "seed"]
    assert [getattr(job, key) for key in same] == [getattr(shipped, key) for key in same]
    mounted = {mount["mountPath"] for container in containers(cluster) for mount in container.get("volumeMounts", ())}
    assert manifest["RayJob"]["spec"]["entrypoint"].split()[:3] == ["foldwise", "run", f"{mounted.pop()}/job.yaml"]
