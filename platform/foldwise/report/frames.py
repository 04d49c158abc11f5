"""Trials and outer results as data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from foldwise.reduce.reduce import OuterResult
from foldwise.trial import Trial


def trials_frame(studies: Mapping[str, Sequence[Trial]]) -> pd.DataFrame:
    """Lay out all trials of all studies, one per row.

    Returns
    -------
    pandas.DataFrame
        Columns study, trial, state, started, seconds, params, param_<name>, inner_<metric>, inner_<metric>_std,
        split<i>_<metric>, error; a metric that is called as another one's deviation is has "_" behind its name. With a
        schedule also epochs, curve (epoch and mean inner score, as tuples) and, where params changed in training, lineage
        (epochs and params, as dicts).
    """
    rows = [trial_row(study, trial) for study, trials in studies.items() for trial in trials]
    return pd.DataFrame(rows, columns=trial_columns(rows))


def trial_row(study: str, trial: Trial) -> dict[str, Any]:
    """Lay out a trial as a row of the table of all trials."""
    row: dict[str, Any] = {
        "study": study,
        "trial": trial.number,
        "state": None if trial.state is None else trial.state.value,
        "started": pd.Timestamp(trial.started, unit="s", tz="UTC"),
        "seconds": trial.seconds,
        "params": dict(trial.params),
    }
    row |= {f"param_{name}": value for name, value in trial.params.items()}
    stems = metric_stems(trial.scores)
    for metric, scores in trial.scores.items():
        stem = stems[metric]
        row |= {f"inner_{stem}": scores.mean, f"inner_{stem}_std": scores.std}
        row |= {f"split{i}_{stem}": score for i, score in enumerate(scores.held_out)}
        row |= {f"split{i}_train_{stem}": score for i, score in enumerate(scores.train)}
    if trial.lineage:
        row |= {"epochs": trial.epochs, "curve": list(trial.curve)}
    if len(trial.lineage) > 1:
        row["lineage"] = [{"epochs": segment.epochs, "params": dict(segment.params)} for segment in trial.lineage]
    return row | {"error": None if trial.error is None else str(trial.error)}


def metric_stems(metrics: Iterable[str]) -> dict[str, str]:
    """Map metrics to what stands for them in names of columns: one called as another's deviation is gets "_" behind it.

    Examples
    --------
    >>> metric_stems(["acc", "f1"]), metric_stems(["acc", "acc_std"])
    ({'acc': 'acc', 'f1': 'f1'}, {'acc': 'acc', 'acc_std': 'acc_std_'})
    """
    names = list(metrics)
    others = {other for name in names for other in (f"{name}_std", f"train_{name}")}
    stems = {}
    for name in names:
        stem = name
        while stem in others or (stem != name and stem in names):
            stem += "_"
        stems[name] = stem
    return stems


def trial_columns(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the columns of rows, in the order in which they are met; ``error`` comes last."""
    names = dict.fromkeys(name for row in rows for name in row if name != "error")
    return [*names, "error"]


def outer_frame(outer: Sequence[OuterResult]) -> pd.DataFrame:
    """Lay out the outer results, one per row.

    Returns
    -------
    pandas.DataFrame
        Columns fold, <metric>..., inner_best, params, n_train, n_test, seconds.
    """
    return pd.DataFrame(
        [
            {
                "fold": one.fold,
                **one.scores,
                "inner_best": one.inner_best,
                "params": dict(one.params),
                "n_train": one.n_train,
                "n_test": one.n_test,
                "seconds": one.seconds,
            }
            for one in outer
        ]
    )
