"""Step 4, plan: a study, one search over one set of train rows, and its folds, by the keys of their rows."""

from __future__ import annotations

from dataclasses import dataclass

FINAL = "final"
"""Name of the study on all rows."""


@dataclass(frozen=True, slots=True)
class PlannedFold:
    """A fold, as keys of the plan's row sets.

    Parameters
    ----------
    train : str
        Rows to learn from.
    held_out : str
        Rows to be scored on, with what the scorer is handed.
    seen : str
        The train rows, to be scored on likewise.
    """

    train: str
    held_out: str
    seen: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """One search over one set of train rows.

    Parameters
    ----------
    name : str
        "outer-0", "outer-1", ... or "final".
    folds : tuple of PlannedFold
        The inner folds that choose.
    judged : PlannedFold or None
        The outer fold that judges; None for the final study.
    """

    name: str
    folds: tuple[PlannedFold, ...]
    judged: PlannedFold | None
