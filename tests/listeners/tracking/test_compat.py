"""A canary per thing that tracking relies on of MLflow's private parts."""

import sqlite3
from contextlib import closing

import mlflow.environment_variables
import pytest
from mlflow import MlflowClient
from mlflow.store.db import utils

from foldwise.listeners.tracking.compat import FILLED_TABLES, FIRST_TABLES


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments(max_results=1)
    return file


def test_mlflow_makes_the_tables_that_are_looked_for_and_fills_them(database):
    with closing(sqlite3.connect(database)) as connection:
        made = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert made >= FIRST_TABLES
        for name in FILLED_TABLES:
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (1,)


def test_the_first_tables_are_there_before_the_default_experiment(tmp_path, monkeypatch):
    def stop(engine):
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "_verify_schema", stop)
    monkeypatch.setattr("mlflow.store.tracking.sqlalchemy_store._verify_schema", stop, raising=False)
    file = tmp_path / "mlflow.db"
    with pytest.raises(KeyboardInterrupt):
        MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments(max_results=1)
    with closing(sqlite3.connect(file)) as connection:
        made = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert made & FIRST_TABLES
        assert connection.execute("SELECT count(*) FROM experiments").fetchone() == (0,)


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "MLFLOW_LOGGING_LEVEL",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
        "MLFLOW_HTTP_REQUEST_TIMEOUT",
    ],
)  # fmt: skip
def test_mlflow_reads_the_variables_that_are_set_for_it(name):
    assert hasattr(mlflow.environment_variables, name)
