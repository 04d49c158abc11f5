"""The whole flow with a schedule: asked, judged while they train, chosen, refitted by lineage, kept, found again."""

import json
import math
import sqlite3

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

import foldwise as fw
from foldwise.errors import Failure, FitFailedError, InputError, StudyFailedError
from foldwise.events import FitEnded, RunEnded, StudyEnded, TrialEnded
from foldwise.ledger import MemoryLedger
from foldwise.ledger.overview import prune
from foldwise.ledger.schema import SCHEMA
from foldwise.ledger.sql import SqlLedger
from foldwise.loop.pilot import fly
from foldwise.loop.run import Run
from foldwise.reduce.reduce import choose, cv_results
from foldwise.report import Report
from foldwise.search.optuna import OptunaSearch
from foldwise.testing import (
    FaultyEstimator,
    SerialScheduledExecutor,
    check_scheduled_executor,
    scheduled_plan,
    small_plan,
)
from foldwise.trial import FitResult, FoldScores, Segment, Trial, TrialEnd, TrialState
from foldwise.worker.lockstep import fits_of

UNSTOPPED = {"grace_epochs": 9}
SIZES = [(2,), (3, 2)]


def halve(params, epochs):
    """Change params as population based training does, though by a plain rule."""
    return {**params, "alpha": params["alpha"] / 2} if epochs % 3 == 0 else params


def run(plan, ledger=None, executor=None, **more):
    return Report(Run(plan, executor or SerialScheduledExecutor(), ledger, **more).execute())


def content(report):
    varies = {"seconds", "n_fits", "n_fits_found", "n_fits_shared", "mlflow_run_id"}
    whole = {key: value for key, value in report.to_dict().items() if key not in varies}
    whole["outer"] = [{key: value for key, value in one.items() if key != "seconds"} for one in whole["outer"]]
    return whole


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path):
    return SqlLedger(request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "ledger.db"))


class Scripted(SerialScheduledExecutor):
    """Says of a trial what a script says, and judges nothing."""

    def __init__(self, script):
        super().__init__()
        self._script = script

    def _run(self, name, trial):
        end = super()._run(name, trial)
        return self._script(trial, end)


# --- what a schedule does ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "change"), [("asha", None), ("pbt", halve)])
def test_the_executor_of_tests_conforms(method, change):
    check_scheduled_executor(lambda: SerialScheduledExecutor(change), method)


def test_where_nothing_is_stopped_the_scores_are_those_of_full_training():
    space = {"learning_rate": [0.1, 1.0], "max_depth": [1, 2]}
    plain = fw.SerialExecutor()
    model = GradientBoostingClassifier(n_estimators=4)
    expected = Report(Run(small_plan(model, space, scoring="neg_log_loss"), plain).execute())
    schedule = {"max_epochs": 4, "grace_epochs": 4}
    got = run(scheduled_plan(estimator=model, space=space, scoring="neg_log_loss", schedule=schedule))
    assert [one.params for one in got.outer] == [one.params for one in expected.outer]
    assert got.scores == expected.scores
    assert got.best_params == expected.best_params
    assert got.training.n_epochs == got.training.n_epochs_full


def test_a_study_trains_and_scores_no_row_of_its_outer_fold():
    plan = scheduled_plan()
    for study in plan.studies:
        for fit in fits_of(plan, study, Trial(0, {"alpha": 1.0})):
            seen = {row for key in (fit.train, *fit.held_out) for row in plan.rows[key]}
            judged = set() if study.judged is None else set(plan.rows[study.judged.held_out])
            assert not seen & judged


def test_a_choice_is_refitted_for_the_epochs_and_with_the_params_of_its_trial():
    heard = []
    plan = scheduled_plan("pbt")
    report = run(plan, executor=SerialScheduledExecutor(halve), listeners=[heard.append])
    ended = {(e.study, e.trial.number): e.trial for e in heard if isinstance(e, TrialEnded)}
    for study, outer in zip([e for e in heard if isinstance(e, StudyEnded) if e.outer], report.outer, strict=True):
        chosen = ended[study.study, study.chosen.number]
        assert outer.lineage == chosen.lineage
        assert [segment.epochs for segment in chosen.lineage] == [3, 3, 3]
        first, _, last = (segment.params["alpha"] for segment in chosen.lineage)
        assert outer.params["alpha"] == last == first / 4
    assert report.best_params == report.best_lineage[-1].params
    assert report.to_dict()["best_lineage"][1] == {"epochs": 3, "params": {"alpha": report.best_params["alpha"] * 2}}
    assert "Changed in training (epochs: params):" in str(report)
    assert "  final model: 1-3: alpha=" in str(report)
    model = next(e.model.model for e in heard if isinstance(e, RunEnded))
    assert model.alpha == report.best_params["alpha"]
    assert model.t_ == 9 * 150 + 1  # nine epochs of all rows


