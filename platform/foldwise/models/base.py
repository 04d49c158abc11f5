"""What all Keras estimators are: scikit-learn estimators that train a network in epochs, by ``fit`` or one by one.

An epoch depends on the weights, the params, its number and the seed alone. So ``fit`` with n epochs is n calls of
``partial_fit``, a copy goes on exactly where its original stood, and nothing is drawn from global generators.
"""

from __future__ import annotations

import pickle
from abc import abstractmethod
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from foldwise.errors import DivergedError, InputError
from foldwise.models.compat import checked_weights
from foldwise.models.devices import strategy
from foldwise.models.encoders import Encoder
from foldwise.models.learning_rate_schedules import LEARNING_RATE_SCHEDULES, learning_rates
from foldwise.models.params import Role, check_params, flag, one_of, param, params_of, real, whole
from foldwise.models.pool import POOL
from foldwise.models.specs import Meta
from foldwise.models.targets import Target

OPTIMIZERS = ("adam", "nadam", "rmsprop", "adagrad", "ftrl", "sgd", "momentum")


@dataclass(frozen=True)
class TrainingRows:
    """Rows of one call of ``fit`` or ``partial_fit``.

    Parameters
    ----------
    rows : foldwise.models.network.TensorRows
        Those that train.
    n_rows : int
        Their number.
    held : tuple of arrays, optional
        Inputs, targets and weights of the rows that early stopping watches.
    """

    rows: Any
    n_rows: int
    held: tuple[Any, np.ndarray, np.ndarray] | None


