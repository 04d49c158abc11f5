"""Step 8, show: trials and outer results as data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from foldwise.reduce.reduce import OuterResult
from foldwise.reduce.tables import trial_columns, trial_row
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
