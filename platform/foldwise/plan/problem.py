"""Step 4, plan: a Problem is what is to be solved, with live objects, validated. Both faces build one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target

from foldwise.data import Dataset
from foldwise.errors import DataError, InputError, InputTypeError, SpaceError, nearest
from foldwise.keys import Deferred, Digester, digest
from foldwise.keys.versions import versions_of
from foldwise.plan.folds import NestedFolds, nested_folds
from foldwise.plan.metrics import check_judgeable, made_scorers
from foldwise.plan.routing import Handed, hand_out
from foldwise.plan.scoring import Scoring, check_scorable, make_scoring
from foldwise.plan.settings import Settings
from foldwise.plan.steps import first_step, is_passed_through, is_pipeline, is_sampler, steps_of, takes_samplers
from foldwise.process.world import World
from foldwise.space.space import SearchSpace
from foldwise.trial import Params


@dataclass(frozen=True)
class Problem:
    """A nested search, before it is planned: its settings, with the live objects that they are about.

    Parameters
    ----------
    settings : Settings
        What is asked for.
    dataset : Dataset
        The data.
    estimator : estimator
        Cloned for each fit; its own params are the fixed ones.
    space : SearchSpace
        What is searched over.
    n_trials : int
        Trials per study, as the search counts them in the space.
    folds : NestedFolds
        Both loops' rows.
    scoring : Scoring
        Scorers, and the metric that chooses.
    handed : Handed
        Who is handed what was given beside X and y.
    world : World
        What surrounds the fits.
    """

    settings: Settings
    dataset: Dataset
    estimator: Any
    space: SearchSpace
    n_trials: int
    folds: NestedFolds
    scoring: Scoring
    handed: Handed = field(default_factory=Handed)
    world: World = field(default_factory=World.here)

    @cached_property
    def key(self) -> str:
        """Digest of all that affects results."""
        folds = (*self.folds.outer, *self.folds.choosing)
        rows = [[Deferred(fold.train.numbers), Deferred(fold.held_out.numbers)] for fold in folds]
        digester = Digester()
        asked = self.settings
        try:
            spaces = [
                {name: [type(dimension).__name__, clone(vars(dimension), safe=False)] for name, dimension in sub.items()}
                for sub in self.space.subspaces
            ]
            content = digester.digest(
                self.dataset.digest, clone(self.estimator), spaces, asked.search, self.n_trials,
                asked.batch if asked.search.adapts else None, rows, self.scoring.scorer, self.scoring.refit,
                asked.has_final_model, asked.seed, asked.return_train_score, asked.error_score, self.handed.inner,
                self.handed.outer, None if asked.schedule is None else asked.schedule.to_dict(), self.world.settings,
            )  # fmt: skip
        except Exception:  # what cannot be read, or copied, makes each problem one of its own
            return uuid.uuid4().hex
        runs_on = {*asked.search.runs_on, *(("ray",) if asked.schedule is not None else ())}
        return digest(content, versions_of(digester.distributions | runs_on))


def make_problem(dataset: Dataset, estimator: Any, space: Any, settings: Settings) -> Problem:
    """Validate a nested search of a space, with an estimator, on data.

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
    whole_space, n_trials, scoring = _suited(settings, estimator, space)
    if settings.schedule is not None:
        settings.schedule.check_targets(estimator, whole_space, dataset.y)
    check_scorable(estimator, settings.scoring, dataset.y)
    handed = hand_out(
        estimator, scoring.scorer, settings.outer_cv, settings.inner_cv, dataset.groups, dataset.fit_params
    )  # fmt: skip
    folds = nested_folds(
        dataset, settings.outer_cv, settings.inner_cv, classifier=is_classifier(estimator), seed=settings.seed,
        repeats=settings.repeats, requested={"outer_cv": handed.outer_split, "inner_cv": handed.inner_split},
    )  # fmt: skip
    chooser = made_scorers(estimator, settings.scoring).get(scoring.objective)
    if chooser is not None and dataset.y is not None and not callable(scoring.refit):
        title = scoring.titles.get(scoring.objective, scoring.objective)
        check_judgeable(estimator, chooser, title, dataset.y, folds)
    return Problem(
        settings,
        replace(dataset, fit_params=handed.fit),
        estimator,
        whole_space,
        n_trials,
        folds,
        # A weighted mean of right and wrong rows has no pooled count.
        replace(scoring, zero_one=frozenset()) if handed.outer else scoring,
        handed,
    )


def check_settings(settings: Settings, estimator: Any, space: Any) -> None:
    """Check, without data, an estimator and a space, and that settings suit them.

    Raises
    ------
    InputError
        With the argument's name as its ``place``, if one is wrong.
    """
    _check_estimator(estimator)
    _suited(settings, estimator, space)


def _suited(settings: Settings, estimator: Any, space: Any) -> tuple[SearchSpace, int, Scoring]:
    """Return a space, the trials of a study in it, and an estimator's scorers, if these and some settings suit each other."""
    whole_space: SearchSpace = _placed_in("space", lambda: SearchSpace(space))
    _check_names(whole_space, estimator)
    scoring = make_scoring(clone(estimator), settings.scoring, settings.refit)
    n_trials: int = _placed_in("space", lambda: settings.search.check(whole_space, settings.n_trials))
    if settings.schedule is not None:
        settings.schedule.check_suits(estimator, whole_space, settings.search, n_trials)
    return whole_space, n_trials, scoring


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


def _placed_in(place: str, make: Callable[[], Any]) -> Any:
    """Call something, and say of which argument an error about a param of the space is."""
    try:
        return make()
    except SpaceError as error:
        where = place if not error.place or error.source else f"{place}.{error.place}"
        raise (error if error.source else error.moved(where)) from None


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
