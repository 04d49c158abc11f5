"""How population based training changes params."""

import numpy as np
from scipy.stats import uniform

import foldwise as fw
from foldwise.executors.tune.explore import explored_params
from foldwise.space.space import SearchSpace

SPACE = SearchSpace(
    {
        "rate": fw.Float(1e-4, 1.0, log=True), "share": fw.Float(0.0, 1.0, step=0.25), "units": fw.Int(8, 64, step=8),
        "depth": fw.Int(1, 9), "kind": ["a", "b", "c"], "drawn": uniform(0, 1), "kept": [1, 2],
    }
)  # fmt: skip
PARAMS = {"rate": 0.01, "share": 0.5, "units": 16, "depth": 1, "kind": "b", "drawn": 0.5, "kept": 2}


def test_exploring_stays_in_the_space_and_changes_only_what_may():
    random, seen = np.random.RandomState(0), []
    for _ in range(300):
        seen.append(explored_params(SPACE, PARAMS, {*PARAMS} - {"kept"}, random))
    assert {params["kept"] for params in seen} == {2}
    assert all(1e-4 <= params["rate"] <= 1.0 for params in seen)
    assert {params["share"] for params in seen} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert {params["units"] for params in seen} <= set(range(8, 65, 8))
    assert {params["depth"] for params in seen} == set(range(1, 10))
    assert all(type(params["depth"]) is int and type(params["rate"]) is float for params in seen)
    assert {params["kind"] for params in seen} == {"a", "b", "c"}
    assert all(0 <= params["drawn"] <= 1 for params in seen)
    rates = [params["rate"] for params in seen]
    moved = sum(np.isclose(rate, 0.008) or np.isclose(rate, 0.012) for rate in rates)
    assert 0.65 < moved / len(seen) < 0.85, "three in four are moved by a factor of 0.8 or 1.2"


def test_exploring_repeats_with_its_seed():
    one, other = (explored_params(SPACE, PARAMS, PARAMS, np.random.RandomState(3)) for _ in range(2))
    assert one == other


def test_params_of_a_union_are_explored_where_they_came_from():
    union = SearchSpace([{"kind": ["a"], "rate": fw.Float(0.1, 0.2)}, {"kind": ["b"], "rate": fw.Float(10, 20)}])
    random = np.random.RandomState(0)
    assert all(10 <= explored_params(union, {"kind": "b", "rate": 11.0}, ["rate"], random)["rate"] <= 20 for _ in range(50))