def test_a_report_says_what_was_stopped_and_that_it_cannot_be_repeated():
    report = run(scheduled_plan())
    told = report.to_dict()
    assert told["deterministic"] is False
    assert told["schedule"]["method"] == "asha"
    assert 0 < told["schedule"]["n_stopped"] < told["schedule"]["n_trials"] == 24
    assert told["schedule"]["n_epochs"] < told["schedule"]["n_epochs_full"] == 24 * 9 * 9 // 4
    assert f"asha stopped {told['schedule']['n_stopped']} of 24 trials early" in str(report)
    assert "not repeatable to the bit" in str(report)
    plain = Report(Run(small_plan(), fw.SerialExecutor()).execute())
    assert plain.to_dict()["deterministic"] is True
    assert plain.to_dict()["schedule"] is None
    assert "repeatable" not in str(plain)


def test_fits_are_counted_like_all_others():
    heard = []
    plan = scheduled_plan()
    report = run(plan, listeners=[heard.append])
    assert report.n_fits + report.n_fits_shared == report.n_fits_plain == plan.n_fits_at_most
    assert sum(isinstance(event, FitEnded) for event in heard) == report.n_fits
    assert sum(isinstance(event, TrialEnded) for event in heard) == 24


def test_a_stopped_trial_never_wins():
    def stop_the_best(trial, end):
        return TrialEnd(end.study, end.number, TrialState.PRUNED if trial.params["alpha"] == 0.01 else end.state, *tail(end))

    def tail(end):
        return end.results, end.lineage, end.curve

    heard = []
    report = run(scheduled_plan(schedule=UNSTOPPED), executor=Scripted(stop_the_best), listeners=[heard.append])
    assert 0.01 not in {one.params["alpha"] for one in report.outer}
    trials = [event.trial for event in heard if isinstance(event, TrialEnded)]
    assert max(trials, key=lambda trial: trial.value).state is TrialState.PRUNED  # which is why it had to be held back


def trial_of(number, value, state, epochs=3):
    scores = {"score": FoldScores((value, value))}
    lineage = (Segment({"a": number}, epochs),)
    return Trial(number, {"a": number}, state, scores, value, fit_seconds=(0.0, 0.0), score_seconds=(0.0, 0.0), lineage=lineage)


def test_stopped_trials_rank_behind_all_that_can_win():
    complete, pruned = TrialState.COMPLETE, TrialState.PRUNED
    trials = [
        trial_of(0, 0.9, pruned, 1), trial_of(1, 0.5, complete), trial_of(2, 0.7, complete), trial_of(3, 0.8, pruned, 2),
        trial_of(4, math.nan, pruned, 0),
    ]  # fmt: skip
    results = cv_results(trials)
    assert results["rank_test_score"].tolist() == [3, 2, 1, 4, 5]
    assert results["mean_test_score"].tolist()[:4] == [0.9, 0.5, 0.7, 0.8]
    assert results["epochs"].tolist() == [1, 3, 3, 2, 0]
    assert choose(trials, "score").trial is trials[2]
    assert choose(trials, lambda columns: int(np.argmax(columns["mean_test_score"]))).trial is trials[2]
    assert choose([trials[0]], "score") is None
    assert choose([trials[0]], lambda columns: 0) is None
    with pytest.raises(InputError, match="an index from 0 to 1"):  # of those that it was handed
        choose(trials, lambda columns: 3)


