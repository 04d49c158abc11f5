"""Optuna's samplers: asked alike for a seed, told in order, copied per study, and refused before anything runs."""

import copy
import importlib.util
import math
import warnings

import numpy as np
import optuna
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from foldwise.errors import InputError, InputTypeError, MissingPackageError, SpaceError
from foldwise.keys import digest
from foldwise.search import make_search
from foldwise.search.optuna import OptunaSearch
from foldwise.space.dimension import Categorical, Float, Int
from foldwise.space.space import SearchSpace
from foldwise.trial import Trial, TrialState

PLAIN = {"x": Float(0, 1), "n": Int(1, 10), "k": ["a", "b"]}
CONDITIONAL = {
    "kernel": ["rbf", "poly", "linear"],
    "gamma": Float(1e-5, 1, log=True, when={"kernel": ["rbf", "poly"]}),
    "degree": Int(2, 4, when={"kernel": "poly"}),
    "coef0": Float(0, 1, when={"degree": [3, 4]}),
    "C": Float(0, 1),
}
UNION = [CONDITIONAL, {"kernel": ["sigmoid"], "gamma": Float(5, 6)}]
SPACES = {"plain": PLAIN, "conditional": CONDITIONAL, "union": UNION}
NAMES = ["tpe", "nsgaii", "nsgaiii", "qmc", "random"]


def score(params):
    return -((params.get("x", 0.3) - 0.7) ** 2) + 0.1 * params.get("C", 0)


def told(trial, state=TrialState.COMPLETE, value=None):
    return Trial(trial.number, trial.params, state=state, value=score(trial.params) if value is None else value)


def drive(search, space, n_trials=24, batch=4, seed=0, tell=told):
    asker = search.open(SearchSpace(space), n_trials, seed)
    asked = []
    while not asker.done:
        batch_asked = asker.ask(batch)
        asker.tell([tell(trial) for trial in batch_asked])
        asked += batch_asked
    assert asker.ask(1) == []
    assert [trial.number for trial in asked] == list(range(n_trials))
    return [trial.params for trial in asked], asker


def exists(point):
    if point["kernel"] == "sigmoid":
        return set(point) == {"kernel", "gamma"} and 5 <= point["gamma"] <= 6
    poly = point["kernel"] == "poly"
    return (
        ("gamma" in point) == (point["kernel"] != "linear")
        and ("degree" in point) == poly
        and ("coef0" in point) == (poly and point["degree"] >= 3)
        and 0 <= point["C"] <= 1
    )


# --- asked alike ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_ask_alike_and_others_do_not(name, space):
    first, _ = drive(OptunaSearch(name), SPACES[space])
    assert drive(OptunaSearch(name), SPACES[space])[0] == first
    assert drive(OptunaSearch(name), SPACES[space], seed=1)[0] != first


@pytest.mark.parametrize("name", NAMES)
def test_more_trials_start_alike(name):
    assert drive(OptunaSearch(name), PLAIN, n_trials=40)[0][:24] == drive(OptunaSearch(name), PLAIN, n_trials=24)[0]


def test_tpe_learns_from_what_it_is_told():
    asked, _ = drive(OptunaSearch(), {"x": Float(0, 1)}, n_trials=60)
    assert np.mean([abs(params["x"] - 0.7) < 0.1 for params in asked[30:]]) > 0.5
    assert OptunaSearch.adapts


def test_a_batch_is_asked_before_it_is_told():
    asker = OptunaSearch().open(SearchSpace(PLAIN), 10, 0)
    trials = asker.ask(4) + asker.ask(4)
    asker.tell([told(trial) for trial in trials])
    assert len(asker.ask(8)) == 2
    assert asker.done


# --- spaces -----------------------------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["conditional", "union"]), st.sampled_from(["tpe", "nsgaii", "random"]))
def test_a_param_is_never_asked_where_its_condition_does_not_hold(seed, space, name):
    asked, _ = drive(OptunaSearch(name), SPACES[space], n_trials=25, seed=seed)
    assert all(exists(point) for point in asked)


def test_both_parts_of_a_union_are_asked():
    asked, _ = drive(OptunaSearch(), UNION, n_trials=30)
    assert {point["kernel"] for point in asked} == {"rbf", "poly", "linear", "sigmoid"}


def test_values_of_every_type_come_back_as_they_are():
    scalers = [StandardScaler(), MinMaxScaler(), MinMaxScaler(clip=True), None, "passthrough"]
    numbers = [1, True, 1.0, "1", None]
    tuples = [(50,), (50, 50), [1, 2]]
    array = np.array([3, 5])
    space = {"scale": scalers, "number": numbers, "size": tuples, "array": array, "one": [np.float64(0.5)]}
    asked, _ = drive(OptunaSearch("random"), space, n_trials=60)
    assert {id(point["scale"]) for point in asked} == {id(one) for one in scalers}
    assert {digest(point["number"]) for point in asked} == {digest(one) for one in numbers}
    assert {str(point["size"]) for point in asked} == {str(one) for one in tuples}
    assert {int(point["array"]) for point in asked} == {3, 5}
    assert {point["one"] for point in asked} == {0.5}


