"""The Tune executor beyond the common suite: lost processes, spent GPUs, hung epochs, takeovers, and what it leaves behind."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from epoch_estimators import Troubled, epochs_in
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import foldwise as fw
from foldwise.errors import ClusterError, InputError
from foldwise.executors.tune import TuneExecutor
from foldwise.executors.tune.states import Storage
from foldwise.inputs.imports import add_import_paths
from foldwise.loop.pilot import fly
from foldwise.testing import check_scheduled_executor, scheduled_plan
from foldwise.trial import TrialState, count_epochs
from foldwise.worker.fit import FitContext

HELPERS = Path(__file__).parents[2] / "helpers"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add_import_paths(HELPERS)


def actors():
    """List Tune's processes on this machine that this process has started."""
    found = psutil.Process().children(recursive=True)
    return [process for process in found if any("FoldTrainable" in part for part in _title(process))]


def assert_soon(holds, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _title(process):
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def run_study(plan, study="outer-0", n_jobs=None, **options):
    """Run all trials of a study; returns the ends in the order of their numbers."""
    executor = TuneExecutor(**options)
    executor.open(plan, n_jobs)
    trials = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, plan.search_seed).ask(plan.n_trials)
    executor.submit_trials(study, trials)
    ends = []
    try:
        deadline = time.monotonic() + 300
        while len(ends) < len(trials) and time.monotonic() < deadline:
            ends += executor.trial_ends(timeout=1.0)
    finally:
        executor.close()
    assert len(ends) == len(trials)
    return sorted(ends, key=lambda end: end.number)


def causes(end):
    found = [failure for result in end.results if (failure := result.failure_on(*result.scores)) is not None]
    return {failure.kind for failure in found}


def test_it_conforms():
    check_scheduled_executor(TuneExecutor)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["hyperband", "median", "pbt"])
def test_it_conforms_with_every_method(method):
    check_scheduled_executor(TuneExecutor, method)


def test_trouble_stays_where_it_is(tmp_path):
    troubles = [None, "kill", "oom", "nan"]
    plan = scheduled_plan(
        "asha", Troubled(str(tmp_path), seconds=0.03), {"trouble": troubles}, schedule={"max_epochs": 5, "grace_epochs": 5}
    )
    ends = dict(zip(troubles, run_study(plan), strict=True))
    assert {trouble: causes(end) for trouble, end in ends.items()} == {
        None: set(), "kill": set(), "oom": {"ResourceExhaustedError"}, "nan": {"NonFiniteScore"}
    }  # fmt: skip
    assert {trouble for trouble, end in ends.items() if end.state is TrialState.COMPLETE} == {None, "kill"}
    assert {trouble: {result.retries for result in end.results} for trouble, end in ends.items()} == {
        None: {0}, "kill": {1}, "oom": {0}, "nan": {0}
    }  # fmt: skip
    log = epochs_in(tmp_path)
    # The process was killed in the first fold of the third epoch; that, or one more where its state was not kept, is redone.
    n_folds, n_epochs = 2, sum(trouble == "kill" for _, trouble, *_ in log)
    assert 5 * n_folds + 1 <= n_epochs <= 6 * n_folds + 1
    (spent,) = {pid for pid, trouble, *_ in log if trouble == "oom"}
    assert log[-1][0] != spent
    last_of_it = max(number for number, entry in enumerate(log) if entry[1] == "oom")
    assert spent not in {pid for pid, *_ in log[last_of_it + 1 :]}, "a process whose GPU's memory is spent must not go on"
    assert ends["oom"].lineage[0].epochs == 2
    assert_soon(lambda: not actors())


def test_an_epoch_that_hangs_fails_with_its_cause(tmp_path):
    plan = scheduled_plan(
        "asha", Troubled(str(tmp_path), seconds=0.03), {"trouble": ["hang"]}, limits={"fit_seconds": 2},
        schedule={"max_epochs": 5, "grace_epochs": 5},
    )  # fmt: skip
    (end,) = run_study(plan)
    assert end.state is TrialState.FAILED
    assert causes(end) == {"TimeLimitExceeded"}
    assert {result.retries for result in end.results} == {0}


