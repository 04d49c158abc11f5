"""Step 3 and 5: estimators that train in epochs, so that a schedule can judge them on the way.

What one epoch is depends on the estimator: a call of ``partial_fit``, one more of its ``n_estimators`` with ``warm_start``,
or one more of its ``max_iter``. A pipeline trains its last step; its transformers are fitted once, by the train rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import unique_labels

from foldwise.errors import InputError, SpaceError
from foldwise.keys import derive_seed, label
from foldwise.process import ignored_warnings
from foldwise.seeds import is_random_state, seed_generators
from foldwise.trial import Lineage, Params

HORIZON = "epochs"
"""The param by which an estimator with ``partial_fit`` is told how many epochs its learning rate's schedule spans."""

_COUNTERS = ("n_estimators", "max_iter")
_WHICH = (
    "those with partial_fit do (SGDClassifier, MLPClassifier, foldwise.models), and those with warm_start and n_estimators or "
    "max_iter (GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier)"
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
    path, last = parts_of(estimator)[-1]
    counter = _counter_of(last)
    if counter is None:
        raise InputError(
            "estimator", f"expected one that trains in epochs, as a schedule needs it, got {type(last).__name__}; {_WHICH}"
        )
    name = f"{path}{counter}"
    if name in names:
        raise SpaceError(
            f"space.{name}", f"expected a space without {name!r}, which counts the epochs of a schedule; "
            "leave it out, and set schedule.max_epochs"
        )  # fmt: skip


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
    path, last = parts_of(estimator)[-1]
    own = last.get_params(deep=False)
    listed = getattr(last, "changes_in_training", None)
    fixed = {"warm_start", _counter_of(last), HORIZON}.union(*(_FIXED.get(base.__name__, ()) for base in type(last).__mro__))

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


class EpochTrainer:
    """Trains an estimator, an epoch a call, always on the same rows; it can be pickled in between.

    What an epoch draws depends on the seed and its number alone, so that a training that was interrupted goes on as if it
    had not been. Of a pipeline the transformers are fitted before the first epoch, and anew after it was unpickled: the
    rows that they give are those of their ``fit_transform``, as in a plain fit, and do not travel.

    Parameters
    ----------
    model : estimator
        With its params and random states; trained in place.
    seed : int
        What the global generators are seeded from.
    horizon : int
        The most epochs that it may train, for learning rates that span them.

    Attributes
    ----------
    model : estimator
        Ready to be scored after each epoch.
    epochs : int
        How many it has trained.
    """

    def __init__(self, model: Any, seed: int, horizon: int) -> None:
        check_epochs(model)
        self.model, self.epochs = model, 0
        self._seed = seed
        self._borrowed = _borrow(self.last, horizon)
        self._seen: tuple[Any, dict[str, Any]] | None = None

    @property
    def last(self) -> Any:
        """The step that trains: the last one of a pipeline, however deep, or the estimator itself."""
        return parts_of(self.model)[-1][1]

    def train(self, X: Any, y: Any, fit_params: Params | None = None) -> None:
        """Train one more epoch.

        Parameters
        ----------
        X, y : array-like
            The train rows; the same in each call.
        fit_params : mapping, optional
            As ``fit`` takes them: a pipeline's by step, as in ``clf__sample_weight``.
        """
        by_part = _by_part([path for path, _ in parts_of(self.model)], fit_params or {})
        if self._seen is None:
            seed_generators(derive_seed(self._seed, "transformers"))
            self._seen = self._fit_transformers(X, y, by_part), _classes_for(self.last, y)
        Xt, classes = self._seen
        seed_generators(derive_seed(self._seed, "epoch", self.epochs))
        _train_epoch(self.last, self.epochs, Xt, y, {**classes, **by_part[-1]})
        self.epochs += 1

    def transform(self, X: Any) -> Any:
        """Return rows as the last step gets them."""
        for _, transformer in parts_of(self.model)[:-1]:
            X = transformer.transform(X)
        return X

    def set_params(self, params: Params) -> None:
        """Change params between two epochs.

        Raises
        ------
        InputError
            If one cannot change while the estimator trains.
        """
        refused = set(params) - changeable(self.model, params)
        if refused:
            name = min(refused)
            raise InputError(
                name, f"expected a param that can change while {type(self.last).__name__} trains, got {name!r}; "
                "give it a single value, or leave it out of the space"
            )  # fmt: skip
        self.model.set_params(**{name: clone(value, safe=False) for name, value in params.items()})

    def finished(self) -> Any:
        """Return the model as it is to be kept: the params that counted its epochs for a time are as they were."""
        self.last.set_params(**self._borrowed)
        return self.model

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_seen": None}

    def _fit_transformers(self, X: Any, y: Any, by_part: list[dict[str, Any]]) -> Any:
        for (_, transformer), params in zip(parts_of(self.model)[:-1], by_part, strict=False):
            if hasattr(transformer, "fit_transform"):
                X = transformer.fit_transform(X, y, **params)
            else:
                X = transformer.fit(X, y, **params).transform(X)
        return X


def train_lineage(
    model: Any, lineage: Lineage, X: Any, y: Any, fit_params: Params | None = None, *, horizon: int, seed: int
) -> Any:
    """Train a model as a trial was trained, epoch by epoch with each segment's params.

    Parameters
    ----------
    model : estimator
        With the first segment's params and its random states; trained in place.
    lineage : tuple of Segment
        The epochs.
    X, y : array-like
        The train rows.
    fit_params : mapping, optional
        As ``fit`` takes them.
    horizon : int
        ``schedule.max_epochs``.
    seed : int
        The fit's.

    Returns
    -------
    estimator
        The very model that a trial's fold had after the same epochs on the same rows.
    """
    trainer = EpochTrainer(model, seed, horizon)
    before = lineage[0].params
    for segment in lineage:
        trainer.set_params(changed(before, segment.params))
        before = segment.params
        for _ in range(segment.epochs):
            trainer.train(X, y, fit_params)
    return trainer.finished()


def parts_of(estimator: Any, path: str = "") -> list[tuple[str, Any]]:
    """List the steps that rows go through, with the prefix of their params; nested pipelines at the end are opened.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> [path for path, _ in parts_of(make_pipeline(StandardScaler(), SGDClassifier()))]
    ['standardscaler__', 'sgdclassifier__']
    """
    if type(estimator) is not Pipeline:
        return [(path, estimator)]
    steps = [(f"{path}{name}__", step) for name, step in estimator.steps]
    transformers = [(at, step) for at, step in steps[:-1] if step is not None and step != "passthrough"]
    at, last = steps[-1]
    return [*transformers, *parts_of(last, at)]


# --- one epoch --------------------------------------------------------------------------------------------------------


def _counter_of(last: Any) -> str | None:
    """Return which param counts the epochs of an estimator; None if it does not train in epochs."""
    if callable(getattr(last, "partial_fit", None)):
        return HORIZON
    own = last.get_params(deep=False) if hasattr(last, "get_params") else {}
    if "warm_start" not in own:
        return None
    return next((name for name in _COUNTERS if name in own), None)


def _borrow(last: Any, horizon: int) -> dict[str, Any]:
    """Set what an estimator needs to train in epochs; returns what is to be put back in the end."""
    own, counter = last.get_params(deep=False), _counter_of(last)
    if counter == HORIZON:
        if HORIZON in own:
            last.set_params(**{HORIZON: horizon})
        return {}
    last.set_params(warm_start=True)
    put_back = ["warm_start"] if _adds_up(last) else ["warm_start", str(counter)]
    return {name: own[name] for name in put_back}


def _train_epoch(last: Any, epochs: int, X: Any, y: Any, params: Params) -> None:
    counter = _counter_of(last)
    if counter == HORIZON:
        last.partial_fit(X, **params) if y is None else last.partial_fit(X, y, **params)
        return
    last.set_params(**{str(counter): epochs + 1 if _adds_up(last) else 1})
    with ignored_warnings(category=ConvergenceWarning):  # a single iteration seldom converges
        last.fit(X, **params) if y is None else last.fit(X, y, **params)


def _adds_up(last: Any) -> bool:
    """Tell whether ``warm_start`` counts what stands already, as ensembles do, or goes on for so many iterations more."""
    return _counter_of(last) == "n_estimators" or any(
        base.__name__.startswith("HistGradientBoosting") for base in type(last).__mro__
    )


def _classes_for(last: Any, y: Any) -> dict[str, Any]:
    """Return the classes as ``partial_fit`` wants to be told of them: those of all the train rows."""
    if y is None or not is_classifier(last) or _counter_of(last) != HORIZON:
        return {}
    return {"classes": unique_labels(y)} if "classes" in inspect.signature(last.partial_fit).parameters else {}


def _by_part(paths: list[str], fit_params: Params) -> list[dict[str, Any]]:
    """Hand each step its own fit params."""
    by_part: list[dict[str, Any]] = [{} for _ in paths]
    for name, value in fit_params.items():
        number = next(_owners(paths, name), None)
        if number is None:
            raise InputError(
                name, f"expected a fit param of one of the steps {', '.join(path.removesuffix('__') for path in paths)}, got "
                f"{name!r}; write {paths[-1]}{name}"
            )  # fmt: skip
        by_part[number][name.removeprefix(paths[number])] = value
    return by_part


def _owners(paths: list[str], name: str) -> Iterator[int]:
    return (number for number, path in enumerate(paths) if name.startswith(path))