def test_numbers_stay_on_their_steps_and_within_their_bounds():
    space = {
        "f": Float(0.1, 0.75, step=0.1), "i": Int(5, 42, step=5), "l": Int(1, 1000, log=True), "g": Float(1e-5, 1, log=True),
        "u": scipy.stats.uniform(2, 3), "r": scipy.stats.randint(1, 4), "v": scipy.stats.loguniform(1e-3, 1),
    }  # fmt: skip
    asked, _ = drive(OptunaSearch("random"), space, n_trials=80)
    assert {round(p["f"], 9) for p in asked} == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}
    assert {p["i"] for p in asked} == {5, 10, 15, 20, 25, 30, 35, 40}
    assert {p["r"] for p in asked} == {1, 2, 3}
    assert all(1 <= p["l"] <= 1000 and 1e-5 <= p["g"] <= 1 and 2 <= p["u"] <= 5 and 1e-3 <= p["v"] <= 1 for p in asked)
    assert all(type(p["i"]) is type(p["l"]) is type(p["r"]) is int for p in asked)


def test_a_distribution_without_bounds_is_refused_with_its_param():
    with pytest.raises(SpaceError, match=r"^gamma: expected a distribution with bounds, got expon; use Float"):
        OptunaSearch().check(SearchSpace({"C": Float(0, 1), "gamma": scipy.stats.expon()}), None)


# --- told -------------------------------------------------------------------------------------------------------------


def test_the_study_holds_what_it_was_told():
    states = [TrialState.COMPLETE, TrialState.FAILED, TrialState.PRUNED, TrialState.COMPLETE]
    values = [0.5, math.nan, math.nan, math.nan]

    def tell(trial):
        return told(trial, states[trial.number % 4], values[trial.number % 4])

    _, asker = drive(OptunaSearch(), PLAIN, n_trials=24, tell=tell)
    found = [(trial.state.name, trial.value) for trial in asker.native.trials]
    assert found == [("COMPLETE", 0.5), ("FAIL", None), ("PRUNED", None), ("FAIL", None)] * 6
    assert asker.native.direction is optuna.study.StudyDirection.MAXIMIZE
    assert asker.native.best_value == 0.5


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.FAILED])
@pytest.mark.parametrize("name", NAMES)
def test_a_study_where_nothing_has_a_score_goes_on(name, state):
    asked, _ = drive(OptunaSearch(name), PLAIN, tell=lambda trial: told(trial, state, math.nan))
    assert len(asked) == 24


def test_a_failed_trial_with_an_error_score_is_told_as_failed():
    _, asker = drive(OptunaSearch(), PLAIN, n_trials=4, tell=lambda trial: told(trial, TrialState.FAILED, 0.0))
    assert {trial.state.name for trial in asker.native.trials} == {"FAIL"}


# --- sampler objects --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: optuna.samplers.TPESampler(seed=seed),
        lambda seed: optuna.samplers.RandomSampler(seed=seed),
        lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
        lambda seed: optuna.samplers.QMCSampler(seed=seed),
        lambda seed: optuna.samplers.PartialFixedSampler({"n": 3}, optuna.samplers.TPESampler(seed=seed)),
    ],
    ids=["tpe", "random", "nsgaii", "qmc", "partial"],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # two of them are
def test_a_sampler_with_a_seed_is_copied_for_each_study(make):
    sampler = make(3)
    untouched = digest(sampler)
    search = OptunaSearch(sampler)
    assert search.check(SearchSpace(PLAIN), 7) == 7
    first, _ = drive(search, PLAIN, seed=0)
    assert drive(search, PLAIN, seed=1)[0] == first  # its own seed counts
    assert drive(OptunaSearch(make(3)), PLAIN)[0] == first
    assert digest(sampler) == untouched


@pytest.mark.parametrize(
    "make",
    [optuna.samplers.TPESampler, optuna.samplers.RandomSampler, optuna.samplers.NSGAIISampler, optuna.samplers.QMCSampler],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # QMCSampler is one
def test_a_sampler_without_a_seed_is_refused(make):
    name = make.__name__
    with pytest.raises(
        InputError, match=rf"^sampler: expected a sampler with a seed of its own, .* got {name} .*write {name}\(seed=0\)"
    ):
        OptunaSearch(make()).check(SearchSpace(PLAIN), None)


def test_options_beside_a_sampler_object_are_refused():
    with pytest.raises(InputError, match=r"^options: expected none beside a sampler object"):
        OptunaSearch(optuna.samplers.TPESampler(seed=0), {"n_startup_trials": 3}).check(SearchSpace(PLAIN), None)


class BrokenSampler(optuna.samplers.RandomSampler):
    def __init__(self, error):
        super().__init__(seed=0)
        self.error = error

    def infer_relative_search_space(self, study, trial):
        if trial.number == 2:
            raise self.error
        return {}


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ValueError("x0 is wrong"),
            InputError,
            "^sampler: expected a sampler that suits the space, got ValueError: x0 is wrong",
        ),
        (
            ImportError("no module q"),
            MissingPackageError,
            "^sampler: expected the packages that the sampler needs, got no module q",
        ),
    ],
)
def test_a_sampler_that_breaks_is_refused_before_anything_runs(error, kind, message):
    with pytest.raises(kind, match=message):
        OptunaSearch(BrokenSampler(error)).check(SearchSpace(PLAIN), None)