@dataclass(kw_only=True, eq=False, repr=False)
class KerasEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of the Keras estimators; it declares the params of training, which all of them have.

    Parameters
    ----------
    optimizer : str, default="adam"
        ``"adam"``, ``"nadam"``, ``"rmsprop"``, ``"adagrad"``, ``"ftrl"``, ``"sgd"``, or ``"momentum"``: sgd with Nesterov
        momentum of 0.9.
    learning_rate : float, default=0.001
        Learning rate to begin with.
    learning_rate_schedule : str, default="constant"
        ``"constant"``; ``"exponential"`` or ``"cosine"``: down to a hundredth over ``epochs``; ``"plateau"``: halved whenever
        the loss (of the held rows, with early stopping) has not improved for half of ``patience``.
    weight_decay : float, default=0.0
        Share of the learning rate by which kernels shrink at each step (decoupled from the gradient, as in AdamW).
    batch_size : int, default=32
        Rows of a step.
    epochs : int, default=20
        Epochs that ``fit`` trains, at most; and the horizon of the learning rate's schedule.
    early_stopping : bool, default=False
        Whether ``fit`` stops when the loss on rows held back from those it was given has not improved for ``patience``
        epochs, and goes back to the best weights. Calls of ``partial_fit`` hold them back and record their loss.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping holds back, by class.
    patience : int, default=5
        Epochs without improvement that early stopping waits.
    random_state : int, RandomState or None, default=None
        Where initial weights, the order of rows and dropout come from.
    """

    optimizer: str = one_of("adam", Role.NETWORK, OPTIMIZERS)
    learning_rate: float = real(0.001, Role.LOOP, "(0, inf)")
    learning_rate_schedule: str = one_of("constant", Role.LOOP, LEARNING_RATE_SCHEDULES)
    weight_decay: float = real(0.0, Role.RATE, "[0, inf)")
    batch_size: int = whole(32, Role.LOOP, at_least=1)
    epochs: int = whole(20, Role.LOOP, at_least=1)
    early_stopping: bool = flag(False, Role.START)
    validation_fraction: float = real(0.1, Role.START, "(0, 1)")
    patience: int = whole(5, Role.LOOP, at_least=1)
    random_state: Any = param(None, Role.START)

    _foldwise_depends_on = ("keras", "tensorflow")
    """Packages whose versions tell what such an estimator computes."""

    def _foldwise_prepare(self) -> None:
        """Import TensorFlow and start it, which takes seconds, before a fit is timed."""
        import foldwise.models.network  # noqa: F401  (lazily: TensorFlow takes seconds)

        strategy()

    # --- what a family says -------------------------------------------------------------------------------------------

    @abstractmethod
    def _build(self, meta: Meta) -> Any:
        """Build the Keras model; its seeds are set by the caller."""

    @abstractmethod
    def _make_encoder(self, X: Any) -> Encoder:
        """Learn from the rows that train how X is encoded."""

    @abstractmethod
    def _make_target(self, y: np.ndarray, train: np.ndarray | None, classes: Any) -> Target:
        """Learn how y is encoded: values from the rows that train (None: all), classes from all or as they are named."""

    @abstractmethod
    def _validated(self, X: Any, y: Any = None, *, reset: bool) -> Any:
        """Check X (and y, where there is one) as scikit-learn does, and record or compare what X looks like."""

    @abstractmethod
    def _check_y(self, y: Any) -> np.ndarray:
        """Check y, and return it as an array."""

    def _row_weights(self, y: np.ndarray, train: np.ndarray | None) -> np.ndarray | None:
        """Return what each row counts by its y, as the rows that train have it; None: all alike."""
        return None

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return what the rows held back are drawn by; None: nothing."""
        return None

    # --- training -----------------------------------------------------------------------------------------------------

    @property
    def changes_in_training(self) -> frozenset[str]:
        """Params that may change between two epochs, by ``set_params`` between two calls of ``partial_fit``."""
        return frozenset(params_of(self, lambda role: role.may_change)) - {"epochs"}  # the learning rate's schedule spans them

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for ``epochs`` epochs.

        Parameters
        ----------
        X : array or DataFrame of shape (n_rows, ...)
            The rows.
        y : array of shape (n_rows,) or, for a regression, (n_rows, n_outputs)
            Their targets.
        sample_weight : array of shape (n_rows,), optional
            What each row counts, in relation to the others.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InputError
            If a param cannot be; ``place`` is its name.
        DivergedError
            If the loss is no finite number any more.
        """
        training = self._open(X, y, sample_weight, begin=True)
        model = self._fresh()
        with self._lent(model) as network:
            network.begin(model)
            best, best_loss, waited = None, np.inf, 0
            for _ in range(self.epochs):
                self._train_epoch(network, training)
                if training.held is None:
                    continue
                loss, waited = self.history_["val_loss"][-1], waited + 1
                if loss < best_loss:
                    best, best_loss, waited = network.save(), loss, 0
                if waited >= self.patience:
                    break
            self._learned = best or network.save()
        return self

    def _train_further(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """Train one more epoch, or the first."""
        begin = not self.__sklearn_is_fitted__()
        training = self._open(X, y, sample_weight, begin=begin, classes=classes)
        model = self._fresh() if begin else None
        with self._lent(model) as network:
            if model is not None:
                network.begin(model)
            else:
                self._load(network)
            self._train_epoch(network, training)
            self._learned = network.save()
        return self

    def _open(self, X: Any, y: Any, sample_weight: Any, *, begin: bool, classes: Any = None) -> TrainingRows:
        """Check params and rows, learn how they are encoded if training begins, and hand them to TensorFlow."""
        check_params(self)
        if not begin:
            self._check_unchanged()
        X, y = self._validated(X, y, reset=begin)
        weight = checked_weights(sample_weight, X)
        if begin:
            self.__dict__.pop("_learned", None)
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        train, held = self._split(y, weight)
        if begin:
            self._begin(_take(X, train), y, train, classes)
        factors, y = self._row_weights(y, train), self._target.encode(y)
        weight = weight if factors is None else weight * factors
        self._check_weights(weight, train, held)
        weight = _relative(weight, train)
        from foldwise.models.network import TensorRows  # lazily: TensorFlow takes seconds

        strategy()
        rows = TensorRows.of(self._encoder.encode(_take(X, train)), _take(y, train), _take(weight, train))
        watched = None if held is None else (self._encoder.encode(_take(X, held)), y[held], weight[held])
        return TrainingRows(rows, len(y) if train is None else len(train), watched)

    def _begin(self, X: Any, y: np.ndarray, train: np.ndarray | None, classes: Any) -> None:
        """Settle what holds for all epochs."""
        self._started = params_of(self, lambda role: not role.may_change)
        self._encoder = self._make_encoder(X)
        self._target = self._make_target(y, train, classes)
        self.n_epochs_ = 0
        self.history_: dict[str, list[float]] = {"loss": [], "learning_rate": []}
        if self.early_stopping:
            self.history_["val_loss"] = []

    def _check_unchanged(self) -> None:
        for name, before in self._started.items():
            now = getattr(self, name)
            if now is not before and not _equal(now, before):
                raise InputError(
                    name,
                    f"expected {before!r}, as when training began, got {now!r}, which cannot change between epochs; call fit",
                )

    def _split(self, y: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the rows that train and those that early stopping watches; None, None: all train.

        Rows without weight are not watched: they would tell nothing.
        """
        if not self.early_stopping:
            return None, None
        counting = np.flatnonzero(weight > 0)
        strata = self._strata(y)
        try:
            _, held = train_test_split(
                counting, test_size=self.validation_fraction, random_state=self._seed,
                stratify=None if strata is None else strata[counting],
            )  # fmt: skip
        except ValueError as error:
            raise InputError(
                "validation_fraction",
                f"expected rows to hold back and rows to train on, by class, got {self.validation_fraction!r} of "
                f"{len(counting)} rows that have weight ({error}); give more rows, or early_stopping=False",
            ) from error
        return np.setdiff1d(np.arange(len(y)), held), np.sort(held)

    @staticmethod
    def _check_weights(weight: np.ndarray, train: np.ndarray | None, held: np.ndarray | None) -> None:
        """Refuse weights by which nothing is learned, or nothing is watched; those of single rows are checked already."""
        for rows, what in ((train, "rows to train on"), (held, "rows that early stopping watches")):
            if (what == "rows to train on" or rows is not None) and not _take(weight, rows).sum() > 0:
                raise InputError(
                    "class_weight", f"expected weight on some of the {what}, got none: sample_weight and class_weight, "
                    "multiplied, are zero on all; give their classes weight"
                )  # fmt: skip

    def _train_epoch(self, network: Any, training: TrainingRows) -> None:
        sequence = np.random.SeedSequence([self._seed, self.n_epochs_])
        n_steps = -(-training.n_rows // self.batch_size)
        watched = self.history_["val_loss" if self.early_stopping else "loss"]
        rates = learning_rates(
            self.learning_rate_schedule, self.learning_rate, self.n_epochs_, self.epochs, n_steps, watched,
            max(1, self.patience // 2),
        )  # fmt: skip
        order = np.random.default_rng(sequence).permutation(training.n_rows)
        losses = {"loss": network.train(training.rows, order, rates, self.batch_size, sequence)}
        if training.held is not None:
            X, y, weight = training.held
            losses["val_loss"] = self._target.loss(network.outputs(X), y, weight)
        for name, loss in losses.items():
            if not np.isfinite(loss):
                raise DivergedError(
                    f"the {name} is {loss} after epoch {self.n_epochs_ + 1} (optimizer={self.optimizer!r}, "
                    f"learning_rate={self.learning_rate:g}); a lower learning_rate may help"
                )
        for name, value in {**losses, "learning_rate": float(rates[-1])}.items():
            self.history_[name].append(value)
        self.n_epochs_ += 1

    # --- the network --------------------------------------------------------------------------------------------------

    @contextmanager
    def _lent(self, model: Any = None) -> Iterator[Any]:
        """Lend the network of these params, with whatever weights it has; if none waits, it is made around the model."""
        with POOL.lend(self._network_key(), lambda: self._make_network(model or self._fresh())) as network:
            yield network

    def _network_key(self) -> Hashable:
        """Name what the network is built from; what cannot be named is built anew each time."""
        params = params_of(self, lambda role: role.is_in_graph)
        functions = tuple(value for value in params.values() if callable(value))
        plain = {name: value for name, value in params.items() if not callable(value)}
        try:
            key = (type(self), functions, pickle.dumps((plain, self._meta, self._target.kind)))
            hash(key)
        except Exception:  # a param of the user's may be anything
            return object()
        return key

    @property
    def _meta(self) -> Meta:
        n_classes = len(self.classes_) if hasattr(self, "classes_") else None
        return Meta(self._encoder.inputs, self._target.n_outputs, n_classes)

    def _fresh(self) -> Any:
        """Build the model with the seed's initial weights."""
        from foldwise.models.network import building  # lazily: TensorFlow takes seconds

        with strategy().scope(), building(self._seed):
            return self._build(self._meta)

    def _make_network(self, model: Any) -> Any:
        from foldwise.models.network import Network  # lazily: TensorFlow takes seconds

        return Network(model, self._meta, self._target.kind, self.optimizer, self.weight_decay, strategy())

    def _load(self, network: Any) -> None:
        if isinstance(self._learned, bytes):
            self._learned = network.from_archive(self._learned)
        else:
            network.load(self._learned)

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the network's outputs for rows: logits, or values in standard units."""
        check_is_fitted(self)
        inputs = self._encoder.encode(self._validated(X, reset=False))
        with self._lent() as network:
            self._load(network)
            outputs: np.ndarray = network.outputs(inputs)
        if np.isnan(outputs).any():
            raise DivergedError(f"{type(self).__name__} predicts NaN: training diverged, or X holds values too large for it")
        return outputs

    # --- what scikit-learn and users look at --------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_learned")

    @property
    def n_iter_(self) -> int:
        """Epochs trained, by scikit-learn's name."""
        n_epochs: int = self.n_epochs_
        return n_epochs

    @property
    def model_(self) -> Any:
        """A Keras model of its own with the learned weights, compiled with the optimiser's state."""
        if not self.__sklearn_is_fitted__():
            raise AttributeError(f"{type(self).__name__} has no model_ before it is fitted")
        network = self._make_network(self._fresh())
        self._load(network)
        return network.model

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the network in Keras's own format, which holds the optimiser's state too."""
        state: dict[str, Any] = dict(super().__getstate__())
        if not isinstance(state.get("_learned", b""), bytes):
            with self._lent() as network:
                self._load(network)
                state["_learned"] = network.to_archive()
        return state


def _take(values: Any, rows: np.ndarray | None) -> Any:
    if rows is None:
        return values
    return values.iloc[rows] if hasattr(values, "iloc") else values[rows]


def _relative(weight: np.ndarray, train: np.ndarray | None) -> np.ndarray:
    """Scale what rows count to a mean of 1 among those that train, so that it does not act as a learning rate."""
    mean = _take(weight, train).mean()
    return weight / mean if mean > 0 else weight


def _equal(one: Any, other: Any) -> bool:
    same = one == other
    return bool(np.all(same)) if isinstance(same, np.ndarray) else bool(same)
