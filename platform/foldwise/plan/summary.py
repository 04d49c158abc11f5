"""Step 4, plan: a plan as plain data, without rows and live objects: what is left of it once the run is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foldwise.plan.plan import Plan
from foldwise.plan.schedule import Schedule
from foldwise.plan.scoring import Scoring


@dataclass(frozen=True, slots=True)
class FoldSummary:
    """An outer fold.

    Parameters
    ----------
    train, held_out : str
        Keys of the rows to learn from and to be judged on, the latter with what the scorer is handed.
    n_train, n_test : int
        How many they are.
    group : int or None
        The group that is held out, by its place among all groups; None without groups, or if several are.
    """

    train: str
    held_out: str
    n_train: int
    n_test: int
    group: int | None = None


@dataclass(frozen=True, slots=True)
class StudySummary:
    """A study.

    Parameters
    ----------
    name : str
        "outer-0", "outer-1", ... or "final".
    n_train : tuple of int
        Rows that the fits of each inner fold learn from.
    """

    name: str
    n_train: tuple[int, ...]

    @property
    def n_folds(self) -> int:
        """Inner folds."""
        return len(self.n_train)


@dataclass(frozen=True, slots=True)
class ScoringSummary:
    """How fits are scored, in names and numbers.

    Parameters
    ----------
    metrics : tuple of str
        Names; empty for a callable whose names are not known yet.
    objective : str
        The metric that a search maximises.
    chooser : str or None
        Name of the callable that chooses; None: the best mean does.
    zero_one : frozenset of str
        Metrics that are means of right and wrong rows.
    ranges : mapping of str to (float, float)
        Lowest and highest possible score of the metrics, where known.
    titles : mapping of str to str
        How sentences call metrics, where not by their names.
    """

    metrics: tuple[str, ...]
    objective: str
    chooser: str | None = None
    zero_one: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, scoring: Scoring) -> ScoringSummary:
        """Describe a scoring."""
        chooser = _name_of(scoring.refit) if callable(scoring.refit) else None
        ranges = {name: (float(low), float(high)) for name, (low, high) in scoring.ranges.items()}
        return cls(scoring.metrics, scoring.objective, chooser, scoring.zero_one, ranges, dict(scoring.titles))


@dataclass(frozen=True)
class PlanSummary:
    """What was planned, without the data.

    Parameters
    ----------
    name, key : str
        Name of the job, and the digest of all that affects its results.
    seed : int
        What every seed was derived from.
    estimator, search, data : str
        Names of the estimator's class, the search's method and the data.
    shape : tuple of int
        Of the features.
    n_groups : int or None
        Groups that are held together; None without groups.
    n_trials : int
        Trials per study.
    n_fits : int or None
        Distinct fits; None where a search adapts or a schedule judges.
    n_fits_at_most : int
        Fits that run if no two studies ask for the same params.
    n_fits_plain : int
        Fits that a nested search which shares nothing runs.
    studies : tuple of StudySummary
        One per outer fold, then the final one.
    folds : tuple of FoldSummary
        The outer folds.
    scoring : ScoringSummary
        How fits are scored.
    refit : bool
        Whether a final model is wanted.
    shared, time_ordered : bool
        Whether the inner folds are the other outer folds, and whether all folds are judged on rows that come later.
    weighs_inner, weighs_outer : bool
        Whether the scorer is handed weights or other metadata in the inner and in the outer loop.
    error_score : float or "raise"
        The score of a failed fit.
    schedule : Schedule or None
        How trials are judged while they train; None: they are not.
    explanation : str
        What `Plan.explain` says.
    """

    name: str
    key: str
    seed: int
    estimator: str
    search: str
    data: str
    shape: tuple[int, ...]
    n_groups: int | None
    n_trials: int
    n_fits: int | None
    n_fits_at_most: int
    n_fits_plain: int
    studies: tuple[StudySummary, ...]
    folds: tuple[FoldSummary, ...]
    scoring: ScoringSummary
    refit: bool
    shared: bool
    time_ordered: bool
    weighs_inner: bool
    weighs_outer: bool
    error_score: float | str
    schedule: Schedule | None
    explanation: str

    @classmethod
    def of(cls, plan: Plan) -> PlanSummary:
        """Describe a plan."""
        problem, dataset = plan.problem, plan.problem.dataset
        names, groups = (None, None) if dataset.groups is None else np.unique(dataset.groups, return_inverse=True)
        return cls(
            name=problem.settings.name,
            key=problem.key,
            seed=problem.settings.seed,
            estimator=type(problem.estimator).__name__,
            search=problem.settings.search.method,
            data=dataset.name,
            shape=tuple(int(length) for length in dataset.shape),
            n_groups=None if names is None else len(names),
            n_trials=plan.n_trials,
            n_fits=plan.n_fits,
            n_fits_at_most=plan.n_fits_at_most,
            n_fits_plain=plan.n_fits_plain,
            studies=tuple(
                StudySummary(study.name, tuple(len(plan.rows[fold.train]) for fold in study.folds)) for study in plan.studies
            ),
            folds=_outer_folds(plan, groups),
            scoring=ScoringSummary.of(problem.scoring),
            refit=problem.settings.has_final_model,
            shared=problem.folds.shared,
            time_ordered=problem.folds.are_time_ordered,
            weighs_inner=bool(problem.handed.inner),
            weighs_outer=bool(problem.handed.outer),
            error_score=problem.settings.error_score,
            schedule=problem.settings.schedule,
            explanation=plan.explain(),
        )

    def explain(self) -> str:
        """Say in plain lines what was to run."""
        return self.explanation

    def plain_fits(self, n_asked: Mapping[str, int]) -> int:
        """Count what a nested search that shares nothing would run for the trials that each study asked."""
        searched = sum(n_asked.get(study.name, 0) * study.n_folds for study in self.studies)
        return searched + len(self.folds) + self.refit


def _outer_folds(plan: Plan, groups: np.ndarray | None) -> tuple[FoldSummary, ...]:
    """Describe the outer folds; ``groups`` are numbers, one per row."""
    folds = []
    for study in plan.studies:
        if (fold := study.judged) is None:
            continue
        held_out = plan.rows[fold.held_out]
        among: list[int] = [] if groups is None else np.unique(groups[held_out]).tolist()
        group = among[0] if len(among) == 1 else None
        folds.append(FoldSummary(fold.train, fold.held_out, len(plan.rows[fold.train]), len(held_out), group))
    return tuple(folds)


def _name_of(refit: Any) -> str:
    name = getattr(refit, "__name__", type(refit).__name__)
    return "a function" if name == "<lambda>" else f"{name}()"
