"""Step 5, map: training in epochs, one at a time, so that a schedule can judge it on the way.

What one epoch is depends on the estimator (`foldwise.plan.iterations`). A pipeline trains its last step; its transformers are
fitted once, by the train rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import unique_labels

from foldwise.errors import InputError
from foldwise.inputs.checks import is_integer
from foldwise.keys import derive_seed
from foldwise.keys.seeds import is_random_state, seed_generators
from foldwise.plan.epochs import changeable, changed, check_epochs, way_known
from foldwise.plan.iterations import HORIZON, scikit_learn_name
from foldwise.plan.steps import is_sampler, last_step, steps_with_paths
from foldwise.process.exclusive import ignored_warnings
from foldwise.trial import Lineage, Params


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
        return last_step(self.model)

    def train(self, X: Any, y: Any, fit_params: Params | None = None) -> None:
        """Train one more epoch.

        Parameters
        ----------
        X, y : array-like
            The train rows; the same in each call.
        fit_params : mapping, optional
            As ``fit`` takes them: a pipeline's by step, as in ``clf__sample_weight``.
        """
        by_part = _by_part([path for path, _ in steps_with_paths(self.model)], fit_params or {})
        if self._seen is None:
            seed_generators(derive_seed(self._seed, "transformers"))
            self._seen = self._fit_transformers(X, y, by_part), _classes_for(self.last, y)
        (Xt, yt), classes = self._seen
        seed_generators(derive_seed(self._seed, "epoch", self.epochs))
        _train_epoch(self.last, self.epochs, Xt, yt, {**classes, **by_part[-1]})
        self.epochs += 1

    def transform(self, X: Any) -> Any:
        """Return rows as the last step gets them."""
        for _, transformer in steps_with_paths(self.model)[:-1]:
            if not is_sampler(transformer):
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

    def _fit_transformers(self, X: Any, y: Any, by_part: list[dict[str, Any]]) -> tuple[Any, Any]:
        """Return rows and targets as the last step is fitted on them."""
        for (_, transformer), params in zip(steps_with_paths(self.model)[:-1], by_part, strict=False):
            if is_sampler(transformer):
                X, y = transformer.fit_resample(X, y, **params)
            elif hasattr(transformer, "fit_transform"):
                X = transformer.fit_transform(X, y, **params)
            else:
                X = transformer.fit(X, y, **params).transform(X)
        return X, y


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


# --- one epoch --------------------------------------------------------------------------------------------------------


def _borrow(last: Any, horizon: int) -> dict[str, Any]:
    """Set what an estimator needs to train in epochs; returns what is to be put back in the end."""
    own, way = last.get_params(deep=True), way_known(last)
    lent: dict[str, Any] = {name: other for name, (value, other) in way.instead.items() if own[name] == value}
    if way.draws_on:
        states = {name: state for name, state in own.items() if is_random_state(name) and is_integer(state)}
        lent |= {name: np.random.RandomState(state) for name, state in states.items()}
    if way.counter != HORIZON:
        lent["warm_start"] = True
    put_back = {name: own[name] for name in lent}
    if way.counter == HORIZON:
        lent |= {HORIZON: horizon} if HORIZON in own else {}
    elif not way.adds_up:
        put_back[way.counter] = own[way.counter]
    last.set_params(**lent)
    return put_back


def _train_epoch(last: Any, epochs: int, X: Any, y: Any, params: Params) -> None:
    way = way_known(last)
    if way.counter == HORIZON:
        with _weighed(last, y, is_needed=way.weighs):
            last.partial_fit(X, **params) if y is None else last.partial_fit(X, y, **params)
        if scikit_learn_name(last) == "MultiOutputClassifier":  # scorers ask for what its fit alone sets
            last.classes_ = [one.classes_ for one in last.estimators_]
        return
    last.set_params(**{way.counter: epochs + 1 if way.adds_up else 1})
    # A single iteration seldom converges; and class weights that are computed from the rows stay, as the rows do.
    with ignored_warnings(category=ConvergenceWarning), ignored_warnings("class_weight presets"):
        last.fit(X, **params) if y is None else last.fit(X, y, **params)


@contextmanager
def _weighed(last: Any, y: Any, *, is_needed: bool) -> Iterator[None]:
    """Give an estimator whose ``partial_fit`` refuses balanced class weights those that its ``fit`` would compute."""
    if not is_needed or not isinstance(getattr(last, "class_weight", None), str) or last.class_weight != "balanced":
        yield
        return
    labels = np.asarray(y)
    classes = np.unique(labels)
    weights = compute_class_weight("balanced", classes=classes, y=labels)
    last.set_params(class_weight=dict(zip(classes.tolist(), weights.tolist(), strict=True)))
    try:
        yield
    finally:
        last.set_params(class_weight="balanced")


def _classes_for(last: Any, y: Any) -> dict[str, Any]:
    """Return the classes as ``partial_fit`` wants to be told of them: those of all the train rows."""
    if y is None or not is_classifier(last) or way_known(last).counter != HORIZON:
        return {}
    if "classes" not in inspect.signature(last.partial_fit).parameters:
        return {}
    if scikit_learn_name(last) == "MultiOutputClassifier":
        return {"classes": [np.unique(column) for column in np.asarray(y).T]}
    return {"classes": unique_labels(y)}


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