def test_a_failed_trial_is_not_chosen_for_its_error_score():
    plan = scheduled_plan(
        estimator=FaultyEstimator(seconds=0.0), space={"fault": [None, "raise"], "bias": [0.0, 0.1]}, error_score=5.0, schedule=UNSTOPPED
    )  # fmt: skip
    heard = []
    report = run(plan, listeners=[heard.append])
    assert report.best_params == {"bias": 0.1, "fault": None}
    failed = [e.trial for e in heard if isinstance(e, TrialEnded) and e.trial.state is TrialState.FAILED]
    assert len(failed) == 8
    assert {trial.error.kind for trial in failed} == {"ValueError"}
    assert {trial.epochs for trial in failed} == {0}
    assert {trial.value for trial in failed} == {5.0}


# --- the ways out -----------------------------------------------------------------------------------------------------


def test_error_score_raise_ends_the_run_and_keeps_no_failure(ledger):
    plan = scheduled_plan(estimator=FaultyEstimator(seconds=0.0), space={"fault": [None, "raise"]}, error_score="raise")
    executor = SerialScheduledExecutor()
    with pytest.raises(FitFailedError, match="fault asked for"):
        run(plan, ledger, executor)
    entries = ledger.open(plan)
    asked = plan.problem.settings.search.open(plan.problem.space, 2, plan.search_seed).ask(2)
    assert len(entries.find_trials([plan.trial_key("final", trial) for trial in asked])) == 1
    entries.close()


def test_a_cause_that_all_trials_share_ends_the_run_early():
    space = {"bias": fw.Float(0, 1)}
    plan = scheduled_plan(estimator=FaultyEstimator("raise", seconds=0.0), space=space, search=fw.RandomSearch(), n_trials=25)
    executor = SerialScheduledExecutor()
    with pytest.raises(StudyFailedError, match=r"the first 20 trials all failed.*ValueError"):
        run(plan, executor=executor)
    assert executor.n_epochs == 20
    with pytest.raises(StudyFailedError, match="none of the 2 trials of study final has a score"):
        run(scheduled_plan(estimator=FaultyEstimator("raise", seconds=0.0), space={"bias": [0.0, 0.1]}))


def test_a_run_that_is_told_to_stop_gives_trials_up_and_goes_on_later():
    plan, ledger, heard = scheduled_plan(schedule=UNSTOPPED), MemoryLedger(), []

    def stop():
        return sum(isinstance(event, TrialEnded) for event in heard) >= 7

    class Slow(SerialScheduledExecutor):
        def trial_ends(self, timeout=None):
            return [] if stop() else super().trial_ends(timeout)

    executor = Slow()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foldwise.loop.run._GRACE", 0.1)
        report = run(plan, ledger, executor, listeners=[heard.append], stop=stop)
    assert report.partial
    assert report.ended == "interrupted"
    assert executor.n_epochs == 7 * 9
    heard.clear()
    on = SerialScheduledExecutor()
    report = run(plan, ledger, on)
    assert on.n_epochs == (24 - 7) * 9  # what is finished is not trained again
    assert content(report) == content(run(plan))


def test_an_interruption_keeps_what_has_ended(ledger):
    plan = scheduled_plan(schedule=UNSTOPPED)

    class Interrupting(SerialScheduledExecutor):
        def trial_ends(self, timeout=None):
            if self.n_epochs == 5 * 9:
                raise KeyboardInterrupt
            return super().trial_ends(timeout)

    with pytest.raises(KeyboardInterrupt) as caught:
        run(plan, ledger, Interrupting())
    assert Report(caught.value.archive).ended == "interrupted"
    on = SerialScheduledExecutor()
    run(plan, ledger, on)
    assert on.n_epochs == (24 - 5) * 9


class Recording(SerialScheduledExecutor):
    """Notes what it hears of ends."""

    def __init__(self):
        super().__init__()
        self.recalled, self.confirmed = [], []

    def recall(self, ends):
        self.recalled += [(end.study, end.number) for end in ends]
        super().recall(ends)

    def confirm(self, ends):
        self.confirmed += [(end.study, end.number) for end in ends]


