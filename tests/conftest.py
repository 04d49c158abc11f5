"""Fixtures of all tests."""

import pytest

from foldwise.fit import limited_threads


@pytest.fixture(autouse=True)
def one_thread():
    """Limit BLAS and OpenMP to one thread, as foldwise does, since they change the last bits."""
    with limited_threads(1):
        yield


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch):
    """Hide what the machine's environment may say of Ray and MLflow."""
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
