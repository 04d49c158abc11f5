"""Where an estimator's randomness comes from."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from foldwise.keys.digester import derive_seed


def seed_random_states(estimator: Any, seed: int) -> Any:
    """Set each ``random_state`` that is None, from the seed and the step's name.

    The param's path is all that tells steps apart, so equal pipeline prefixes get equal seeds.
    """
    unset = derive_seeds(unset_random_states(estimator), seed)
    return estimator.set_params(**unset) if unset else estimator


def derive_seeds(paths: Iterable[str], seed: int) -> dict[str, int]:
    """Derive the seed of each random state from the fit's and its own path."""
    return {path: derive_seed(seed, path) for path in paths}


def unset_random_states(estimator: Any) -> list[str]:
    """Return the paths of the random states that are None."""
    return [name for name, value in estimator.get_params(deep=True).items() if value is None and is_random_state(name)]


def is_random_state(name: str) -> bool:
    """Tell whether a param's path names a random state."""
    return name == "random_state" or name.endswith("__random_state")


def seed_generators(seed: int) -> None:
    """Seed the global generators, for estimators that draw from them."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (the one that estimators draw from)


@contextlib.contextmanager
def kept_generators() -> Iterator[None]:
    """Put the global generators back as they were."""
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generators for a time."""
    with kept_generators():
        seed_generators(seed)
        yield


def drawn_so_far() -> tuple[object, ...]:
    """Return what tells whether someone has drawn from the global generators since."""
    legacy = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return random.getstate(), legacy["key"].tobytes(), legacy["pos"]