# --- names and options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*NAMES, "TPE", "TPESampler", "RandomSampler"])
def test_samplers_are_known_by_name(name):
    assert OptunaSearch(name).check(SearchSpace(PLAIN), 7) == 7
    assert OptunaSearch(name).check(SearchSpace(PLAIN), None) == 50


@pytest.mark.parametrize(
    ("sampler", "kind", "message"),
    [
        ("tpee", InputError, "^sampler: expected a sampler of Optuna, got 'tpee'; did you mean tpe?"),
        ("", InputError, "^sampler: expected a sampler of Optuna, got ''; Known: bruteforce, cmaes, gp, grid, nsgaii"),
        (3, InputTypeError, "^sampler: expected a sampler's name or an Optuna sampler, got 3"),
        (optuna.samplers.TPESampler, InputTypeError, "^sampler: expected a sampler's name or an Optuna sampler, got <class"),
    ],
)
def test_an_unknown_sampler_is_refused(sampler, kind, message):
    with pytest.raises(kind, match=message):
        OptunaSearch(sampler).check(SearchSpace(PLAIN), None)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: "bruteforce", "BruteForceSampler"),
        (lambda: "grid", "GridSampler"),
        (lambda: optuna.samplers.BruteForceSampler(seed=0), "BruteForceSampler"),
        (lambda: optuna.samplers.GridSampler({"n": [1, 2]}, seed=0), "GridSampler"),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # BruteForceSampler is one
def test_a_sampler_that_lists_a_grid_is_refused(make, name):
    with pytest.raises(InputError, match=rf"^sampler: expected a sampler that adapts, got {name}, .* use search='grid', or"):
        OptunaSearch(make()).check(SearchSpace({"n": Int(1, 3)}), None)


@pytest.mark.parametrize("options", [{"n_startup": 3}, {"seed": 3}, {"group": True, "multivariate": False}])
def test_a_wrong_option_is_refused(options):
    with pytest.raises(InputError, match=r"^options: expected options that TPESampler takes, got {'"):
        OptunaSearch("tpe", options).check(SearchSpace(PLAIN), None)


def test_options_reach_the_sampler():
    random, _ = drive(OptunaSearch("random"), PLAIN)
    late, _ = drive(OptunaSearch("tpe", {"n_startup_trials": 24}), PLAIN)
    assert late == random != drive(OptunaSearch("tpe", {"n_startup_trials": 4}), PLAIN)[0]
    assert make_search("optuna", sampler="tpe", options={"n_startup_trials": 4}) == OptunaSearch("tpe", {"n_startup_trials": 4})


@pytest.mark.parametrize(("name", "package"), [("cmaes", "cmaes"), ("gp", "torch"), ("CmaEsSampler", "cmaes")])
@pytest.mark.parametrize("space", SPACES)
def test_a_missing_package_is_named_before_anything_runs(monkeypatch, name, package, space):
    whole = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted, *rest: None if wanted == package else whole(wanted, *rest))
    with pytest.raises(MissingPackageError, match=rf"^sampler: expected the package {package}, .*pip install {package}$"):
        OptunaSearch(name).check(SearchSpace(SPACES[space]), None)


def test_a_missing_package_is_named_for_a_sampler_object(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted, *rest: None)
    with pytest.raises(MissingPackageError, match="expected the package cmaes, which CmaEsSampler needs"):
        OptunaSearch(optuna.samplers.CmaEsSampler(seed=0)).check(SearchSpace(PLAIN), None)


# --- quiet ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_warned_or_logged_by_default(name, space, capfd):
    verbosity = optuna.logging.get_verbosity()
    search = OptunaSearch(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.check(SearchSpace(SPACES[space]), None)
        if name != "qmc":  # which says so where it cannot model a param
            drive(search, SPACES[space])
        OptunaSearch(optuna.samplers.TPESampler(seed=0)).check(SearchSpace(SPACES[space]), None)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == verbosity


def test_a_search_can_be_copied_and_compared():
    assert copy.deepcopy(OptunaSearch("tpe")) == OptunaSearch("tpe")
    assert OptunaSearch("tpe") != OptunaSearch("random")
    assert digest(vars(OptunaSearch("tpe"))) == digest(vars(OptunaSearch("tpe")))


def test_categories_with_equal_text_are_told_apart():
    twice = [MinMaxScaler(), MinMaxScaler()]
    asked, _ = drive(OptunaSearch("random"), {"s": Categorical(twice)}, n_trials=20)
    assert {id(point["s"]) for point in asked} == {id(one) for one in twice}