def test_population_based_training_goes_on_from_the_better_ones_and_says_how():
    model = make_pipeline(StandardScaler(), MLPClassifier((6,), learning_rate_init=0.01))
    space = {"mlpclassifier__alpha": fw.Float(1e-6, 10.0, log=True), "mlpclassifier__activation": ["relu", "tanh"]}
    plan = scheduled_plan("pbt", model, space, search="random", n_trials=4, schedule={"max_epochs": 6, "grace_epochs": 1})
    ends = run_study(plan)
    assert {end.state for end in ends} == {TrialState.COMPLETE}
    assert {count_epochs(end.lineage) for end in ends} == {6}
    changed = [end for end in ends if len(end.lineage) > 1]
    assert changed, "of four trials some must have taken another one's place"
    for end in ends:
        assert len({segment.params["mlpclassifier__activation"] for segment in end.lineage}) == 1
        fits = [plan.fit({}, fold.train, lineage=end.lineage) for fold in plan.studies[0].folds]
        for fold, result, plain in zip(plan.studies[0].folds, end.results, FitContext.of(plan).run(fits), strict=True):
            assert result.scores == {fold.held_out: plain.scores[fold.held_out]}


def test_a_search_judged_by_tune_stops_trials_and_leaves_nothing_behind(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    search = fw.NestedSearchCV(
        make_pipeline(StandardScaler(), SGDClassifier()), {"sgdclassifier__alpha": fw.Float(1e-5, 100.0, log=True)}, search="random", n_trials=6, outer_cv=3, random_state=0,
        schedule={"method": "asha", "max_epochs": 9, "reduction": 3},
    ).fit(*load_iris(return_X_y=True))  # fmt: skip
    trials = search.trials_
    assert "COMPLETE" in set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    assert (trials["epochs"] < 9).sum() == (trials["state"] == "PRUNED").sum() >= 1, "which are stopped depends on their order"
    complete = trials[trials["state"] == "COMPLETE"]
    assert search.best_params_["sgdclassifier__alpha"] in set(complete["param_sgdclassifier__alpha"])
    assert search.best_estimator_[-1].t_ == 1 + 9 * 150
    assert search.nested_score_ > 0.8
    assert_soon(lambda: not actors())
    assert sorted(path.name for path in tmp_path.rglob("*") if path.name not in {".foldwise", "tune"}) == []
    assert capfd.readouterr().out == ""


def test_a_job_that_workers_cannot_open_is_an_error_that_says_so():
    class Hidden(SGDClassifier):
        def __setstate__(self, state):
            raise ModuleNotFoundError("no module named 'hidden'")

    with pytest.raises(ClusterError, match=r"expected workers that can open the job, got .*no module named 'hidden'$"):
        run_study(scheduled_plan("asha", Hidden()))


def test_a_storage_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"FOLDWISE_STORAGE: expected a folder or a URL that can be written to, got .*file"):
        TuneExecutor(storage=str(tmp_path / "file")).open(scheduled_plan())


def test_a_pilot_touches_no_state_of_the_job_that_it_is_of(tmp_path):
    plan = scheduled_plan()
    states = Storage.of(None, plan.problem.key)
    for name in ("outer-0-1-0123456789ab", ".outer-0-2.aside"):
        states.write(name, b"kept")
    folder = tmp_path / ".foldwise" / "tune"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert fly(plan, TuneExecutor()).n_fits == 6
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_an_actor_that_died_while_it_stood_idle_counts_once(tmp_path):
    plan = scheduled_plan(
        "asha", Troubled(str(tmp_path)), {"alpha": [1e-4, 1e-3, 1e-2]}, schedule={"max_epochs": 3, "grace_epochs": 3}
    )
    executor = TuneExecutor()
    executor.open(plan, 1)
    trials = plan.problem.settings.search.open(plan.problem.space, plan.n_trials, plan.search_seed).ask(plan.n_trials)
    retries = []
    try:
        for trial in trials:
            executor.submit_trials("outer-0", [trial])
            deadline = time.monotonic() + 200
            while not (ends := executor.trial_ends(timeout=1.0)):
                assert time.monotonic() < deadline
            retries.append({result.retries for result in ends[0].results})
            assert ends[0].state is TrialState.COMPLETE
            for process in actors():
                process.kill()
                process.wait(60)
            time.sleep(1)
    finally:
        executor.close()
    assert retries[0] == {0}
    assert set().union(*retries[1:]) <= {0, 1}, "at most one loss each"
    assert {1} in retries[1:], "an idle actor was found dead"


@pytest.mark.slow
def test_a_process_that_is_lost_late_in_an_epoch_goes_on_from_what_it_has_kept(tmp_path):
    plan = scheduled_plan(
        "asha", Troubled(str(tmp_path), "late", seconds=1.4), {"alpha": [1e-3]}, limits={"fit_seconds": 2}, outer_cv=4,
        schedule={"max_epochs": 3, "grace_epochs": 3},
    )  # fmt: skip
    (end,) = run_study(plan)
    assert end.state is TrialState.COMPLETE, causes(end)
    assert {result.retries for result in end.results} == {1}
    assert len(epochs_in(tmp_path)) == 3 * 3 + 3, "an epoch was trained again, and no more"


