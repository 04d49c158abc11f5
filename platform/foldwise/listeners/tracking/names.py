"""Names of params and metrics as MLflow takes them: what differs stays apart, though its alphabet is smaller."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foldwise.keys import digest
from foldwise.reduce.tables import metric_stems

LONGEST_NAME = 250
_LONGEST_AFFIXES = 30
"""Characters of what may stand before and after a metric's or a param's name: ``best_``, ``inner_``, ``_interval_high``."""
_DIGEST = 8


def as_name(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name that MLflow takes, on Windows too.

    Examples
    --------
    >>> as_name("svc__C"), as_name("f1@k (macro)")
    ('svc__C', 'f1_k _macro_')
    """
    plain = re.sub(r"[^\w.\- ]", "_", name)[:longest]
    return plain if plain.strip(". ") else f"_{plain}"


def distinct_names(names: Iterable[str]) -> dict[str, str]:
    """Map names to what MLflow takes; those that would become one end in a digest, but for one that needs no change.

    Examples
    --------
    >>> distinct_names(["C", "p@1"])
    {'C': 'C', 'p@1': 'p_1'}
    >>> distinct_names(["p+1", "p@1", "p_1"])
    {'p+1': 'p_1.06097cc7', 'p@1': 'p_1.fcbe39b7', 'p_1': 'p_1'}
    """
    longest = LONGEST_NAME - _LONGEST_AFFIXES
    plain = {name: as_name(name, longest) for name in dict.fromkeys(names)}
    taken = Counter(plain.values())
    return {
        name: one if taken[one] == 1 or one == name else f"{one[: longest - _DIGEST - 1]}.{digest(name)[:_DIGEST]}"
        for name, one in plain.items()
    }


@dataclass(frozen=True)
class Names:
    """The names of one job's params and metrics in MLflow.

    Parameters
    ----------
    params, metrics : mapping of str to str
        Name -> name in MLflow.
    """

    params: Mapping[str, str]
    metrics: Mapping[str, str]

    @classmethod
    def of(cls, params: Iterable[str], metrics: Iterable[str]) -> Names:
        """Name the params and metrics of a job."""
        plain = distinct_names(metrics)
        stems = metric_stems(plain.values())
        return cls(distinct_names(params), {name: stems[one] for name, one in plain.items()})

    def param(self, name: str) -> str:
        """Return a param's name in MLflow."""
        return self.params.get(name) or as_name(name, LONGEST_NAME - _LONGEST_AFFIXES)

    def metric(self, name: str) -> str:
        """Return a metric's name in MLflow, which others stand before and after."""
        return self.metrics.get(name) or as_name(name, LONGEST_NAME - _LONGEST_AFFIXES)
