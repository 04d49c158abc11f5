"""What the data relies on of scikit-learn's private parts. A test fails when a version changes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing


def taken(values: Any, rows: np.ndarray) -> Any:
    """Return rows of an array, sparse matrix, frame or list as scikit-learn's own searches take them.

    scikit-learn has no public function that does so, and another way of taking rows might give an estimator other values.
    """
    return _safe_indexing(values, rows)
