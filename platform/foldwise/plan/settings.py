"""Step 4, plan: Settings, what a nested search asks for that needs no data. Both faces make one, and it is validated once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.inputs.checks import is_integer, is_real
from foldwise.plan.limits import Limits
from foldwise.plan.resources import Resources
from foldwise.plan.schedule import Schedule
from foldwise.search import Search, make_search

_RANDOM_STATE = "random_state"


@dataclass(frozen=True)
class Settings:
    """What a nested search asks for, apart from its data, its estimator and its space. Made by `Settings.of`.

    Parameters
    ----------
    search : Search
        How params are searched.
    seed : int
        What every seed derives from.
    n_trials : int, optional
        Trials per study; None: as many as the search itself says.
    batch : int, default=8
        Trials that an adapting study asks before it must be told.
    outer_cv, inner_cv : object
        Both loops, as they were given.
    repeats : int, default=1
        How often an int ``outer_cv`` is repeated.
    scoring : object, optional
        As scikit-learn takes it.
    refit : bool, str or callable, default=True
        The metric that chooses; False: no final model.
    return_train_score : bool, default=False
        Whether fits are scored on their train rows too.
    error_score : float or "raise", default=nan
        The score of a failed fit.
    schedule : Schedule, optional
        How trials are judged while they train; None: they are not.
    resources : Resources
        Of one running fit; no part of the key.
    limits : Limits
        In time; likewise.
    n_jobs : int, optional
        At most so many fits at once; None: as many as there is room for.
    name : str, default="nested-search"
        How reports and MLflow call it.
    """

    search: Search
    seed: int
    n_trials: int | None = None
    batch: int = 8
    outer_cv: Any = 5
    inner_cv: Any = "shared"
    repeats: int = 1
    scoring: Any = None
    refit: Any = True
    return_train_score: bool = False
    error_score: float | str = math.nan
    schedule: Schedule | None = None
    resources: Resources = field(default_factory=Resources)
    limits: Limits = field(default_factory=Limits)
    n_jobs: int | None = None
    name: str = "nested-search"

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> Settings:
        """Validate what is asked for.

        Parameters
        ----------
        asked : mapping of str to object
            By the names of `NestedSearchCV`'s arguments, ``random_state`` and ``n_jobs`` among them; and ``repeats`` and
            ``name``. What is missing has the default there.

        Returns
        -------
        Settings
            Its values, as the rest of the package takes them.

        Raises
        ------
        InputError
            With the argument's name as its ``place``, if one is wrong.

        Examples
        --------
        >>> settings = Settings.of({"search": "grid", "limits": {"fit_seconds": 60}, "random_state": 0})
        >>> settings.search, settings.limits.fit_seconds, settings.batch, settings.seed
        (GridSearch(), 60.0, 8, 0)
        """
        for name in asked:
            if name not in _NAMES:
                raise InputError(name, f"expected a known setting, got {name!r}; {nearest(name, _NAMES)}")
        given = {**_DEFAULTS, **asked}
        _check_count("n_trials", given["n_trials"], optional=True)
        _check_count("batch", given["batch"])
        _check_count("repeats", given["repeats"])
        if not isinstance(given["return_train_score"], bool | np.bool_):
            raise InputTypeError("return_train_score", f"expected true or false, got {given['return_train_score']!r}")
        _check_error_score(given["error_score"])
        given |= {
            "batch": int(given["batch"]), "repeats": int(given["repeats"]),
            "return_train_score": bool(given["return_train_score"]),
            "error_score": given["error_score"] if isinstance(given["error_score"], str) else float(given["error_score"]),
            "n_jobs": fits_at_once(given["n_jobs"]), "search": make_search(given["search"]),
            "resources": Resources.of(given["resources"]), "limits": Limits.of(given["limits"]),
            "schedule": Schedule.of(given["schedule"]),
        }  # fmt: skip
        return cls(seed=make_seed(given.pop(_RANDOM_STATE)), **given)  # last: a seed is drawn for what is right

    @property
    def has_final_model(self) -> bool:
        """Whether a model is fitted on all rows in the end."""
        return self.refit is not False


_DEFAULTS: Mapping[str, Any] = {
    **{one.name: one.default for one in fields(Settings) if one.name not in {"search", "seed"}},
    "resources": None, "limits": None, "search": "random", _RANDOM_STATE: None,
}  # fmt: skip
_NAMES = tuple(_DEFAULTS)


def fits_at_once(n_jobs: Any) -> int | None:
    """Read ``n_jobs`` as scikit-learn's users mean it.

    Returns
    -------
    int or None
        At most so many fits at once; None (for None and -1): as many as there is room for.

    Examples
    --------
    >>> fits_at_once(2), fits_at_once(-1)
    (2, None)
    """
    if n_jobs is None or n_jobs == -1:
        return None
    if not is_integer(n_jobs):
        raise InputTypeError("n_jobs", f"expected an integer or None, got {n_jobs!r}")
    if n_jobs == 0:
        raise InputError("n_jobs", "expected an integer other than 0, got 0; use None or -1 for all cores")
    return int(n_jobs) if n_jobs > 0 else max(1, (os.cpu_count() or 1) + 1 + int(n_jobs))


def make_seed(random_state: Any) -> int:
    """Return the job's seed: the given one, one drawn from a RandomState, or a fresh one for None.

    Raises
    ------
    InputTypeError
        If it is none of these.
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0]) & 0x7FFFFFFF
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if is_integer(random_state) and 0 <= random_state < 2**32:
        return int(random_state)
    raise InputTypeError(
        "random_state", f"expected an integer from 0 to 4294967295, a RandomState or None, got {random_state!r}"
    )


def _check_error_score(error_score: Any) -> None:
    if isinstance(error_score, str) and error_score == "raise":
        return
    if not is_real(error_score):
        raise InputTypeError("error_score", f"expected a number or 'raise', got {error_score!r}; use nan")
    if math.isinf(error_score):
        raise InputError("error_score", f"expected a number that is finite, or nan, got {error_score!r}; use nan")


def _check_count(place: str, value: Any, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if not is_integer(value):
        raise InputTypeError(place, f"expected an integer >= 1, got {value!r}")
    if value < 1:
        raise InputError(place, f"expected an integer >= 1, got {value!r}")
