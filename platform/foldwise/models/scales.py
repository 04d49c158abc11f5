"""How numbers are centred and scaled before a network sees them, by the rows that train."""

from __future__ import annotations

import numpy as np


def centre_and_scale(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the scale of each column; one that is constant, but for rounding, has scale 1.

    The scale is the standard deviation (ddof=0). The standard deviation that is computed of equal numbers is seldom zero: of
    240 times 0.1 it is 1e-17, and whatever differs from 0.1 in another row would be divided by that.

    Parameters
    ----------
    columns : array of shape (n_rows, n_columns)
        Finite numbers of any size.

    Returns
    -------
    mean, scale : array of float64, of shape (n_columns,)
        The mean of a constant is the constant itself, so that it is encoded as exactly zero.

    References
    ----------
    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance, The American Statistician 37(3): the bound
    on what rounding makes of a variance of zero, which scikit-learn's ``StandardScaler`` uses, too.

    Examples
    --------
    >>> mean, scale = centre_and_scale(np.array([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0]]))
    >>> mean.tolist(), scale.round(3).tolist()
    ([0.1, 3.0], [1.0, 1.633])
    """
    values = np.asarray(columns, dtype=np.float64)
    first = values[0]
    # In units of a power of two, which changes no digit: neither squares nor sums leave the range of floating point.
    exponents = np.frexp(np.abs(values).max(axis=0))[1] - 1
    shares = np.ldexp(values, -exponents)
    mean, variance = shares.mean(axis=0), shares.var(axis=0)
    eps, n_rows = np.finfo(np.float64).eps, len(values)
    is_constant = (values == first).all(axis=0)
    means = np.where(is_constant, first, np.ldexp(mean, exponents))
    scale = np.ldexp(np.sqrt(variance), exponents)
    is_constant |= variance <= n_rows * eps * variance + np.square(n_rows * mean * eps)
    is_constant |= scale == 0  # numbers so small that their differences are none
    return means, np.where(is_constant, 1.0, scale)