def test_a_run_that_goes_on_judges_by_the_trials_that_had_ended():
    plan, ledger = scheduled_plan(), MemoryLedger()

    class Interrupting(SerialScheduledExecutor):
        n_ended = 0

        def trial_ends(self, timeout=None):
            if self.n_ended == 9:
                raise KeyboardInterrupt
            self.n_ended += 1
            return super().trial_ends(timeout)

    with pytest.raises(KeyboardInterrupt):
        run(plan, ledger, Interrupting())
    executor = Recording()
    report = run(plan, ledger, executor)
    assert len(executor.recalled) == 9
    assert content(report) == content(run(plan)), "one trial after the other, it judges as if it had never stopped"


def test_an_end_is_confirmed_once_the_ledger_has_it():
    plan = scheduled_plan(schedule=UNSTOPPED)

    def full(self, ended):
        raise OSError("no space left on the device")

    ledger, executor, again = MemoryLedger(), Recording(), Recording()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("foldwise.ledger.memory.MemoryLedgerView.put_trials", full)
        with pytest.raises(OSError, match="no space left"):
            run(plan, ledger, executor)
    assert executor.confirmed == []
    run(plan, ledger, executor)
    assert len(executor.confirmed) == len(set(executor.confirmed)) == 24
    run(plan, ledger, again)
    assert sorted(again.confirmed) == sorted(again.recalled) == sorted(executor.confirmed)


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_a_job_that_runs_again_finds_its_trials(ledger):
    for plan, executor in [
        (scheduled_plan(), SerialScheduledExecutor()),
        (scheduled_plan("pbt"), SerialScheduledExecutor(halve)),
    ]:
        first = run(plan, ledger, executor)
        again_executor, heard = SerialScheduledExecutor(halve), []
        again = run(plan, ledger, again_executor, listeners=[heard.append])
        assert again_executor.n_epochs == 0
        assert content(again) == content(first)
        assert (again.n_fits, again.n_fits_found) == (1, first.n_fits - 1)  # all but the final model
        trials = [event.trial for event in heard if isinstance(event, TrialEnded)]
        assert all(trial.curve[-1] == (trial.epochs, pytest.approx(trial.value)) for trial in trials)


def test_params_that_json_has_no_word_for_come_back_from_the_ledger(ledger):
    mlp = MLPClassifier()
    space = {"hidden_layer_sizes": SIZES, "alpha": [0.1, np.float64(1.0)], "batch_size": [np.int64(50)]}
    schedule = {"method": "pbt", "max_epochs": 3, "grace_epochs": 3}
    plan = scheduled_plan(estimator=mlp, space=space, schedule=schedule)

    def end(number):
        change = Segment({"hidden_layer_sizes": SIZES[1], "alpha": 0.1 + 0.2, "batch_size": np.int64(50)}, 2)
        lineage = (Segment({"hidden_layer_sizes": SIZES[0], "alpha": 1.0, "batch_size": 50}, 1), change)
        scores = [{key: {"score": 0.1 + 0.2} for key in plan.asked_of(fold)} for fold in plan.studies[0].folds]
        fits = [plan.fit({}, fold.train, lineage=lineage) for fold in plan.studies[0].folds]
        results = tuple(
            FitResult(fit.key, one, 1.5, 0.25, dict.fromkeys(one, 0.1)) for fit, one in zip(fits, scores, strict=True)
        )
        return fits, TrialEnd("outer-0", number, TrialState.COMPLETE, results, lineage, ((1, 0.5), (3, 0.1 + 0.2)))

    fits, put = end(0)
    entries = ledger.open(plan)
    entries.put_trials([("a" * 32, tuple(fits), put)])
    (found,) = entries.find_trials(["a" * 32, "b" * 32]).values()
    assert found == put
    assert type(found.lineage[0].params["hidden_layer_sizes"]) is tuple
    assert found.lineage[1].params["alpha"] == 0.1 + 0.2
    other = ledger.open(scheduled_plan(estimator=mlp, space={**space, "hidden_layer_sizes": [(7,)]}, schedule=schedule))
    assert other.find_trials(["a" * 32]) == {}  # a value that the space has no more
    entries.close()
    other.close()


