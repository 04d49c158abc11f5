"""Step 5, map: where an estimator's randomness comes from."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from foldwise.digest import derive_seed


def seed_random_states(estimator: Any, seed: int) -> Any:
    """Set each ``random_state`` that is None, from the seed and the step's name.

    The param's path is all that tells steps apart, so equal pipeline prefixes get equal seeds.
    """
    unset = {
        name: derive_seed(seed, name)
        for name, value in estimator.get_params(deep=True).items()
        if value is None and (name == "random_state" or name.endswith("__random_state"))
    }
    return estimator.set_params(**unset) if unset else estimator


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, for estimators that draw from them, and put them back."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the ones that estimators draw from)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
