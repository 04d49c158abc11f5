"""Step 4, plan: everything that keys and seeds derive from, fixed and counted before anything runs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from foldwise.errors import InputTypeError
from foldwise.inputs.words import counted
from foldwise.keys import derive_seed, digest
from foldwise.keys.versions import versions_of
from foldwise.plan.folds import Fold
from foldwise.plan.identity import Identity
from foldwise.plan.prefixes import Prefixes
from foldwise.plan.problem import Problem
from foldwise.plan.row_set import Range, RowSet, RowSets
from foldwise.plan.schedule import PBT, changing
from foldwise.plan.study import FINAL, PlannedFold, Study
from foldwise.process.world import World
from foldwise.trial import Fit, Lineage, Params, Trial

_COUNTED_EXACTLY = 100_000
"""Trials up to which equal params are found by going through them; beyond, all are taken to differ."""
_BLOCK = 1000


class _RowSetsByKey:
    """Row sets by key, each held once; those that are scored with something in hand have keys of their own."""

    def __init__(self) -> None:
        self.rows: dict[str, RowSet] = {}
        self.handed: dict[str, Mapping[str, Any]] = {}
        self._names: dict[int, str] = {}

    def key_of(self, rows: RowSet) -> str:
        self.rows.setdefault(rows.key, rows)
        return rows.key

    def fold(self, fold: Fold, handed: Mapping[str, Any]) -> PlannedFold:
        train, held_out = self.key_of(fold.train), self.key_of(fold.held_out)
        return PlannedFold(train, self._scored(held_out, handed), self._scored(train, handed))

    def _scored(self, rows: str, handed: Mapping[str, Any]) -> str:
        if not handed:
            return rows
        if id(handed) not in self._names:
            self._names[id(handed)] = digest(dict(handed))
        key = digest("scored", rows, self._names[id(handed)])
        self.rows.setdefault(key, self.rows[rows])
        self.handed.setdefault(key, handed)
        return key


@dataclass(frozen=True)
class Plan:
    """What will be run, inert and printable.

    Parameters
    ----------
    problem : Problem
        What is to be solved.
    rows : RowSets
        Row sets by key; a fit names its rows by these.
    studies : tuple of Study
        One per outer fold, then the final one.
    whole : str
        Key of all rows.
    handed : mapping of str to mapping
        Of row sets that are scored with weights or other metadata: what the scorer is handed, by name.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> import foldwise as fw
    >>> search = fw.NestedSearchCV(SVC(), {"C": [1, 10, 100], "gamma": [0.01, 0.1]}, search="grid")
    >>> plan = search.plan(*load_iris(return_X_y=True))
    >>> plan.n_fits, plan.n_fits_plain
    (91, 156)
    """

    problem: Problem
    rows: RowSets
    studies: tuple[Study, ...]
    whole: str
    handed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> Plan:
        """Plan a problem."""
        sets = _RowSetsByKey()
        inner, outer = problem.handed.inner, problem.handed.outer
        judged = [sets.fold(fold, outer) for fold in problem.folds.outer]
        outer_studies = [
            Study(f"outer-{number}", tuple(sets.fold(fold, inner) for fold in folds), judged[number])
            for number, folds in enumerate(problem.folds.inner)
        ]
        final = Study(FINAL, tuple(sets.fold(fold, inner) for fold in problem.folds.final), None)
        whole = sets.key_of(Range(0, problem.dataset.n_rows))
        return cls(problem, RowSets(sets.rows), (*outer_studies, final), whole, sets.handed)

    # --- keys and seeds ---

    @cached_property
    def held_out(self) -> Mapping[str, tuple[str, ...]]:
        """Train rows' key -> the row sets that any study wants a fit on them scored on."""
        wanted: dict[str, dict[str, None]] = {self.whole: {}}
        trained: dict[str, dict[str, None]] = {}
        for fold in self.all_folds():
            wanted.setdefault(fold.train, {})[fold.held_out] = None
            if self.problem.settings.return_train_score:
                trained.setdefault(fold.train, {})[fold.seen] = None
        # Train rows come last, as in scikit-learn: an estimator may hold them, and write into what it is to predict.
        return {train: (*sets, *trained.get(train, {})) for train, sets in wanted.items()}

    @cached_property
    def seeds(self) -> Mapping[str, int]:
        """Train rows' key -> seed of the fits on them; not of the params, so that all get the same luck."""
        return {train: derive_seed(self.problem.settings.seed, "fit", train) for train in self.held_out}

    @cached_property
    def search_seed(self) -> int:
        """Seed of every study's search: the job's own, as scikit-learn's ``random_state`` would be."""
        return self.problem.settings.seed

    @cached_property
    def identity(self) -> Identity:
        """What identifies fits, their rows and seeds apart."""
        return Identity(self.problem.dataset, self.problem.estimator, self.problem.world)

    @cached_property
    def _rows_and_seeds(self) -> Mapping[str, str]:
        return {train: digest(train, seed) for train, seed in self.seeds.items()}

    @cached_property
    def world(self) -> World:
        """What surrounds the fits, with the versions and the code that workers must have."""
        unread = self.unread  # all code has been met once it is known
        digester = self.identity.digester
        if not unread:
            with contextlib.suppress(InputTypeError):
                digester.digest(self.problem.scoring.scorer)
        return self.problem.world.naming(digester, versions_of(digester.distributions))

    @cached_property
    def unread(self) -> Mapping[str, str]:
        """What cannot be read by content, with the reason: its fits are shared with nothing, and never found again."""
        identity = self.identity
        if not self._reads_nothing:
            identity.meet(self.problem.space)
        return dict(identity.unread)

    @property
    def _reads_nothing(self) -> bool:
        return self.identity.whole is None

    @cached_property
    def prefixes(self) -> Prefixes:
        """The transformers that fits on the same train rows can share."""
        return Prefixes(self.problem.estimator)

    def fit(self, params: Params, train: str, *, keep_model: bool = False, lineage: Lineage = ()) -> Fit:
        """Name the fit of some params on some train rows; with a lineage, of its epochs, which begin with its own params."""
        if lineage:
            names, params = self._names(lineage), lineage[0].params
        else:
            names = self.identity.of(params)
        key = self.identity.alone() if names is None else self.identity.digester.digest(self._rows_and_seeds[train], names)
        return Fit(key, train, self.held_out[train], params, self.seeds[train], keep_model, lineage)

    def _names(self, lineage: Lineage) -> str | None:
        assert self.problem.settings.schedule is not None
        segments = [(self.identity.of(one.params), one.epochs) for one in lineage]
        if any(key is None for key, _ in segments):
            return None
        return digest("epochs", self.problem.settings.schedule.max_epochs, segments)

    def trial_key(self, study: str, trial: Trial) -> str:
        """Name a scheduled trial: what stops it depends on its siblings, so it belongs to this very problem."""
        return digest("trial", self.problem.key, study, trial.number, self.identity.of(trial.params) or self.identity.alone())

    def asked_of(self, fold: PlannedFold) -> tuple[str, ...]:
        """Return the rows on which a study itself wants a fold's fit scored."""
        return (fold.held_out, fold.seen) if self.problem.settings.return_train_score else (fold.held_out,)

    # --- counts ---

    @property
    def n_trials(self) -> int:
        """Trials of each study."""
        return self.problem.n_trials

    @cached_property
    def n_fits(self) -> int | None:
        """Distinct fits that will run; None where the search adapts, or a schedule judges."""
        if self.problem.settings.search.adapts or self.is_scheduled:
            return None
        if self.unread:
            return self.n_fits_plain if self._reads_nothing else None
        return self._n_distinct_params * self.n_train_sets + self._n_refits_apart + self.problem.settings.has_final_model

    @property
    def n_fits_at_most(self) -> int:
        """What runs if no two studies ask for the same params."""
        if self.n_fits is not None:
            return self.n_fits
        judged_elsewhere = len(self.studies) - 1
        return self.n_trials * self._n_folds + judged_elsewhere + self.problem.settings.has_final_model

    @property
    def is_scheduled(self) -> bool:
        """Whether trials are judged while they train."""
        return self.problem.settings.schedule is not None

    @property
    def n_epochs_at_most(self) -> int | None:
        """Epochs of all fits if no trial is stopped; None without a schedule, where estimators decide."""
        schedule = self.problem.settings.schedule
        return None if schedule is None else self.n_fits_at_most * schedule.max_epochs

    @property
    def n_fits_plain(self) -> int:
        """What a nested search that shares nothing would run for the same params."""
        return self.n_trials * self._n_folds + len(self.studies) - 1 + self.problem.settings.has_final_model

    @cached_property
    def _n_distinct_params(self) -> int:
        if self.n_trials > _COUNTED_EXACTLY:
            return self.n_trials
        return len({self.identity.of(params) for params in self._asked()})

    def _asked(self) -> Iterator[Params]:
        """Yield what a search that does not adapt will ask; never all of it at once."""
        asker = self.problem.settings.search.open(self.problem.space, self.n_trials, self.search_seed)
        while trials := asker.ask(_BLOCK):
            yield from (trial.params for trial in trials)

    @cached_property
    def n_transformer_fits(self) -> tuple[int, int] | None:
        """Transformers to fit by a search that shares nothing, and here, at best; None where `n_fits` is.

        At best: fits on the same train rows that run on several workers fit a shared prefix once on each.
        """
        if self.n_fits is None or self.n_trials > _COUNTED_EXACTLY:
            return None
        plain, shared = self.prefixes.count_fits(self._asked())
        of_one = sum(transformer.present for transformer in self.prefixes.transformers)
        n_refits = len(self.studies) - 1 + self.problem.settings.has_final_model
        n_apart = self._n_refits_apart + self.problem.settings.has_final_model
        return plain * self._n_folds + n_refits * of_one, shared * self.n_train_sets + n_apart * of_one

    @property
    def n_fits_at_once(self) -> int | None:
        """The most processes that can be at work at once where the search adapts: it must be told before it asks again."""
        if not self.problem.settings.search.adapts:
            return None
        return self.problem.settings.batch * (len(self.studies) if self.is_scheduled else self._n_folds)

    @cached_property
    def n_train_sets(self) -> int:
        """Sets of train rows that a search learns from."""
        return len({fold.train for study in self.studies for fold in study.folds})

    @property
    def _n_refits_apart(self) -> int:
        """Outer refits on rows that no study searches on: those whose fits stand in no table."""
        searched = {fold.train for study in self.studies for fold in study.folds}
        return len({study.judged.train for study in self.studies if study.judged is not None} - searched)

    @property
    def _n_folds(self) -> int:
        return sum(len(study.folds) for study in self.studies)

    def all_folds(self) -> Iterator[PlannedFold]:
        """Yield the folds of all studies, inner and outer ones."""
        for study in self.studies:
            yield from study.folds
            if study.judged is not None:
                yield study.judged

    # --- words ---

    def summary(self) -> dict[str, int | None]:
        """Return the counts, for machines."""
        plain, shared = self.n_transformer_fits or (None, None)
        return {
            "n_studies": len(self.studies), "n_trials": self.n_trials, "n_fits": self.n_fits,
            "n_fits_at_most": self.n_fits_at_most, "n_fits_plain": self.n_fits_plain,
            "n_transformer_fits": shared, "n_transformer_fits_plain": plain, "n_epochs_at_most": self.n_epochs_at_most,
        }  # fmt: skip

    def explain(self, n_cores: int | None = None) -> str:
        """Say in plain lines what will run.

        Parameters
        ----------
        n_cores : int, optional
            Fits that can run at once; if known, it is said where the search cannot fill them.
        """
        lines = [
            *self._lines_of_the_search(),
            *self._lines_of_the_error_score(),
            self._line_of_fits(),
            *self._lines_of_prefixes(),
            *self._lines_of_the_unread(),
        ]
        if n_cores is not None and (at_once := self.n_fits_at_once) is not None and at_once < n_cores:
            over = "all studies are" if self.is_scheduled else "all studies and inner folds are"
            what = "trials" if self.is_scheduled else "fits"
            lines.append(
                f"warning    {self.problem.settings.batch} trials a batch over {over} {at_once} {what}, which "
                f"leaves {n_cores - at_once} of {n_cores} cores idle; a larger batch fills them"
            )
        return "\n".join(lines)

    def _lines_of_the_search(self) -> list[str]:
        problem, settings, dataset = self.problem, self.problem.settings, self.problem.dataset
        n_outer = len(self.studies) - 1
        inner = sorted({len(study.folds) for study in self.studies[:-1]})
        kind = "the other outer folds (shared)" if problem.folds.shared else "a splitter of their own"
        shape = " x ".join(map(str, dataset.shape))
        refit = problem.scoring.refit
        chooser = "a function" if callable(refit) else refit or "the first"
        trials, params = counted(self.n_trials, "trial"), counted(len(problem.space), "param")
        return [
            f"{settings.name}: {type(problem.estimator).__name__} on {dataset.name}, {shape}, seed {settings.seed}",
            f"search     {settings.search.method}, {trials} per study over {params}"
            + (f", asked {settings.batch} at a time" if settings.search.adapts else ""),
            *self._lines_of_the_schedule(),
            f"folds      {n_outer} outer; {'-'.join(map(str, inner))} inner, from {kind}"
            + (f"; {len(np.unique(dataset.groups))} groups, held together in both loops" if dataset.groups is not None else ""),
            f"studies    {n_outer + 1}: one per outer fold, and a final one over "
            + ("the outer folds of all rows" if problem.folds.shared else "the inner splitter's folds of all rows"),
            f"scoring    {', '.join(problem.scoring.metrics) or 'as the scorer names them'}; {chooser} chooses",
        ]

    def _lines_of_the_error_score(self) -> list[str]:
        scoring, score = self.problem.scoring, self.problem.settings.error_score
        _, high = scoring.ranges.get(scoring.objective, (-math.inf, math.inf))
        if isinstance(score, str) or not score >= high:
            return []
        return [
            f"warning    error_score={score:g}, the score of failed fits, is no worse than the best {scoring.objective} "
            f"({high:g}): params whose fits fail win; use error_score=nan"
        ]

    def _lines_of_the_schedule(self) -> list[str]:
        problem = self.problem
        if problem.settings.schedule is None:
            return []
        lines = [f"schedule   {problem.settings.schedule}; not repeatable to the bit"]
        lines += problem.settings.schedule.notes(problem.estimator, problem.space, self.n_trials)
        if problem.settings.schedule.method == PBT:
            may = changing(problem.estimator, problem.space)
            kept = ", ".join(name for name in problem.space.names if name not in may)
            lines.append(f"changes    {', '.join(sorted(may))}" + (f"; drawn once: {kept}" if kept else ""))
        return lines

    def _line_of_fits(self) -> str:
        plain = self.n_fits_plain
        if self.is_scheduled:
            return (
                f"fits       at most {self.n_fits_at_most}: a trial trains its inner folds in lockstep, and the choices are "
                f"fitted for as many epochs; at most {self.n_epochs_at_most} epochs in all"
            )
        if self.n_fits is None:
            return (
                f"fits       at most {self.n_fits_at_most}; what studies ask alike runs once "
                f"(a nested search that shares nothing: {plain})"
            )
        return (
            f"fits       {self.n_fits} to run; a nested search that shares nothing would run {plain} "
            f"({self.n_fits / plain:.2f} of them)"
        )

    def _lines_of_the_unread(self) -> list[str]:
        lines = [
            f"not shared {what} cannot be read by content ({why}); its fits share nothing, and no ledger finds them again"
            for what, why in self.unread.items()
        ]
        try:
            digest(self.problem.scoring.scorer)
        except InputTypeError as error:
            lines.append(f"not shared the scorer cannot be read by content ({error.problem}); no ledger finds its scores again")
        return lines

    def _lines_of_prefixes(self) -> list[str]:
        steps = self.prefixes.transformers
        if not steps or self.is_scheduled or self._reads_nothing:
            return []
        names = ", ".join(step.path for step in steps)
        if self.n_transformer_fits is None:
            return [f"shared     {names}: fitted once for equal params on equal rows, as they come"]
        plain, shared = self.n_transformer_fits
        if not plain:  # every params passes these steps through
            return []
        return [
            f"shared     {names}: {shared} transformer fits at best; without sharing {plain} ({shared / plain:.2f} of them)"
        ]
