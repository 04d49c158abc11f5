"""What the tests of the Keras estimators share; they are skipped where TensorFlow is not installed."""

import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("tensorflow") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def digits():
    """A few digits: 300 rows of 64 pixels."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X[:300], y[:300]


@pytest.fixture(scope="session")
def census():
    """A made-up table of numbers and categories whose classes follow from both."""
    import pandas as pd

    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": draw.integers(17, 90, 400).astype(float),
            "work": draw.choice(["office", "field", "home"], 400),
            "school": draw.choice(["none", "some", "much"], 400),
        }
    )
    rich = ((frame.work == "office") ^ (frame.school == "much")) | (frame.age > 75)
    return frame, np.where(rich, ">50K", "<=50K")
