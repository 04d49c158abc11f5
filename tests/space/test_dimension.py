"""Dimensions: their points, their draws, and what converts to one without loss."""

import math

import numpy as np
import optuna
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from ray import tune
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

from foldwise.errors import SpaceError
from foldwise.space.dimension import Categorical, Distribution, Float, Int, to_dimension

ONE_EACH = [
    Float(0, 1), Float(1e-3, 10, log=True), Float(0.1, 0.7, step=0.2), Int(1, 9), Int(1, 1000, log=True), Int(5, 40, step=5),
]  # fmt: skip


def draws_of(dimension, n=2000):
    random_state = np.random.RandomState(0)
    return [dimension.rvs(random_state=random_state) for _ in range(n)]


# --- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Float(1, 1), "expected low < high, got low=1, high=1"),
        (lambda: Float(3, 1), "expected low < high, got low=3, high=1"),
        (lambda: Float("a", 1), "expected low to be a number, got 'a'"),
        (lambda: Float(0, math.inf), "expected high to be a number, got inf"),
        (lambda: Float(math.nan, 1), "expected low to be a number, got nan"),
        (lambda: Float(True, 2), "expected low to be a number, got True"),
        (lambda: Float(0, 1, log=True), "expected low > 0 with log, got low=0"),
        (lambda: Float(1, 2, log="yes"), "expected log to be true or false, got 'yes'"),
        (lambda: Float(1, 2, log=True, step=0.1), "expected step or log, not both, got step=0.1"),
        (lambda: Float(0, 1, step=0), "expected 0 < step <= high - low, got step=0,"),
        (lambda: Float(0, 1, step=-0.1), "expected 0 < step <= high - low, got step=-0.1,"),
        (lambda: Float(0, 1, step=2), "expected 0 < step <= high - low, got step=2, low=0, high=1"),
        (lambda: Float(0, 1, step="a"), "expected step to be a number, got 'a'"),
        (lambda: Int(1.0, 3), "expected low to be an integer, got 1.0"),
        (lambda: Int(1, 2.5), "expected high to be an integer, got 2.5"),
        (lambda: Int(1, 3, step=5), "expected 0 < step <= high - low, got step=5"),
        (lambda: Int(1, 5, step=0.5), "expected step to be an integer, got 0.5"),
        (lambda: Int(0, 5, log=True), "expected low > 0 with log, got low=0"),
        (lambda: Categorical([]), "expected at least one value, got an empty list"),
        (lambda: Categorical("rbf"), r"expected a list of values, got 'rbf'; write \['rbf'\] for a single one"),
        (lambda: Categorical(b"rbf"), "expected a list of values, got b'rbf'"),
        (lambda: Categorical(3), r"expected a list of values, got 3; write \[3\]"),
        (lambda: Categorical({"a": 1}), "expected a list of values, got {'a': 1}"),
        (lambda: Categorical(np.eye(2)), r"expected a list of values, got an array of shape \(2, 2\)"),
        (lambda: Categorical(np.array(3)), r"expected a list of values, got an array of shape \(\)"),
    ],
)
def test_wrong_bounds_are_refused_with_what_was_given(make, message):
    with pytest.raises(SpaceError, match=message):
        make()


def test_bounds_may_be_numpys():
    assert Int(np.int64(1), np.int32(3)).points() == [1, 2, 3]
    assert Float(np.float64(0), np.float32(1), step=np.float64(0.5)).points() == [0.0, 0.5, 1.0]
    assert all(type(value) is int for value in draws_of(Int(np.int64(1), np.int64(3)), 5))


# --- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dimension", "points"),
    [
        (Float(0, 1, step=0.1), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        (Float(0.8, 0.9, step=0.1), [0.8, 0.9]),
        (Float(0.1, 0.45, step=0.1), [0.1, 0.2, 0.3, 0.4]),
        (Float(-1, 1, step=0.75), [-1.0, -0.25, 0.5]),
        (Float(1e-5, 3e-5, step=1e-5), [1e-5, 2e-5, 3e-5]),
        (Int(1, 4), [1, 2, 3, 4]),
        (Int(5, 22, step=5), [5, 10, 15, 20]),
        (Categorical(["a", None, 3]), ["a", None, 3]),
    ],
)
def test_points_are_as_they_would_be_written(dimension, points):
    assert dimension.points() == points


