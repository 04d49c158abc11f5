"""What MLflow holds of trials that a schedule judged: their curves, their ends, and what changed on the way."""

import json
from collections import Counter

import pyarrow.parquet
import pytest
from mlflow import MlflowClient

from foldwise.events import RunStarted, StudyEnded, TrialEnded
from foldwise.listeners.tracking import MlflowTracker
from foldwise.listeners.tracking.entry import Entries
from foldwise.listeners.tracking.spool import About, Left, Spool, find_spools, write_spool
from foldwise.loop.run import Run
from foldwise.reduce.tables import write_trials
from foldwise.report import Report
from foldwise.testing import SerialScheduledExecutor, scheduled_plan

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def change(params, epochs):
    return {**params, "alpha": params["alpha"] / 2} if epochs % 3 == 0 else params


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run_of(method, changed=None):
    heard = []
    Run(scheduled_plan(method, name=method), SerialScheduledExecutor(changed), listeners=[heard.append]).execute()
    return heard


@pytest.fixture(scope="module")
def events():
    return {"asha": run_of("asha"), "pbt": run_of("pbt", change)}


@pytest.fixture(scope="module")
def uri(tmp_path_factory, events):
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow').as_posix()}/mlflow.db"
    for name in ("asha", "pbt", "asha"):  # the last adds nothing
        tracker = MlflowTracker(uri, "scheduled")
        for event in events[name]:
            tracker(event)
        tracker.close(60)
        assert tracker.missing is None
    return uri


@pytest.fixture(scope="module")
def client(uri):
    return MlflowClient(tracking_uri=uri)


@pytest.fixture(scope="module")
def runs(client):
    found = client.search_runs([client.get_experiment_by_name("scheduled").experiment_id], max_results=1000)
    assert len(found) == 2 * (1 + 4 + 24)
    return {run.data.tags["foldwise.job"] + "/" + run.info.run_name: run for run in found}


def trials_of(events):
    return {f"{event.study}/{event.trial.number}": event.trial for event in events if isinstance(event, TrialEnded)}


def test_a_stopped_trial_is_finished_and_says_so(runs, events):
    states = Counter(run.data.tags["foldwise.state"] for name, run in runs.items() if name.count("/") == 2 and "asha" in name)
    assert states == Counter(trial.state.value for trial in trials_of(events["asha"]).values())
    assert states["PRUNED"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


@pytest.mark.parametrize("method", ["asha", "pbt"])
def test_a_trials_curve_is_its_metrics_history(runs, events, client, method):
    for name, trial in list(trials_of(events[method]).items())[::7]:
        run = runs[f"{method}/{name}"]
        history = client.get_metric_history(run.info.run_id, "inner_score")
        assert [(point.step, point.value) for point in history] == [*trial.curve[:-1], (trial.epochs, trial.value)]
        assert run.data.metrics["inner_score"] == trial.value
        assert run.data.metrics["epochs"] == trial.epochs
        assert run.data.params == {"alpha": str(trial.params["alpha"])}


def test_what_changed_in_training_is_told_with_the_trial_and_the_choice(runs, events):
    for name, trial in trials_of(events["pbt"]).items():
        told = json.loads(runs[f"pbt/{name}"].data.tags["foldwise.lineage"])
        assert [(one["epochs"], one["params"]) for one in told] == [(one.epochs, dict(one.params)) for one in trial.lineage]
    for event in events["pbt"]:
        if isinstance(event, StudyEnded):
            run = runs[f"pbt/{event.study}"]
            assert json.loads(run.data.tags["foldwise.lineage"])[-1]["params"] == dict(event.chosen.params)
            assert run.data.metrics["epochs"] == 9
    assert not any("foldwise.lineage" in run.data.tags for name, run in runs.items() if name.startswith("asha"))


def test_the_job_says_how_it_was_judged(runs, events):
    job, report = runs["asha/asha"], Report(events["asha"][-1].archive)
    assert (job.data.params["schedule"], job.data.params["max_epochs"]) == ("asha", "9")
    counts = {name: job.data.metrics[name] for name in ("n_stopped", "n_epochs", "n_epochs_full")}
    assert counts == {name: value for name, value in report.to_dict()["schedule"].items() if name in counts}
    assert runs["asha/final"].data.metrics["n_stopped"] > 0


def test_what_waits_on_disk_holds_all_of_it(events, tmp_path):
    start, *_ = (event for event in events["pbt"] if isinstance(event, RunStarted))
    of = Entries(start.plan, 0.0)
    kept = [of.trial("final", trial, 1.0) for trial in trials_of(events["pbt"]).values()]
    assert len(kept[0].metrics) > 9
    write_spool(tmp_path, About("", "scheduled", None, of.job(), of.job(), {}), Left(kept, {}, None, None))
    assert list(Spool(find_spools(tmp_path)[0]).entries()) == kept


def test_the_table_of_trials_has_epochs_curves_and_lineages(events, tmp_path):
    for method in ("asha", "pbt"):
        trials = trials_of(events[method])
        write_trials(tmp_path / "trials.parquet", {"all": list(trials.values())})
        table = pyarrow.parquet.read_table(tmp_path / "trials.parquet").to_pylist()
        assert [row["epochs"] for row in table] == [trial.epochs for trial in trials.values()]
        assert json.loads(table[0]["curve"]) == [list(point) for point in trials["final/0"].curve]
        assert (json.loads(table[0]["lineage"])[0]["epochs"] == 3) if method == "pbt" else ("lineage" not in table[0])
