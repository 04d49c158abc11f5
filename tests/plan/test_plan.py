"""A plan counts its fits as a nested search by hand would run them, and names each by what it learns from."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, RepeatedStratifiedKFold, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR

import foldwise as fw
from foldwise.data import Dataset
from foldwise.keys import digest_rows
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.settings import Settings
from foldwise.plan.study import FINAL
from foldwise.plan.summary import PlanSummary
from foldwise.search import GridSearch, RandomSearch
from foldwise.search.optuna import OptunaSearch
from foldwise.space.dimension import Float
from foldwise.testing import small_plan

X, Y = load_iris(return_X_y=True)
SIX = {"C": [1, 10, 100], "gamma": [0.01, 0.1]}
HUNDRED = {"C": list(range(1, 101))}


def plan(space=SIX, **changes):
    given = {"dataset": Dataset(X, Y), "estimator": SVC(), "search": GridSearch(), "random_state": 0, **changes}
    return Plan.of(make_problem(given.pop("dataset"), given.pop("estimator"), space, Settings.of(given)))


def listed(one, params):
    """List the keys of all fits that the searches of a plan ask for, and of the outer refits and the final model."""
    keys = {one.fit(p, fold.train).key for study in one.studies for fold in study.folds for p in params}
    keys |= {one.fit(params[0], study.judged.train).key for study in one.studies if study.judged}
    return keys | ({one.fit(params[0], one.whole, keep_model=True).key} if one.problem.settings.has_final_model else set())


def asked(one):
    return [
        t.params for t in one.problem.settings.search.open(one.problem.space, one.n_trials, one.search_seed).ask(one.n_trials)
    ]


# --- counts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "folds", "plain", "shared"),
    [(SIX, 5, 156, 91), (HUNDRED, 5, 2506, 1501), (HUNDRED, 10, 10011, 5501), (SIX, 3, 58, 37)],
)
def test_shared_folds_need_the_published_number_of_fits(space, folds, plain, shared):
    made = plan(space, outer_cv=folds)
    n_params = made.n_trials
    assert plain == n_params * (folds * (folds - 1) + folds) + folds + 1
    assert shared == n_params * (folds * (folds - 1) // 2 + folds) + 1
    assert (made.n_fits, made.n_fits_plain, made.n_fits_at_most) == (shared, plain, shared)
    assert len(listed(made, asked(made))) == shared


@pytest.mark.parametrize(
    "changes",
    [
        {"outer_cv": KFold(4, shuffle=True)},
        {"outer_cv": RepeatedStratifiedKFold(n_splits=3, n_repeats=2)},
        {"outer_cv": 4, "repeats": 2},
        {"inner_cv": 3},
        {"inner_cv": StratifiedKFold(4)},
        {"outer_cv": StratifiedKFold(3, shuffle=True), "inner_cv": StratifiedKFold(2, shuffle=True)},
        {"refit": False},
        {"search": RandomSearch(), "n_trials": 4},
    ],
    ids=str,
)
def test_distinct_fits_are_counted(changes):
    made = plan(**changes)
    assert made.n_fits == len(listed(made, asked(made)))
    n_outer = len(made.studies) - 1
    n_inner = sum(len(study.folds) for study in made.studies[:-1])
    n_final = len(made.studies[-1].folds)
    assert made.n_fits_plain == made.n_trials * (n_inner + n_final) + n_outer + made.problem.settings.has_final_model


def test_inner_folds_of_a_splitters_own_share_no_fits():
    made = plan(inner_cv=StratifiedKFold(3, shuffle=True))
    assert made.n_fits == made.n_fits_plain == 6 * (5 * 3 + 3) + 5 + 1


def test_inner_folds_that_are_the_outer_ones_share_the_outer_refits():
    made = plan(outer_cv=5, inner_cv=StratifiedKFold(5))
    assert made.studies[-1].folds == tuple(study.judged for study in made.studies[:-1])
    assert made.n_fits == made.n_fits_plain - 5


def test_inner_folds_that_happen_to_learn_from_the_same_rows_share_their_fits():
    # without shuffling, leaving out rows 0-9 and then 10-23 of a class leaves what 10-19 and then 0-9 and 20-23 leave
    assert plan(inner_cv=3).n_fits == 6 * (5 * 3 - 2 + 3) + 5 + 1


def test_repeats_share_within_themselves():
    assert plan(outer_cv=3, repeats=4).n_fits == 6 * 4 * (3 + 3) + 1


def test_equal_params_are_counted_once():
    assert plan([{"C": [1, 10]}, {"C": [10, 100]}]).n_fits == 3 * 15 + 1
    assert plan({"C": [1, 1]}).n_fits == 1 * 15 + 1


def test_an_adapting_search_is_bounded():
    made = plan({"C": Float(1, 2)}, search=OptunaSearch(), n_trials=10)
    assert made.n_fits is None
    assert made.n_fits_at_most == 10 * (5 * 4 + 5) + 5 + 1 == made.n_fits_plain


def test_what_each_study_asked_is_counted_for_itself():
    made = plan({"C": Float(1, 2)}, search=OptunaSearch(), n_trials=10)
    assert PlanSummary.of(made).plain_fits({"outer-0": 3, FINAL: 2}) == 3 * 4 + 2 * 5 + 5 + 1


def test_many_trials_are_taken_to_differ():
    made = plan({"C": list(range(1, 500)), "gamma": list(range(1, 500))}, n_trials=499**2)
    assert made.n_fits == 499**2 * 15 + 1


# --- studies ----------------------------------------------------------------------------------------------------------


def test_the_final_study_splits_all_rows_as_the_inner_splitter_does():
    made = plan(outer_cv=3, inner_cv=StratifiedKFold(4))
    found = [(made.rows[fold.train].tolist(), made.rows[fold.held_out].tolist()) for fold in made.studies[-1].folds]
    assert found == [(train.tolist(), held_out.tolist()) for train, held_out in StratifiedKFold(4).split(X, Y)]
    assert "a final one over the inner splitter's folds of all rows" in made.explain()


def test_there_is_a_study_per_outer_fold_and_a_final_one_over_the_outer_folds():
    made = plan(outer_cv=3)
    assert [study.name for study in made.studies] == ["outer-0", "outer-1", "outer-2", "final"]
    *outer, final = made.studies
    assert [study.judged for study in outer] == list(final.folds)
    assert final.judged is None
    for study, (train, held_out) in zip(outer, StratifiedKFold(3).split(X, Y), strict=True):
        assert made.rows[study.judged.train].tolist() == train.tolist()
        assert made.rows[study.judged.held_out].tolist() == held_out.tolist()
    assert made.rows[made.whole].tolist() == list(range(150))
    assert all(digest_rows(rows) == key for key, rows in made.rows.items())


def test_a_fit_is_scored_on_all_that_any_study_wants_of_its_rows():
    made = plan(outer_cv=3)
    one, other, _ = made.studies[-1].folds
    assert set(made.fit({}, one.train).held_out) == {one.held_out}
    [without_both] = {fold.train for fold in made.studies[0].folds} & {fold.train for fold in made.studies[1].folds}
    assert set(made.fit({}, without_both).held_out) == {one.held_out, other.held_out}
    assert made.fit({}, made.whole).held_out == ()


def test_train_scores_are_wanted_where_asked_for():
    made = plan(outer_cv=3, return_train_score=True)
    assert all(fold.train in made.held_out[fold.train] for study in made.studies for fold in study.folds)
    assert made.n_fits == plan(outer_cv=3).n_fits


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 6), st.sampled_from(["shared", 2, 3]), st.booleans())
def test_no_study_is_told_of_the_rows_that_judge_it(n_folds, inner, shuffle):
    made = plan(outer_cv=StratifiedKFold(n_folds, shuffle=shuffle), inner_cv=inner)
    for study in made.studies[:-1]:
        judging = set(made.rows[study.judged.held_out])
        for fold in study.folds:
            assert judging.isdisjoint(made.rows[fold.train])
            assert judging.isdisjoint(made.rows[fold.held_out])


# --- keys -------------------------------------------------------------------------------------------------------------


def key(params=None, **changes):
    """Return the key of the fit on the first fold of the final study."""
    made = plan(**changes)
    return made.fit({"C": 1} if params is None else params, made.studies[-1].folds[0].train).key


@pytest.mark.parametrize(
    "changes",
    [
        {"scoring": "f1_macro"},
        {"search": RandomSearch(), "n_trials": 3},
        {"space": {"C": [1]}},
        {"return_train_score": True},
        {"refit": False},
        {"error_score": 0},
        {"resources": {"cpu": 2}},
        {"name": "other"},
        {"dataset": Dataset(X.copy(), Y.copy(), name="other")},
        {"outer_cv": StratifiedKFold(5)},
        {"estimator": SVC(C=1.0)},
    ],
    ids=str,
)
def test_what_a_fit_does_not_learn_from_leaves_its_key(changes):
    assert key(**changes) == key()


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"C": 2}},
        {"params": {"C": 1.0}},
        {"params": {"C": 1, "gamma": "scale"}},
        {"estimator": SVC(gamma=0.1)},
        {"estimator": SVC(random_state=0)},
        {"dataset": Dataset(X + 1, Y)},
        {"dataset": Dataset(X, (Y + 1) % 3)},
        {"dataset": Dataset(X.astype("float32"), Y)},
        {"dataset": Dataset(X, Y, fit_params={"sample_weight": np.ones(150)})},
        {"outer_cv": 4},
        {"random_state": 1},
    ],
    ids=str,
)
def test_what_a_fit_learns_from_changes_its_key(changes):
    assert key(**changes) != key()


def test_rows_in_another_order_are_another_fit():
    folds = [(a, b) for a, b in StratifiedKFold(3).split(X, Y)]
    turned = [(a[::-1], b) for a, b in folds]
    assert key(outer_cv=folds) != key(outer_cv=turned)


def test_keeping_the_model_is_no_other_fit():
    made = plan()
    plain, kept = made.fit({"C": 1}, made.whole), made.fit({"C": 1}, made.whole, keep_model=True)
    assert plain.key == kept.key
    assert (plain.keep_model, kept.keep_model) == (False, True)


# --- seeds ------------------------------------------------------------------------------------------------------------


def test_a_fits_seed_depends_on_its_rows_and_the_jobs_seed_alone():
    made = plan()
    trains = {fold.train for study in made.studies for fold in study.folds}
    assert all(made.fit({"C": 1}, train).seed == made.fit({"C": 2}, train).seed for train in trains)
    assert len({made.fit({}, train).seed for train in trains}) == len(trains) == 15
    assert plan(space=HUNDRED, scoring="f1_macro").seeds == made.seeds
    assert set(plan(random_state=1).seeds.values()).isdisjoint(made.seeds.values())


def test_searches_are_seeded_with_the_jobs_seed():
    assert plan(random_state=7).search_seed == 7


# --- words ------------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_will_run():
    assert plan(name="iris", dataset=Dataset(X, Y, name="load_iris")).explain().splitlines() == [
        "iris: SVC on load_iris, 150 x 4, seed 0",
        "search     grid, 6 trials per study over 2 params",
        "folds      5 outer; 4 inner, from the other outer folds (shared)",
        "studies    6: one per outer fold, and a final one over the outer folds of all rows",
        "scoring    score; score chooses",
        "fits       91 to run; a nested search that shares nothing would run 156 (0.58 of them)",
    ]


def test_a_plan_says_what_an_adapting_search_may_run():
    made = plan({"C": Float(1, 2)}, search=OptunaSearch(), n_trials=10, scoring=["accuracy", "f1_macro"], refit=len, inner_cv=3)
    text = made.explain()
    assert "search     optuna, 10 trials per study over 1 param, asked 8 at a time" in text
    assert "5 outer; 3 inner, from a splitter of their own" in text
    assert "scoring    accuracy, f1_macro; a function chooses" in text
    assert "fits       at most 186; what studies ask alike runs once" in text


def test_a_plan_says_that_groups_are_held_together():
    groups = np.arange(150) % 30
    assert "; 30 groups, held together in both loops" in plan(dataset=Dataset(X, Y, groups)).explain()


@pytest.mark.parametrize(
    ("scoring", "error_score", "is_told"),
    [("neg_log_loss", 0, True), ("accuracy", 1.0, True), ("accuracy", 0, False), ("neg_log_loss", np.nan, False), ("accuracy", "raise", False)],
)  # fmt: skip
def test_an_error_score_that_nothing_beats_is_warned_of(scoring, error_score, is_told):
    text = plan(estimator=SVC(probability=True), scoring=scoring, error_score=error_score).explain()
    assert (
        f"warning    error_score={error_score}, the score of failed fits, is no worse" in text.replace("1,", "1.0,")
    ) == is_told


def test_uneven_inner_loops_are_told():
    folds = [(np.arange(60), np.arange(60, 80)), (np.arange(80), np.arange(80, 100)), (np.arange(100), np.arange(100, 150))]
    regress = plan({"epsilon": [1]}, dataset=Dataset(X, X[:, 0]), estimator=SVR(), outer_cv=folds, inner_cv=TimeSeriesSplit(4))
    assert [len(study.folds) for study in regress.studies] == [4, 4, 4, 4]
    assert "3 outer; 4 inner" in regress.explain()


def test_nothing_of_a_plan_is_left_to_chance():
    one, other = plan(outer_cv=StratifiedKFold(4, shuffle=True)), plan(outer_cv=StratifiedKFold(4, shuffle=True))
    assert one.seeds == other.seeds
    assert listed(one, asked(one)) == listed(other, asked(other))
    assert list(itertools.chain(*one.held_out.values())) == list(itertools.chain(*other.held_out.values()))


def test_transformer_fits_are_counted_without_and_with_sharing():
    pipeline = make_pipeline(StandardScaler(), PCA(), SVC())
    one = plan({"pca__n_components": [1, 2], "svc__C": [1, 10, 100]}, estimator=pipeline, outer_cv=5)
    # Without: two transformers in each plain fit. With: one scaler and two PCAs on each of 15 train sets, and the final model.
    assert one.n_transformer_fits == (2 * one.n_fits_plain, 3 * 15 + 2)
    assert "47 transformer fits at best; without sharing 312" in one.explain()
    assert one.summary()["n_transformer_fits"] == 47


def test_a_plan_warns_where_a_batch_cannot_fill_the_cores():
    one = plan({"C": Float(0.1, 10)}, search=OptunaSearch(), n_trials=10, batch=2, outer_cv=3)
    assert one.n_fits_at_once == 2 * (3 * 2 + 3)
    assert "warning" not in one.explain(n_cores=18)
    assert "leaves 2 of 20 cores idle; a larger batch fills them" in one.explain(n_cores=20)
    assert "warning" not in one.explain()


def test_a_grid_of_a_million_params_is_never_materialised():
    grid = {name: list(range(100)) for name in ("C", "gamma", "coef0")}
    tracemalloc.start()
    one = plan(grid, outer_cv=3)
    asker = one.problem.settings.search.open(one.problem.space, one.n_trials, 0)
    assert (one.n_trials, len(asker.ask(5))) == (1_000_000, 5)
    assert one.n_fits == 6_000_001
    one.explain()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6


def test_a_plan_says_that_a_scorers_scores_are_not_found_again():
    stream = (line for line in "ab")

    def scorer(estimator, X, y):
        return estimator.score(X, y) if stream else 0.0

    said = small_plan(scoring=scorer).explain()
    assert "not shared the scorer cannot be read by content" in said
    assert "not shared" not in small_plan().explain()


def test_a_plan_whose_steps_are_all_passed_through_is_told_and_run():
    search = fw.NestedSearchCV(
        make_pipeline("passthrough", SVC()), {"svc__C": [1, 10]}, search="grid", executor="serial", outer_cv=3
    )
    X, y = load_iris(return_X_y=True)
    assert "shared     " not in search.plan(X, y).explain()
    assert search.fit(X, y).n_fits_ == 13
