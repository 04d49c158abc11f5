"""A canary per thing that the executors rely on of Ray's private parts: that it is there, and does what is relied on."""

import inspect
from pathlib import Path
from types import SimpleNamespace

import ray
from ray import cloudpickle
from ray.autoscaler.v2.sdk import get_cluster_status

from foldwise.executors.compat import private_options, waited_for
from foldwise.executors.ray_session import _DEFAULTS, SESSION

PACKAGE = Path(ray.__file__).parent


def test_a_private_ray_keeps_its_files_where_it_is_told_and_opens_no_page_of_metrics():
    assert next(iter(inspect.signature(get_cluster_status).parameters)) == "gcs_address"
    SESSION.ensure(None)
    assert SESSION.folder is not None
    files = list((SESSION.folder / "ray").glob("session_2*/sockets/*"))
    assert files, "and so are its sockets"
    ports = [node["MetricsExportPort"] for node in ray.nodes()]
    assert not any(_answers(port) for port in ports), "nobody listens there"


def test_private_options_are_those_that_ray_takes():
    options = private_options(Path("/somewhere"))
    source = inspect.getsource(ray.init)
    assert all(f'"{name}"' in source for name in options)
    assert (
        "enable_metrics_collection" in (PACKAGE / "_private" / "node.py").read_text()
        or b"enable_metrics_collection" in (PACKAGE / "core" / "src" / "ray" / "raylet" / "raylet").read_bytes()
    )


def test_what_others_wait_for_is_told():
    SESSION.ensure(None)
    assert waited_for(ray) == []
    n_cpus = ray.cluster_resources()["CPU"]

    @ray.remote(num_cpus=n_cpus + 1)
    def too_large():
        return None

    waiting = too_large.remote()
    try:
        for _ in range(300):
            if shapes := waited_for(ray):
                break
            ray.wait([waiting], timeout=0.1)
        assert shapes == [{"CPU": n_cpus + 1}]
    finally:
        ray.cancel(waiting)


def test_an_answer_that_does_not_come_in_time_is_none(monkeypatch):
    def refuse(address):
        raise ray.exceptions.RpcError("late")

    monkeypatch.setattr("ray.autoscaler.v2.sdk.get_cluster_status", refuse)
    connected = SimpleNamespace(get_runtime_context=lambda: SimpleNamespace(gcs_address="here"), exceptions=ray.exceptions)
    assert waited_for(connected) == []


def test_ray_reads_the_variables_that_are_set_for_it():
    files = [*PACKAGE.rglob("*.py"), *PACKAGE.glob("_raylet*.so"), PACKAGE / "core" / "src" / "ray" / "raylet" / "raylet"]
    unread = set(_DEFAULTS)
    for file in files:
        content = file.read_bytes()
        unread -= {name for name in unread if name.encode() in content or name.removeprefix("RAY_").encode() in content}
    assert not unread


def test_a_module_can_be_sent_by_value():
    assert list(inspect.signature(cloudpickle.register_pickle_by_value).parameters) == ["module"]
    assert list(inspect.signature(cloudpickle.unregister_pickle_by_value).parameters) == ["module"]


def test_an_error_of_a_task_holds_its_cause():
    assert ray.exceptions.RayTaskError("f", "trace", cause := ValueError("x")).cause is cause


def _answers(port):
    import socket

    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