def test_failures_are_found_and_forgotten(ledger, tmp_path):
    counter = tmp_path / "counter"
    faulty = FaultyEstimator(seconds=0.0, times=3, counter=str(counter))  # the three folds of the first trial
    plan = scheduled_plan(estimator=faulty, space={"fault": ["nan", None], "bias": [0.0, 0.1]}, schedule=UNSTOPPED)
    first = run(plan, ledger)
    assert first.n_fits_failed == 3
    again = run(plan, ledger)
    assert again.n_fits_failed == first.n_fits_failed
    assert ledger.forget_failed(plan) == first.n_fits_failed
    assert run(plan, ledger).n_fits_failed == 0
    assert ledger.forget_failed(plan) == 0


def test_a_failed_trials_folds_answer_for_no_other_fit(tmp_path):
    counter = tmp_path / "counter"
    faulty = FaultyEstimator(seconds=0.0, after=4, times=1, counter=str(counter))  # one fold, in the second epoch
    plan = scheduled_plan(estimator=faulty, space={"fault": ["raise"], "bias": [0.0, 0.1]}, schedule=UNSTOPPED)
    ledger, heard = MemoryLedger(), []
    run(plan, ledger, listeners=[heard.append])
    failed = next(e.trial for e in heard if isinstance(e, TrialEnded) and e.trial.state is TrialState.FAILED)
    assert failed.epochs == 1
    fits = [plan.fit(failed.params, fold.train, lineage=failed.lineage) for fold in plan.studies[-1].folds]
    assert ledger.open(plan).find(fits) == {}


def test_a_memory_ledger_holds_trials_too():
    ledger, plan = MemoryLedger(), scheduled_plan()
    first, executor = run(plan, ledger), SerialScheduledExecutor()
    assert content(run(plan, ledger, executor)) == content(first)
    assert executor.n_epochs == 0


def test_a_pruned_ledger_trains_again(tmp_path):
    address = str(tmp_path / "ledger.db")
    plan, executor = scheduled_plan(), SerialScheduledExecutor()
    run(plan, SqlLedger(address))
    with sqlite3.connect(address) as connection:
        assert connection.execute("SELECT COUNT(*) FROM foldwise_trials").fetchone() == (24,)
        key, folds = connection.execute("SELECT key, folds FROM foldwise_trials WHERE state = 'COMPLETE' LIMIT 1").fetchone()
        connection.execute("DELETE FROM foldwise_fits WHERE key = ?", (json.loads(folds)[0][0],))
    entries = SqlLedger(address).open(plan)
    assert entries.find_trials([key]) == {}  # a trial whose folds are not all there is none
    entries.close()
    prune(address, job=plan.problem.settings.name)
    with sqlite3.connect(address) as connection:
        assert connection.execute("SELECT COUNT(*) FROM foldwise_trials").fetchone() == (0,)
    run(plan, SqlLedger(address), executor)
    assert executor.n_epochs > 0


def test_a_ledger_of_an_earlier_schema_is_brought_up_to_date(tmp_path):
    address = str(tmp_path / "ledger.db")
    plain = small_plan()
    before = Report(Run(plain, fw.SerialExecutor(), SqlLedger(address)).execute())
    with sqlite3.connect(address) as connection:
        connection.execute("DROP TABLE foldwise_trials")
        connection.execute("UPDATE foldwise_meta SET value = '1' WHERE name = 'schema'")
    assert Report(Run(plain, fw.SerialExecutor(), SqlLedger(address)).execute()).n_fits_found == before.n_fits - 1
    run(scheduled_plan(), SqlLedger(address))
    with sqlite3.connect(address) as connection:
        assert connection.execute("SELECT value FROM foldwise_meta WHERE name = 'schema'").fetchone() == (str(SCHEMA),)


# --- searches and faces -----------------------------------------------------------------------------------------------


def test_an_adapting_search_is_asked_in_batches_and_told_of_stopped_trials():
    submitted = []

    class Watching(SerialScheduledExecutor):
        def submit_trials(self, study, trials):
            submitted.append((study, len(trials)))
            super().submit_trials(study, trials)

        def end_study(self, study):
            submitted.append((study, 0))

    plan = scheduled_plan(space={"alpha": fw.Float(1e-4, 10, log=True)}, search=OptunaSearch(), n_trials=7, batch=3)
    session = Run(plan, Watching())
    report = Report(session.execute())
    for study in plan.studies:
        assert [n for name, n in submitted if name == study.name] == [3, 3, 1, 0]
    live = session.studies["final"]
    told = live.asker.native.trials
    assert [t.state.name for t in told] == [t.state.value for t in live.trials]
    stopped = [t for t in told if t.state.name == "PRUNED"]
    assert stopped
    for one in stopped:
        trial = live.trials[one.number]
        assert one.last_step == trial.epochs
        assert one.value == one.intermediate_values[trial.epochs] == trial.value
    assert live.asker.native.best_trial.number == live.chosen.number
    assert report.n_params == 7