@pytest.mark.slow
def test_a_task_that_always_loses_its_process_fails_with_the_cause(tmp_path):
    plan = scheduled_plan(
        "hyperband", Troubled(str(tmp_path), seconds=0.03), {"trouble": [None, "kills", "freeze"]}, limits={"fit_seconds": 2},
        schedule={"max_epochs": 4, "grace_epochs": 1, "reduction": 2},
    )  # fmt: skip
    free, killed, frozen = run_study(plan)
    assert free.state is TrialState.COMPLETE
    assert (killed.state, causes(killed)) == (TrialState.FAILED, {"WorkerLost"})
    assert (frozen.state, causes(frozen)) == (TrialState.FAILED, {"TimeLimitExceeded"})
    assert frozen.results[0].retries == 2, "the first time it may have been lost by chance"


@pytest.mark.slow
def test_a_driver_that_is_killed_goes_on_where_its_trials_were(tmp_path):
    script = textwrap.dedent(f"""
        import foldwise as fw
        from foldwise.inputs.imports import add_import_paths
        add_import_paths({str(HELPERS)!r})
        from epoch_estimators import Troubled
        from sklearn.datasets import load_iris
        search = fw.NestedSearchCV(
            Troubled({str(tmp_path)!r}, seconds=0.1), {{"alpha": [1e-4, 1e-3, 1e-2]}}, outer_cv=3, random_state=0, search="grid",
            schedule={{"method": "median", "max_epochs": 8, "grace_epochs": 8}}, ledger="ledger.db",
        ).fit(*load_iris(return_X_y=True))
        print(search.trials_["epochs"].sum())
        """)
    n_epochs = 8 * (3 * (3 * 2 + 3) + 3 + 1)  # three trials of two or three folds, three refits, the model
    driver = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, start_new_session=True)
    try:
        assert_soon(lambda: (tmp_path / "epochs.log").exists() and len(epochs_in(tmp_path)) >= 100, seconds=120)
    finally:
        os.killpg(driver.pid, 9)
        driver.wait()
    time.sleep(2)
    before = len(epochs_in(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(8 * 12)]
    after = len(epochs_in(tmp_path))
    assert before < after <= n_epochs + 2 * 3 * 2, "at most two epochs of the folds of the two trials under way are redone"
    assert not list((tmp_path / ".foldwise" / "tune").iterdir())


@pytest.mark.slow
def test_a_process_is_told_its_share_of_a_gpu_and_one_without_sees_none(tmp_path):
    script = textwrap.dedent(f"""
        import os, secrets
        from foldwise.inputs.imports import add_import_paths
        add_import_paths({str(HELPERS)!r})
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(16), RAY_USAGE_STATS_ENABLED="0")
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "1"
        import ray
        ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
        import foldwise as fw
        from epoch_estimators import Troubled, epochs_in
        from sklearn.datasets import load_iris
        for gpu, schedule in [(0.25, None), (0, None), (0.5, {{"method": "asha", "max_epochs": 3}}), (1, {{"method": "asha", "max_epochs": 3}})]:
            folder = os.path.join({str(tmp_path)!r}, f"{{gpu}}-{{schedule is None}}")
            os.mkdir(folder)
            class Plain(Troubled):
                def fit(self, X, y):
                    return self.partial_fit(X, y, classes=[0, 1, 2])
            troubles = ["none", "oom"] if gpu == 0.25 else ["none"]
            search = fw.NestedSearchCV(
                Plain(folder, at=0), {{"trouble": troubles, "alpha": [1e-4, 1e-3]}}, outer_cv=3, random_state=0, search="grid",
                resources={{"cpu": 1, "gpu": gpu}}, schedule=schedule,
            ).fit(*load_iris(return_X_y=True))
            log = epochs_in(folder)
            print(gpu, *sorted({{(visible, share) for _, _, _, visible, share in log}}))
            if gpu == 0.25:
                spent = [pid for pid, trouble, *_ in log if trouble == "oom"]
                trials = search.trials_
                print(len(spent) == len(set(spent)), sorted(set(zip(trials["state"], trials["param_trouble"].astype(str)))))
                print(sorted(set(trials["error"].dropna().str.partition(":")[0])))
        """)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "raylet" not in line] == [
        "0.25 ('0', '0.25')",
        "True [('COMPLETE', 'none'), ('FAILED', 'oom')]",
        "['ResourceExhaustedError']",
        "0 ('none', 'unset')",
        "0.5 ('0', '0.5')",
        "1 ('0', 'unset')",
    ]
