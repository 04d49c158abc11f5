"""Step 4, plan: who is handed what is given to ``fit`` beside X and y, as scikit-learn's searches hand it on.

Without metadata routing the estimator gets all of it, splitters the groups, and the inner loop's scorer the weights; the
outer loop scores without weights, as ``cross_validate`` around a search does. With metadata routing each gets what it requests.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from foldwise.errors import InputError, InputTypeError
from foldwise.plan.compat import accepts_weights, scorers_within

WEIGHT = "sample_weight"


@dataclass(frozen=True)
class Handed:
    """What each part of a nested search is handed; values are as long as the data, or go as they are.

    Parameters
    ----------
    fit : mapping
        The estimator's ``fit``.
    inner, outer : mapping
        The scorer, in the inner and in the outer loop.
    inner_split, outer_split : mapping
        The splitters, groups apart.
    """

    fit: Mapping[str, Any] = field(default_factory=dict)
    inner: Mapping[str, Any] = field(default_factory=dict)
    outer: Mapping[str, Any] = field(default_factory=dict)
    inner_split: Mapping[str, Any] = field(default_factory=dict)
    outer_split: Mapping[str, Any] = field(default_factory=dict)


def hand_out(estimator: Any, scorer: Any, outer_cv: Any, inner_cv: Any, groups: Any, metadata: Mapping[str, Any]) -> Handed:
    """Say who is handed what.

    Parameters
    ----------
    estimator, scorer, outer_cv, inner_cv : object
        Whose requests count where metadata routing is enabled.
    groups : array-like or None
        Handed to splitters, and to who else requests them.
    metadata : mapping
        What else ``fit`` was given.

    Raises
    ------
    InputError
        If something is given that nobody requests, or is not said to be requested or not.
    """
    if not get_config()["enable_metadata_routing"]:
        weight = metadata.get(WEIGHT)
        inner = {WEIGHT: weight} if weight is not None and _takes_weights(scorer) else {}
        return Handed(fit=dict(metadata), inner=inner)
    router = router_of("NestedSearchCV", estimator, scorer, outer_cv, inner_cv)
    asked = dict(metadata)
    if groups is not None and router.consumes("fit", {"groups"}):
        asked["groups"] = groups
    try:
        routed = process_routing(router, "fit", **asked)
    except (TypeError, ValueError) as error:
        kind = InputTypeError if isinstance(error, TypeError) else InputError
        raise kind(
            "fit_params", f"expected what is requested by {type(estimator).__name__}, scorer or splitter, got {error}"
        ) from error
    scored = dict(routed.scorer.score)
    return Handed(
        dict(routed.estimator.fit),
        scored,
        scored,
        _without_groups(routed.inner_cv.split),
        _without_groups(routed.outer_cv.split),
    )


def router_of(owner: Any, estimator: Any, scorer: Any, outer_cv: Any, inner_cv: Any) -> MetadataRouter:
    """Return what scikit-learn's metadata routing asks of a nested search."""
    splits = MethodMapping().add(caller="fit", callee="split")
    return (
        MetadataRouter(owner=owner)
        .add(estimator=estimator, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        .add(
            scorer=scorer,
            method_mapping=MethodMapping().add(caller="fit", callee="score").add(caller="score", callee="score"),
        )
        .add(outer_cv=outer_cv, inner_cv=inner_cv, method_mapping=splits)
    )


def _without_groups(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name != "groups"}


def _takes_weights(scorer: Any) -> bool:
    """Tell whether a scorer can weigh rows, and warn of each that cannot."""
    several = scorers_within(scorer)
    takes = {str(name): _accepts(one) for name, one in (several or {"": scorer}).items()}
    for name, accepts in takes.items():
        if not accepts:
            shown = f"{name}={several[name]}" if several else f"{scorer}"
            warnings.warn(
                f"The scoring {shown} does not support sample_weight: fits are weighted, and its validation scores are not",
                UserWarning,
                stacklevel=2,
            )
    return any(takes.values())


def _accepts(scorer: Any) -> bool:
    accepts = accepts_weights(scorer)
    if accepts is not None:
        return accepts
    try:
        return WEIGHT in inspect.signature(scorer).parameters
    except (TypeError, ValueError):  # a callable in C
        return False
