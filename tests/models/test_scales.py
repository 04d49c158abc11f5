"""A constant column has scale 1, whatever rounding makes of its deviation; others have their own."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from foldwise.models.encoders import ArrayEncoder
from foldwise.models.scales import centre_and_scale
from foldwise.models.tables import Numbers
from foldwise.models.targets import Values

CONSTANTS = [
    *(sign * mantissa * 10.0**power for sign in (1, -1) for mantissa in (1.0, 1.1, 3.3) for power in (-300, -160, -20, -1, 0, 5, 20, 150, 300)),
    0.0, 0.1, 0.3, 1 / 3, 2.0**-1074, np.finfo(np.float64).max,
]  # fmt: skip
ROWS = (1, 2, 3, 7, 240, 1001)


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_constant_has_scale_one_and_is_encoded_as_zero(n_rows, dtype):
    with np.errstate(over="ignore", under="ignore"):
        constants = np.array(CONSTANTS).astype(dtype)
    constants = constants[np.isfinite(constants)]
    X = np.tile(constants, (n_rows, 1))
    encoder = ArrayEncoder.of(X, (X.shape[1],), standardize=True)
    assert encoder.scale.tolist() == [1.0] * X.shape[1]
    assert not encoder.encode(X).any()
    target = Values.of(X)
    assert target.scale.tolist() == [1.0] * X.shape[1]
    assert np.array_equal(target.decode(np.zeros((2, X.shape[1]))), X[[0, 0]].astype(np.float64))
    frame = pd.DataFrame(X, columns=[f"c{number}" for number in range(X.shape[1])])
    for name in frame:
        column = Numbers.of(frame, name)
        assert column.scale == 1.0
        assert not column.encode(frame)[0].any()


def test_a_constant_beside_missing_values_has_scale_one():
    frame = pd.DataFrame({"a": [0.1, np.nan] * 120, "b": [np.nan] * 240, "c": pd.array([7, None] * 120, dtype="Int64")})
    assert [Numbers.of(frame, name).scale for name in frame] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("unit", [1e-300, 1e-160, 1.0, 1e150, 1e300])
def test_what_varies_has_its_own_scale_in_any_unit(unit):
    rows = np.random.default_rng(0).normal(3.0, 2.0, size=(100, 2))
    mean, scale = centre_and_scale(rows * unit)
    assert np.allclose(mean / unit, rows.mean(axis=0))
    assert np.allclose(scale / unit, rows.std(axis=0))
    target = Values.of(rows[:, 0] * unit)
    assert np.allclose(target.encode(rows[:, 0] * unit).std(), 1.0)


def test_scikit_learn_takes_the_same_columns_for_constant():
    rng = np.random.default_rng(0)
    columns = [base + spread * rng.normal(size=240) for base in (0.1, 1e6, -1e12) for spread in 10.0 ** np.arange(-20, 3)]
    columns += [np.where(np.arange(240) % 2, 0.3, 0.1 + 0.2), np.where(np.arange(240) == 7, 0.2, 0.1)]
    X = np.column_stack(columns)
    mean, scale = centre_and_scale(X)
    peer = StandardScaler().fit(X)
    assert np.array_equal(scale == 1.0, peer.scale_ == 1.0)
    assert np.allclose(scale, peer.scale_, rtol=1e-4)  # which loses digits near the bound
    assert np.allclose(mean, peer.mean_)
    assert 0 < (scale == 1.0).sum() < X.shape[1]


def test_the_scale_of_a_varying_column_is_numpys_to_the_bit():
    rows = np.random.default_rng(1).lognormal(size=(500, 7))
    mean, scale = centre_and_scale(rows)
    assert np.array_equal(mean, rows.mean(axis=0))
    assert np.array_equal(scale, rows.std(axis=0))


def test_a_single_row_that_differs_from_a_constant_stays_of_its_size():
    X = np.full((240, 1), 0.1)
    encoder = ArrayEncoder.of(X, (1,), standardize=True)
    assert encoder.encode(np.array([[0.2]]))[0, 0] == np.float32(0.1)