@given(st.decimals(-5, 5, places=2), st.integers(1, 40), st.decimals("0.01", 2, places=2), st.decimals(0, "0.99", places=2))
def test_points_of_a_step_stay_within_the_bounds(low, n_steps, step, rest):
    dimension = Float(float(low), float(low + n_steps * step + rest * step), step=float(step))
    points = dimension.points()
    assert len(points) == n_steps + 1
    assert points[0] == dimension.low
    assert points[-1] <= dimension.high
    np.testing.assert_allclose(np.diff(points), float(step), rtol=1e-9)


@pytest.mark.parametrize(
    ("dimension", "hint"),
    [
        (Float(0, 1), r"np.linspace\(0, 1, 5\), or step="),
        (Float(0.01, 1000, log=True), r"np.geomspace\(0.01, 1000, 5\)"),
        (Int(1, 100, log=True), r"give a list, for example \[1, 10, 100\]"),
        (Distribution(scipy.stats.norm()), "got the distribution norm; give a list of values"),
    ],
)
def test_a_dimension_without_points_says_what_to_write(dimension, hint):
    with pytest.raises(SpaceError, match=hint):
        dimension.points()


# --- draws ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", ONE_EACH, ids=repr)
def test_draws_stay_within_the_bounds_and_are_seeded(dimension):
    drawn = draws_of(dimension)
    assert dimension.low <= min(drawn) < max(drawn) <= dimension.high
    assert drawn == draws_of(dimension)


@pytest.mark.parametrize("dimension", [Float(0.1, 0.7, step=0.2), Int(1, 9), Int(5, 40, step=5), Int(3, 8, log=True)], ids=repr)
def test_draws_reach_every_point(dimension):
    points = Int(dimension.low, dimension.high).points() if dimension.log else dimension.points()
    assert sorted(set(draws_of(dimension))) == points


@pytest.mark.parametrize(
    ("dimension", "cdf"),
    [
        (Float(-2, 3), scipy.stats.uniform(-2, 5).cdf),
        (Float(1e-3, 10, log=True), scipy.stats.loguniform(1e-3, 10).cdf),
    ],
)
def test_draws_follow_the_distribution(dimension, cdf):
    assert scipy.stats.kstest(draws_of(dimension), cdf).pvalue > 0.01


@pytest.mark.parametrize("dimension", [Int(1, 6), Int(2, 12, step=2), Float(0, 1, step=0.2)], ids=repr)
def test_points_are_drawn_alike(dimension):
    counts = np.unique(draws_of(dimension, 6000), return_counts=True)[1]
    assert scipy.stats.chisquare(counts).pvalue > 0.01


# --- what people have -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 2], Categorical([1, 2])),
        ((1, None), Categorical([1, None])),
        (range(3), Categorical([0, 1, 2])),
        (np.array([0.1, 1.0]), Categorical([0.1, 1.0])),
        (pd.Series(["a", "b"]), Categorical(["a", "b"])),
        ([(50,), (50, 50)], Categorical([(50,), (50, 50)])),
        ([[1], [2, 3]], Categorical([[1], [2, 3]])),
        (Float(0, 1), Float(0, 1)),
        (tune.grid_search([1, 2]), Categorical([1, 2])),
        (tune.choice(["a", "b"]), Categorical(["a", "b"])),
        (tune.uniform(0, 1), Float(0, 1)),
        (tune.quniform(0, 1, 0.25), Float(0, 1, step=0.25)),
        (tune.loguniform(1e-4, 1), Float(1e-4, 1, log=True)),
        (tune.randint(1, 10), Int(1, 9)),
        (tune.randint(1, 2), Categorical([1])),
        (tune.lograndint(1, 100), Int(1, 99, log=True)),
        (tune.qrandint(5, 40, 5), Int(5, 40, step=5)),
        (tune.qrandint(1, 10, 3), Int(3, 9, step=3)),
        (tune.qrandint(1, 10, 1), Int(1, 9)),
        (tune.qrandint(4, 6, 5), Categorical([5])),
        (optuna.distributions.FloatDistribution(0, 1), Float(0, 1)),
        (optuna.distributions.FloatDistribution(0, 1, step=0.5), Float(0, 1, step=0.5)),
        (optuna.distributions.FloatDistribution(1e-3, 1, log=True), Float(1e-3, 1, log=True)),
        (optuna.distributions.FloatDistribution(2, 2), Categorical([2.0])),
        (optuna.distributions.IntDistribution(1, 9), Int(1, 9)),
        (optuna.distributions.IntDistribution(1, 9, step=2), Int(1, 9, step=2)),
        (optuna.distributions.IntDistribution(1, 9, log=True), Int(1, 9, log=True)),
        (optuna.distributions.IntDistribution(3, 3), Categorical([3])),
        (optuna.distributions.CategoricalDistribution(["a", None]), Categorical(["a", None])),
    ],
)
def test_what_people_have_converts_exactly(given, expected):
    assert to_dimension(given) == expected


