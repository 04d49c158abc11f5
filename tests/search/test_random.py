"""Random search draws exactly what scikit-learn's ParameterSampler draws."""

import warnings

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import ParameterGrid, ParameterSampler

from foldwise.search import RandomSearch
from foldwise.space.dimension import Categorical, Float, Int
from foldwise.space.space import SearchSpace


def asked(space, n_trials, seed=0):
    space, search = SearchSpace(space), RandomSearch()
    n_trials = search.check(space, n_trials)
    asker = search.open(space, n_trials, seed)
    trials = asker.ask(n_trials // 2) + asker.ask(n_trials)
    assert asker.done
    assert [trial.number for trial in trials] == list(range(n_trials))
    return [trial.params for trial in trials]


def as_set(points):
    return {tuple(sorted(point.items())) for point in points}


SPACES = {
    "lists": {"C": [1, 10, 100], "kernel": ["rbf", "linear", None], "shrinking": [True, False]},
    "arrays": {"C": np.logspace(-2, 2, 9), "gamma": np.array([0.1, 1])},
    "distributions": {"C": scipy.stats.loguniform(1e-2, 1e2), "gamma": scipy.stats.expon(scale=0.1)},
    "mixed": {"C": scipy.stats.uniform(0, 3), "kernel": ["rbf", "linear"], "degree": scipy.stats.randint(1, 5)},
    "union of lists": [{"kernel": ["linear"], "C": [1, 2, 3]}, {"kernel": ["rbf"], "C": [1, 2], "gamma": [1, 2, 3]}],
    "mixed union": [{"kernel": ["linear"], "C": scipy.stats.uniform(0, 1)}, {"kernel": ["rbf", "poly"], "gamma": [1, 2]}],
}


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("name", SPACES)
def test_draws_are_those_of_scikit_learn(name, seed):
    expected = list(ParameterSampler(SPACES[name], 8, random_state=seed))
    assert asked(SPACES[name], 8, seed) == expected


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=2), st.lists(st.integers(), min_size=1, max_size=4), min_size=1, max_size=3
    ),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_draws_from_any_lists_are_those_of_scikit_learn(space, n_trials, seed):
    n_trials = min(n_trials, len(ParameterGrid(space)))
    assert asked(space, n_trials, seed) == list(ParameterSampler(space, n_trials, random_state=seed))


def test_a_finite_space_is_drawn_from_without_replacement():
    drawn = asked({"a": [1, 2, 3], "b": [1, 2, 3]}, 9)
    assert as_set(drawn) == as_set(ParameterGrid({"a": [1, 2, 3], "b": [1, 2, 3]}))


def test_a_space_that_is_not_all_lists_is_drawn_from_with_replacement():
    assert len(asked({"a": Int(1, 2)}, 20)) == 20


def test_more_trials_than_points_try_each_once_and_say_so():
    with pytest.warns(UserWarning, match="n_trials=50, but the space has 4 points: each is tried once"):
        assert len(asked({"a": [1, 2], "b": [1, 2]}, 50)) == 4


@pytest.mark.parametrize(
    ("space", "n_trials"), [({"a": [1, 2], "b": [1, 2]}, 4), ({"a": Float(0, 1)}, 50), ({"a": list(range(99))}, 50)]
)
def test_without_a_number_there_are_50_trials_or_each_point_once(space, n_trials):
    assert RandomSearch().check(SearchSpace(space), None) == n_trials


def test_own_dimensions_are_drawn_within_their_bounds():
    space = {"f": Float(1e-3, 1, log=True), "i": Int(1, 9), "s": Float(0, 1, step=0.25), "k": ["a", "b"]}
    drawn = asked(space, 100)
    assert drawn == asked(space, 100)
    assert drawn != asked(space, 100, seed=1)
    assert all(1e-3 <= d["f"] <= 1 and d["i"] in range(1, 10) and d["s"] in (0, 0.25, 0.5, 0.75, 1) for d in drawn)
    assert {d["k"] for d in drawn} == {"a", "b"}


def test_the_same_seed_draws_a_longer_sequence_with_the_same_start():
    space = {"C": Float(0, 1), "n": Int(1, 9)}
    assert asked(space, 40)[:10] == asked(space, 10)


CONDITIONAL = {
    "kernel": ["rbf", "poly", "linear"],
    "gamma": Float(0, 1, when={"kernel": ["rbf", "poly"]}),
    "degree": Int(2, 4, when={"kernel": "poly"}),
    "coef0": Float(0, 1, when={"degree": [3, 4]}),
    "C": Float(0, 1),
}


def exists(point):
    poly = point["kernel"] == "poly"
    return (
        ("gamma" in point) == (point["kernel"] != "linear")
        and ("degree" in point) == poly
        and ("coef0" in point) == (poly and point["degree"] >= 3)
        and "C" in point
    )


@given(st.integers(0, 2**32 - 1))
def test_a_param_is_never_drawn_where_its_condition_does_not_hold(seed):
    assert all(exists(point) for point in asked(CONDITIONAL, 20, seed))


def test_each_part_of_a_union_with_conditions_is_pruned_by_its_own():
    union = [CONDITIONAL, {"kernel": ["sigmoid"], "gamma": Float(5, 6), "C": Float(0, 1)}]
    drawn = asked(union, 200)
    sigmoid = [point for point in drawn if point["kernel"] == "sigmoid"]
    assert 60 < len(sigmoid) < 140
    assert all(5 <= point["gamma"] <= 6 for point in sigmoid)
    assert all(exists(point) for point in drawn if point["kernel"] != "sigmoid")


def test_a_finite_space_with_conditions_is_drawn_point_by_point():
    space = {"k": ["a", "b", "c"], "x": Categorical([1, 2, 3], when={"k": "a"}), "y": Categorical([1, 2], when={"x": 3})}
    drawn = asked(space, 6)
    assert as_set(drawn) == as_set(ParameterGrid(SearchSpace(space).grid()))


def test_a_space_of_more_points_than_can_be_counted_is_drawn_from():
    space = {f"p{i}": list(range(100)) for i in range(20)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = asked(space, 30)
    assert len({str(point) for point in drawn}) == 30
    assert all(len(point) == 20 for point in drawn)


def test_a_space_without_params_has_one_trial():
    assert asked({}, None) == [{}]
