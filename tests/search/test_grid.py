"""Grid search asks for every point, in scikit-learn's order, and never for less."""

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import ParameterGrid

from foldwise.errors import InputError, SpaceError
from foldwise.search import GridSearch
from foldwise.space.dimension import Categorical, Float, Int
from foldwise.space.space import SearchSpace

lists = st.lists(st.one_of(st.integers(0, 3), st.sampled_from(["a", None])), min_size=1, max_size=3)
grids = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), lists, max_size=4)


def asked(space, n_trials=None, seed=0):
    space, search = SearchSpace(space), GridSearch()
    n_trials = search.check(space, n_trials)
    asker = search.open(space, n_trials, seed)
    trials = asker.ask(n_trials + 5)
    assert asker.done
    assert asker.ask(1) == []
    assert [trial.number for trial in trials] == list(range(n_trials))
    return [trial.params for trial in trials]


@given(st.one_of(grids, st.lists(grids, min_size=1, max_size=3)))
def test_points_come_in_the_order_of_scikit_learns_grid(space):
    assert asked(space) == list(ParameterGrid(space))


def test_points_of_steps_are_those_that_a_list_would_give():
    space = {"n": Int(1, 9, step=4), "x": Float(0, 0.3, step=0.1), "k": Categorical(["a", "b"])}
    assert asked(space) == list(ParameterGrid({"n": [1, 5, 9], "x": [0.0, 0.1, 0.2, 0.3], "k": ["a", "b"]}))


def test_the_seed_and_results_change_nothing():
    assert asked({"C": [1, 2, 3]}, seed=1) == asked({"C": [1, 2, 3]}, seed=2)
    assert not GridSearch.adapts


def test_trials_are_asked_as_many_as_wanted():
    asker = GridSearch().open(SearchSpace({"C": [1, 2, 3]}), 3, 0)
    assert [t.params["C"] for t in asker.ask(2)] == [1, 2]
    assert not asker.done
    assert asker.ask(0) == []
    asker.tell([])
    assert [(t.number, t.params["C"]) for t in asker.ask(2)] == [(2, 3)]
    assert asker.done


@pytest.mark.parametrize("n_trials", [6, 7, None])
def test_a_grid_has_as_many_trials_as_points(n_trials):
    assert GridSearch().check(SearchSpace([{"a": [1, 2], "b": [1, 2]}, {"c": [1, 2]}]), n_trials) == 6


def test_a_grid_is_never_cut():
    with pytest.raises(
        InputError, match=r"^n_trials: expected at least 6 for a grid of 6 points, got 5; a grid is never cut; leave"
    ):
        GridSearch().check(SearchSpace({"a": [1, 2, 3], "b": [1, 2]}), 5)


def test_a_grid_of_more_points_than_can_be_counted_is_refused_with_their_number():
    with pytest.raises(InputError, match=f"expected at least {10**40} for a grid"):
        GridSearch().check(SearchSpace({f"p{i}": list(range(100)) for i in range(20)}), 50)


def test_a_param_without_points_is_named():
    with pytest.raises(SpaceError, match=r"^b: expected points for a grid, got Float"):
        GridSearch().check(SearchSpace({"a": [1], "b": Float(0, 1)}), None)


def test_a_million_points_open_at_once_in_little_memory():
    space = SearchSpace({name: Int(1, 100) for name in "abc"})
    tracemalloc.start()
    started = time.process_time()
    asker = GridSearch().open(space, GridSearch().check(space, None), 0)
    first = asker.ask(3)
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [t.params for t in first] == [{"a": 1, "b": 1, "c": c} for c in (1, 2, 3)]
    assert seconds < 2, "it does not go through them all"
    assert peak < 1_000_000