def test_estimators_are_values():
    scalers = [StandardScaler(), MinMaxScaler(), None, "passthrough"]
    assert to_dimension(scalers).points() == scalers


@pytest.mark.parametrize(
    "domain",
    [tune.qrandint(1, 10, 3), tune.qrandint(1, 10, 1), tune.randint(2, 5), tune.qrandint(5, 40, 5)],
    ids=lambda d: d.domain_str,
)
def test_whole_numbers_of_ray_tune_are_those_that_it_draws(domain):
    random_state = np.random.RandomState(0)
    drawn = {domain.sample(random_state=random_state) for _ in range(500)}
    assert sorted(drawn) == to_dimension(domain).points()


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        (tune.qloguniform(1e-1, 1, 1e-1), "qloguniform"),
        (tune.qloguniform(1, 8, 1), "qloguniform"),
        (tune.qlograndint(2, 8, 2), "qlograndint"),
        (tune.randn(0, 1), "randn"),
        (tune.qrandn(0, 1, 0.1), "qrandn"),
        (tune.sample_from(lambda: 3), "sample_from"),
    ],
)
def test_a_domain_of_ray_tune_without_counterpart_is_refused_by_name(domain, name):
    with pytest.raises(SpaceError, match=rf"with an exact counterpart \(.*\), got {name}; use Float, Int or a list"):
        to_dimension(domain)


@pytest.mark.parametrize("given", [3, 1.5, None, "rbf", {"a": 1}, SVC(), object])
def test_what_is_no_dimension_is_refused(given):
    with pytest.raises(SpaceError, match="expected a list of values, a Float, an Int or a distribution, got"):
        to_dimension(given)


def test_another_object_of_optuna_is_refused_by_name():
    with pytest.raises(SpaceError, match="expected a Float, Int or CategoricalDistribution of Optuna, got TPESampler"):
        to_dimension(optuna.samplers.TPESampler(seed=0))


# --- scipy ------------------------------------------------------------------------------------------------------------


def test_a_scipy_distribution_draws_as_it_does():
    frozen = scipy.stats.expon(scale=3)
    drawn = [frozen.rvs(random_state=rng) for rng in [np.random.RandomState(0)] for _ in range(2000)]
    assert draws_of(to_dimension(frozen)) == drawn


@pytest.mark.parametrize(
    ("frozen", "bounded"),
    [
        (scipy.stats.uniform(1, 4), Float(1, 5)),
        (scipy.stats.uniform(loc=-1, scale=2), Float(-1, 1)),
        (scipy.stats.loguniform(1e-3, 1e3), Float(1e-3, 1e3, log=True)),
        (scipy.stats.loguniform(1, 10, scale=2), Float(2, 20, log=True)),
        (scipy.stats.reciprocal(1e-3, 1), Float(1e-3, 1, log=True)),
        (scipy.stats.randint(1, 10), Int(1, 9)),
        (scipy.stats.randint(1, 10, loc=5), Int(6, 14)),
    ],
)
def test_a_scipy_distribution_with_bounds_has_an_exact_counterpart(frozen, bounded):
    found = to_dimension(frozen).bounded()
    assert type(found) is type(bounded)
    assert (found.low, found.high, found.log) == pytest.approx((bounded.low, bounded.high, bounded.log))


@pytest.mark.parametrize(
    "frozen", [scipy.stats.norm(), scipy.stats.beta(1, 2), scipy.stats.poisson(3), scipy.stats.loguniform(1, 10, loc=5),
               scipy.stats.loguniform(0.1, 1, loc=-0.5)]
)  # fmt: skip
def test_a_scipy_distribution_without_counterpart_is_refused_by_name(frozen):
    with pytest.raises(
        SpaceError, match=rf"got {frozen.dist.name}; use Float\(low, high\) or Int\(low, high\), or search='random'"
    ):
        to_dimension(frozen).bounded()
