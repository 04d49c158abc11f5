"""Starting a run: under which MLflow run."""

from foldwise.executors import SerialExecutor
from foldwise.job.launch import run_plan
from foldwise.testing import small_plan


def test_a_run_nests_under_the_run_that_is_active_in_the_caller(tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        mlflow.set_experiment("outside")
        with mlflow.start_run() as outside:
            _, report, run_id = run_plan(small_plan(), SerialExecutor(), tracking=uri)
        run = mlflow.MlflowClient(uri).get_run(run_id)
        assert run.data.tags["mlflow.parentRunId"] == outside.info.run_id
        assert run.info.experiment_id == outside.info.experiment_id
        assert report.mlflow_run_id == run_id
        assert run_id in report.mlflow_address
    finally:
        mlflow.set_tracking_uri(before)


def test_a_dead_tracking_server_neither_stops_nor_fails_a_run():
    _, report, run_id = run_plan(small_plan(), SerialExecutor(), tracking="http://127.0.0.1:9", experiment="x")
    assert run_id is None
    assert not report.partial
    assert "Not tracked:" in str(report)
