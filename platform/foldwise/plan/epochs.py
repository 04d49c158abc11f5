"""Step 4, plan: which estimators train in epochs, so that a schedule can judge them on the way.

What one epoch is depends on the estimator (`foldwise.plan.iterations`): a call of ``partial_fit``, one more of its
``n_estimators`` with ``warm_start``, or one more of its ``max_iter``. A pipeline trains its last step; its transformers are
fitted once, by the train rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from foldwise.errors import InputError, SpaceError
from foldwise.keys import label
from foldwise.keys.seeds import is_random_state
from foldwise.plan.iterations import HORIZON, Way, refusals, way_of
from foldwise.plan.steps import steps_with_paths
from foldwise.trial import Params

_WHICH = (
    "those with partial_fit do (SGDClassifier, MLPClassifier, foldwise.models), and those with warm_start and n_estimators or "
    "max_iter (GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier); docs/schedules.md has all"
)
_NETWORK = {
    "hidden_layer_sizes", "activation", "solver", "learning_rate", "learning_rate_init", "power_t", "momentum",
    "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "early_stopping",
}  # fmt: skip
_STAGES = {"loss", "learning_rate", "init", "validation_fraction", "n_iter_no_change", "tol"}
_BINS = {
    "loss", "max_bins", "categorical_features", "monotonic_cst", "interaction_cst", "early_stopping", "scoring",
    "validation_fraction", "n_iter_no_change", "tol",
}  # fmt: skip
_FIXED: Mapping[str, Collection[str]] = {
    "MLPClassifier": _NETWORK, "MLPRegressor": _NETWORK,
    "SGDClassifier": {"fit_intercept", "average"}, "SGDRegressor": {"fit_intercept", "average"},
    # Of gradient boosting the learning rate scales the trees that stand already, too.
    "GradientBoostingClassifier": _STAGES, "GradientBoostingRegressor": _STAGES,
    "HistGradientBoostingClassifier": _BINS, "HistGradientBoostingRegressor": _BINS,
}  # fmt: skip
"""What scikit-learn's estimators read in their first epoch only, or apply to what was trained before."""


def check_epochs(estimator: Any, names: Collection[str] = ()) -> None:
    """Refuse an estimator that does not train in epochs, and a space over what counts them.

    Parameters
    ----------
    estimator : estimator
        A pipeline trains its last step.
    names : collection of str
        The space's names.

    Raises
    ------
    InputError
        At ``estimator`` or ``space.<name>``.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> check_epochs(SGDClassifier())
    """
    path, last = steps_with_paths(estimator)[-1]
    way = way_of(last)
    if isinstance(way, str):
        why = f", for {way}" if way else ""
        raise InputError(
            "estimator", f"expected one that trains in epochs, as a schedule needs it, got {type(last).__name__}{why}; {_WHICH}"
        )
    name = f"{path}{way.counter}"
    if name in names:
        raise SpaceError(
            f"space.{name}", f"expected a space without {name!r}, which counts the epochs of a schedule; "
            "leave it out, and set schedule.max_epochs"
        )  # fmt: skip
    for refused, value, fix in refusals(last, path):
        raise InputError(
            f"space.{refused}" if refused in names else "estimator",
            f"expected {refused} with which {type(last).__name__} can train in epochs, got {value!r}: {fix}",
        )


def changeable(estimator: Any, names: Collection[str]) -> frozenset[str]:
    """Return which of some params may change while the estimator trains.

    They are the last step's own. An estimator may list them in an attribute ``changes_in_training``; of others those are
    left out that are known to be read in the first epoch only.

    Parameters
    ----------
    estimator : estimator
        With the params that it trains with.
    names : collection of str
        Params of the whole estimator.

    Returns
    -------
    frozenset of str
        A subset of ``names``.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> sorted(changeable(MLPClassifier(), ["alpha", "batch_size", "hidden_layer_sizes"]))
    ['alpha', 'batch_size']
    """
    path, last = steps_with_paths(estimator)[-1]
    own = last.get_params(deep=False)
    listed = getattr(last, "changes_in_training", None)
    fixed = {"warm_start", HORIZON, way_known(last).counter}.union(
        *(_FIXED.get(base.__name__, ()) for base in type(last).__mro__)
    )

    def may_change(name: str) -> bool:
        if listed is not None:
            return name in listed
        return name in own and name not in fixed and not is_random_state(name)

    return frozenset(name for name in names if name.startswith(path) and may_change(name.removeprefix(path)))


def changed(before: Params, after: Params) -> dict[str, Any]:
    """Return the params of ``after`` that ``before`` has not, or with another value."""
    return {
        name: value for name, value in after.items() if name not in before or label(before[name]) != label(value)
    }  # fmt: skip


def way_known(last: Any) -> Way:
    """Return how an estimator trains in epochs; that of ``partial_fit`` if it does not."""
    way = way_of(last)
    return Way("") if isinstance(way, str) else way
