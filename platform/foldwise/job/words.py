"""Step 9, a face: where the arguments that an error speaks of stand in a job file."""

from __future__ import annotations

from collections.abc import Mapping

from foldwise.errors import Setting

PLACES: Mapping[str, str] = {
    "n_trials": "search.trials", "batch": "search.batch", "search": "search.method", "sampler": "search.sampler",
    "options": "search.options",
    "outer_cv": "folds.outer", "inner_cv": "folds.inner", "repeats": "folds.repeats", "random_state": "seed",
    "X": "data", "y": "data.target", "fit_params": "data.fit_params", "groups": "data.groups", "loader": "data.loader",
    "args": "data.args", "path": "data.path", "target": "data.target", "drop": "data.drop",
}  # fmt: skip
"""Where an argument of the Python face stands in a job file."""


def in_job_words(setting: Setting) -> str:
    """Write an argument as a job file does.

    Examples
    --------
    >>> in_job_words(Setting("inner_cv", "5")), in_job_words(Setting("search", "'random'")), in_job_words(Setting("n_trials"))
    ('folds.inner: 5', 'search.method: random', 'search.trials')
    """
    place = PLACES.get(setting.name, setting.name)
    return f"{place}: {setting.value.strip(chr(39))}" if setting.value else place
