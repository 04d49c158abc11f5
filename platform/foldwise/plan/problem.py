"""Step 3, plan: a Problem is what is to be solved, with live objects, validated. Both faces build one."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target

from foldwise.data import Dataset
from foldwise.errors import DataError, InputError, InputTypeError, SpaceError, nearest
from foldwise.inputs.checks import is_integer, is_real
from foldwise.keys import Deferred, Digester, digest
from foldwise.keys.versions import versions_of
from foldwise.plan.folds import NestedFolds, nested_folds
from foldwise.plan.limits import Limits
from foldwise.plan.metrics import check_judgeable, made_scorers
from foldwise.plan.resources import Resources
from foldwise.plan.routing import Handed, hand_out
from foldwise.plan.schedule import Schedule
from foldwise.plan.scoring import Scoring, check_scorable, make_scoring
from foldwise.plan.steps import first_step, is_passed_through, is_pipeline, is_sampler, steps_of, takes_samplers
from foldwise.plan.world import World
from foldwise.search import Search
from foldwise.space.space import SearchSpace
from foldwise.trial import Params

DEFAULT_BATCH = 8


@dataclass(frozen=True)
class Problem:
    """A nested search, before it is planned.

    Parameters
    ----------
    name : str
        How reports and MLflow call it.
    dataset : Dataset
        The data.
    estimator : estimator
        Cloned for each fit; its own params are the fixed ones.
    space : SearchSpace
        What is searched over.
    search : Search
        How.
    n_trials : int
        Trials per study.
    batch : int
        Trials that an adapting study asks before it must be told.
    folds : NestedFolds
        Both loops' rows.
    scoring : Scoring
        Scorers, and the metric that chooses.
    refit : bool
        Whether a final model is wanted.
    seed : int
        What every seed derives from.
    return_train_score : bool
        Whether fits are scored on their train rows too.
    error_score : float or "raise"
        The score of a failed fit.
    resources : Resources
        Of one running fit.
    limits : Limits
        In time; like resources, no part of the key.
    schedule : Schedule or None
        How trials are judged while they train; None: they are not.
    handed : Handed
        Who is handed what was given beside X and y.
    world : World
        What surrounds the fits.
    """

    name: str
    dataset: Dataset
    estimator: Any
    space: SearchSpace
    search: Search
    n_trials: int
    batch: int
    folds: NestedFolds
    scoring: Scoring
    refit: bool
    seed: int
    return_train_score: bool = False
    error_score: float | str = math.nan
    resources: Resources = field(default_factory=Resources)
    limits: Limits = field(default_factory=Limits)
    schedule: Schedule | None = None
    handed: Handed = field(default_factory=Handed)
    world: World = field(default_factory=World.here)

    def described(self) -> Problem:
        """Return the problem without rows, its key known, to be kept after a run."""
        folds = NestedFolds((), (), (), self.folds.shared)
        kept = replace(self, dataset=self.dataset.described(), folds=folds, handed=Handed())
        kept.__dict__["key"] = self.key
        return kept

    @cached_property
    def key(self) -> str:
        """Digest of all that affects results."""
        folds = (*self.folds.outer, *self.folds.choosing)
        rows = [[Deferred(fold.train.numbers), Deferred(fold.held_out.numbers)] for fold in folds]
        digester = Digester()
        try:
            spaces = [
                {name: [type(dimension).__name__, clone(vars(dimension), safe=False)] for name, dimension in sub.items()}
                for sub in self.space.subspaces
            ]
            content = digester.digest(
                self.dataset.digest, clone(self.estimator), spaces, self.search, self.n_trials,
                self.batch if self.search.adapts else None, rows, self.scoring.scorer, self.scoring.refit, self.refit,
                self.seed, self.return_train_score, self.error_score, self.handed.inner, self.handed.outer,
                None if self.schedule is None else self.schedule.to_dict(), self.world.settings,
            )  # fmt: skip
        except Exception:  # what cannot be read, or copied, makes each problem one of its own
            return uuid.uuid4().hex
        runs_on = {*self.search.runs_on, *(("ray",) if self.schedule is not None else ())}
        return digest(content, versions_of(digester.distributions | runs_on))


def make_problem(
    dataset: Dataset,
    estimator: Any,
    space: Any,
    *,
    search: Any,
    n_trials: int | None = None,
    batch: int = DEFAULT_BATCH,
    outer_cv: Any = 5,
    inner_cv: Any = "shared",
    repeats: int = 1,
    scoring: Any = None,
    refit: Any = True,
    return_train_score: bool = False,
    error_score: Any = math.nan,
    schedule: Any = None,
    resources: Any = None,
    limits: Any = None,
    random_state: Any = None,
    name: str = "nested-search",
) -> Problem:
    """Validate a nested search; the arguments are `NestedSearchCV`'s.

    Raises
    ------
    InputError
        With the argument's name as its ``place``, if one is wrong.
    """
    _check_estimator(estimator)
    if dataset.y is None and get_tags(estimator).target_tags.required:
        name_of = type(estimator).__name__
        raise DataError("y", f"expected targets, got None ({name_of} requires y to be passed, but the target y is None)")
    _check_shape(dataset, estimator)
    _check_classes(dataset.y, estimator)
    asked = check_asked(
        estimator, space, search=search, n_trials=n_trials, batch=batch, repeats=repeats, scoring=scoring, refit=refit,
        return_train_score=return_train_score, error_score=error_score, schedule=schedule, resources=resources, limits=limits,
        random_state=random_state,
    )  # fmt: skip
    if asked.schedule is not None:
        asked.schedule.check_targets(estimator, asked.space, dataset.y)
    check_scorable(estimator, scoring, dataset.y)
    handed = hand_out(estimator, asked.scoring.scorer, outer_cv, inner_cv, dataset.groups, dataset.fit_params)
    requested = {"outer_cv": handed.outer_split, "inner_cv": handed.inner_split}
    folds = nested_folds(
        dataset, outer_cv, inner_cv, classifier=is_classifier(estimator), seed=asked.seed, repeats=int(repeats),
        requested=requested,
    )  # fmt: skip
    chooser = made_scorers(estimator, scoring).get(asked.scoring.objective)
    if chooser is not None and dataset.y is not None and not callable(asked.scoring.refit):
        title = asked.scoring.titles.get(asked.scoring.objective, asked.scoring.objective)
        check_judgeable(estimator, chooser, title, dataset.y, folds)
    return Problem(
        name=name,
        dataset=replace(dataset, fit_params=handed.fit),
        estimator=estimator,
        space=asked.space,
        search=search,
        n_trials=asked.n_trials,
        batch=int(batch),
        folds=folds,
        # A weighted mean of right and wrong rows has no pooled count.
        scoring=replace(asked.scoring, zero_one=frozenset()) if handed.outer else asked.scoring,
        refit=refit is not False,
        seed=asked.seed,
        return_train_score=bool(return_train_score),
        error_score=error_score if isinstance(error_score, str) else float(error_score),
        resources=asked.resources,
        limits=asked.limits,
        schedule=asked.schedule,
        handed=handed,
    )


@dataclass(frozen=True)
class Asked:
    """What a nested search asks for, as far as that can be told without its data."""

    space: SearchSpace
    n_trials: int
    scoring: Scoring
    seed: int
    resources: Resources
    limits: Limits
    schedule: Schedule | None


def check_asked(
    estimator: Any,
    space: Any,
    *,
    search: Any,
    n_trials: int | None = None,
    batch: int = DEFAULT_BATCH,
    repeats: int = 1,
    scoring: Any = None,
    refit: Any = True,
    return_train_score: bool = False,
    error_score: Any = math.nan,
    schedule: Any = None,
    resources: Any = None,
    limits: Any = None,
    random_state: Any = None,
) -> Asked:
    """Validate what of a nested search needs no data; the arguments are `make_problem`'s.

    Raises
    ------
    InputError
        With the argument's name as its ``place``, if one is wrong.
    """
    _check_estimator(estimator)
    whole_space = _space(space)
    _check_names(whole_space, estimator)
    _check_count("n_trials", n_trials, optional=True)
    _check_count("batch", batch)
    _check_count("repeats", repeats)
    if not isinstance(return_train_score, bool | np.bool_):
        raise InputTypeError("return_train_score", f"expected true or false, got {return_train_score!r}")
    _check_error_score(error_score)
    seed = make_seed(random_state)
    amounts, times, judge = Resources.of(resources), Limits.of(limits), Schedule.of(schedule)
    scorers = make_scoring(clone(estimator), scoring, refit)
    n_asked = _placed_in("space", lambda: search.check(whole_space, n_trials))
    if judge is not None:
        judge.check_suits(estimator, whole_space, search, n_asked)
    return Asked(whole_space, n_asked, scorers, seed, amounts, times, judge)


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


def _check_estimator(estimator: Any) -> None:
    if isinstance(estimator, type):
        raise InputTypeError(
            "estimator", f"expected an instance, got the class {estimator.__name__}; write {estimator.__name__}()"
        )
    for method in ("fit", "get_params", "set_params"):
        if not callable(getattr(estimator, method, None)):
            raise InputTypeError("estimator", f"expected a scikit-learn estimator, got {estimator!r}, which has no {method}()")
    try:
        get_tags(estimator)
    except AttributeError as error:
        raise InputTypeError("estimator", f"expected an estimator that inherits from BaseEstimator, got {error}") from error
    if is_pipeline(estimator):  # scikit-learn would say so in every fit
        _check_steps(estimator)
    try:
        clone(estimator)
    except Exception as error:  # whatever its constructor raises
        problem = f"expected an estimator that can be cloned, got {type(estimator).__name__} ({type(error).__name__}: {error})"
        raise InputTypeError("estimator", f"{problem}; let __init__ store its arguments as they are") from error


def _check_steps(pipeline: Any) -> None:
    taken = set(pipeline.get_params(deep=False))
    steps = steps_of(pipeline)
    for name, step in steps:
        if not isinstance(name, str) or "__" in name or name in taken:
            raise InputError("estimator", f"expected names of steps that differ and are free, got {name!r}; name the step anew")
        taken.add(name)
        if step is steps[-1][1] or is_passed_through(step):
            continue
        if is_sampler(step):
            if takes_samplers(pipeline):
                continue
            raise InputTypeError(
                "estimator", f"expected steps that transform, got the sampler {step!r} as {name!r}, which only a pipeline of "
                "imbalanced-learn's takes; use imblearn.pipeline.Pipeline"
            )  # fmt: skip
        if not callable(getattr(step, "transform", None)):
            raise InputTypeError(
                "estimator", f"expected steps that transform before the last, got {step!r} as {name!r}; put it last"
            )


def _check_shape(dataset: Dataset, estimator: Any) -> None:
    """Refuse a single row of numbers where the first to see it is known to want a table."""
    X, first = dataset.X, first_step(estimator)
    if getattr(X, "ndim", 2) != 1 or X.dtype.kind not in "biufc" or not type(first).__module__.startswith("sklearn."):
        return
    tags = get_tags(first)
    is_leaf = not any(hasattr(value, "fit") for value in first.get_params(deep=False).values())
    if is_leaf and tags.input_tags.two_d_array and not tags.input_tags.one_d_array and not tags.no_validation:
        raise DataError(
            "X", f"expected rows and columns, got shape {dataset.shape} (Expected 2D array, got 1D array instead); "
            "use X.reshape(-1, 1) for a single feature"
        )  # fmt: skip


def _check_classes(y: Any, estimator: Any) -> None:
    if y is not None and is_classifier(estimator) and (kind := type_of_target(y)).startswith("continuous"):
        raise DataError(
            "y", f"expected classes for {type(estimator).__name__}, got numbers (Unknown label type: {kind}); use a regressor, "
            "or cut them into classes"
        )  # fmt: skip


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


def _placed_in(place: str, make: Callable[[], Any]) -> Any:
    """Call something, and say of which argument an error about a param of the space is."""
    try:
        return make()
    except SpaceError as error:
        where = place if not error.place or error.source else f"{place}.{error.place}"
        raise (error if error.source else error.moved(where)) from None


def _space(space: Any) -> SearchSpace:
    whole: SearchSpace = _placed_in("space", lambda: SearchSpace(space))
    return whole


def _check_names(space: SearchSpace, estimator: BaseEstimator) -> None:
    """Check that every name of the space can be set, by an estimator that is itself a value if need be."""
    known = estimator.get_params(deep=True)
    for sub in space.subspaces:
        for name, dimension in sub.items():
            if name not in known and not _is_taken(name, dimension, sub, estimator):
                raise SpaceError(
                    f"space.{name}",
                    f"expected a param of {type(estimator).__name__}, got {name!r}; {nearest(name, sorted(known))}",
                )


def _is_taken(name: Any, dimension: Any, sub: Mapping[str, Any], estimator: Any) -> bool:
    """Try a name that ``get_params`` does not list: on the estimator, and on estimators that are values themselves.

    Some estimators have names by which only ``set_params`` knows a param: aliases, and options that are handed on.
    """
    if not isinstance(name, str):
        return False
    owners = [(estimator, name)]
    for owner, values in sub.items():
        if name.startswith(f"{owner}__"):
            estimators = (value for value in getattr(values, "choices", ()) if _is_estimator(value))
            owners += [(value, name.removeprefix(f"{owner}__")) for value in estimators]
    return any(_takes(owner, own_name, dimension.example()) for owner, own_name in owners)


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _takes(estimator: Any, name: str, value: Any) -> bool:
    if name in estimator.get_params(deep=True):
        return True
    try:
        clone(estimator).set_params(**{name: clone(value, safe=False)})
    except Exception:  # whatever an estimator raises of a name that it does not know
        return False
    return True


def with_params(estimator: Any, params: Params, seeds: Mapping[str, int] | None = None) -> Any:
    """Make an estimator ready to be fitted, as scikit-learn's searches do: cloned, then given clones of params, and seeds."""
    return clone(estimator).set_params(**clone(dict(params), safe=False), **(seeds or {}))