def test_the_estimator_shows_epochs_curves_and_lineages():
    search = fw.NestedSearchCV(
        SGDClassifier(), {"alpha": [1e-4, 1e-2, 1.0, 10.0]}, search="grid", outer_cv=3, random_state=0,
        schedule={"method": "asha", "max_epochs": 9, "grace_epochs": 2}, executor=SerialScheduledExecutor(),
    )  # fmt: skip
    assert clone(search).schedule == search.schedule
    search.fit(*load_iris(return_X_y=True))
    trials = search.trials_
    assert {"epochs", "curve"} <= set(trials.columns)
    assert "lineage" not in trials.columns
    assert set(trials["state"]) == {"COMPLETE", "PRUNED"}
    assert (trials.loc[trials["state"] == "COMPLETE", "epochs"] == 9).all()
    assert (trials.loc[trials["state"] == "PRUNED", "epochs"] < 9).all()
    assert [curve[-1][0] for curve in trials["curve"]] == trials["epochs"].tolist()
    assert search.cv_results_["rank_test_score"][search.best_index_] == 1
    assert search.cv_results_["epochs"][search.best_index_] == 9
    assert search.best_score_ == search.cv_results_["mean_test_score"][search.best_index_]
    assert search.predict(load_iris().data).shape == (150,)

    search.set_params(schedule={"method": "pbt", "max_epochs": 9}, executor=SerialScheduledExecutor(halve))
    search.fit(*load_iris(return_X_y=True))
    assert search.trials_["lineage"][0][0]["epochs"] == 3
    assert search.best_params_ == search.cv_results_["params"][search.best_index_]
    assert search.best_params_ == search.trials_["lineage"].iloc[-4:].iloc[search.best_index_][-1]["params"]


def test_train_scores_are_those_of_the_last_epoch():
    search = fw.NestedSearchCV(
        SGDClassifier(), {"alpha": [1e-4, 1.0]}, search="grid", outer_cv=3, random_state=0, return_train_score=True,
        schedule={"method": "asha", "max_epochs": 2}, executor=SerialScheduledExecutor(),
    ).fit(*load_iris(return_X_y=True))  # fmt: skip
    assert np.isfinite(search.cv_results_["mean_train_score"]).all()


def test_a_pilot_says_what_all_epochs_would_cost_at_most():
    plan = scheduled_plan(schedule={"max_epochs": 900, "grace_epochs": 2})
    flown = fly(plan, SerialScheduledExecutor())
    assert flown.is_at_most
    assert flown.n_fits == 6
    assert flown.cpu_seconds > 58 * 450 * 1e-4
    assert "at most" in flown.explain()


def test_a_pilot_goes_by_a_name_of_its_own():
    plan, opened = scheduled_plan(), []

    class Watched(SerialScheduledExecutor):
        def open(self, plan, n_jobs=None):
            opened.append(plan)
            super().open(plan, n_jobs)

    fly(plan, Watched())
    (flown,) = opened
    assert flown.problem.key != plan.problem.key
    assert flown.problem.key.startswith("pilot-")
    assert flown.fit({"alpha": 1.0}, plan.whole).key == plan.fit({"alpha": 1.0}, plan.whole).key


def test_failures_tell_their_causes_in_the_report():
    space = {"fault": [None, "nan"], "bias": [0.0, 0.1]}
    heard = []
    report = run(scheduled_plan(estimator=FaultyEstimator(seconds=0.0), space=space), listeners=[heard.append])
    assert report.n_fits_failed == 2 * (3 * 2 + 3)
    failed = next(e.trial for e in heard if isinstance(e, TrialEnded) and e.trial.error is not None)
    assert isinstance(failed.error, Failure)
    assert failed.error.kind == "NonFiniteScore"
    assert not report.partial
