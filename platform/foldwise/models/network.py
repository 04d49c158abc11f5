"""A Keras model with its optimiser, and the graphs that train an epoch and apply it. This module imports TensorFlow.

An epoch is one call of one graph, which loops over batches of rows that lie in memory: on small networks ``keras.Model.fit``
spends most of its time between the batches. What is learned goes in and out as plain arrays, so one network with its
graphs, which take longer to make than many a network takes to train, serves all fits that differ in their weights alone.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.special import logit

from foldwise.errors import InputError
from foldwise.models.compat import count_model, gradients_forgotten
from foldwise.models.specs import Meta

_ROWS_AT_ONCE = 1024
"""Rows that are applied to at once."""

_HOST = "/CPU:0"

OPTIMIZERS: dict[str, Any] = {
    "adam": keras.optimizers.Adam,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "adagrad": keras.optimizers.Adagrad,
    "ftrl": keras.optimizers.Ftrl,
    "sgd": keras.optimizers.SGD,
    "momentum": lambda **options: keras.optimizers.SGD(momentum=0.9, nesterov=True, **options),
}


@dataclass(frozen=True)
class Learned:
    """What training has come to, as plain arrays.

    Parameters
    ----------
    weights : tuple of array
        Of the layers.
    optimizer : tuple of array
        The optimiser's variables.
    """

    weights: tuple[np.ndarray, ...]
    optimizer: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class TensorRows:
    """Rows as the graphs take them, in the machine's memory.

    Parameters
    ----------
    X : array or mapping of str to array
        Inputs.
    y, weight : array
        Encoded targets, and what each row counts.
    """

    X: Any
    y: Any
    weight: Any

    @classmethod
    def of(cls, X: Any, y: np.ndarray, weight: np.ndarray) -> TensorRows:
        """Hand arrays to TensorFlow, once for all epochs."""
        with tf.device(_HOST):
            return cls(tf.nest.map_structure(tf.constant, X), tf.constant(y), tf.constant(weight.astype(np.float32)))

    def take(self, rows: Any) -> TensorRows:
        """Take some rows, in a graph."""
        with tf.device(_HOST):
            X = tf.nest.map_structure(lambda values: tf.gather(values, rows), self.X)
            return TensorRows(X, tf.gather(self.y, rows), tf.gather(self.weight, rows))


class Network:
    """A model that can be trained, an epoch a time.

    Parameters
    ----------
    model : keras.Model
        The layers.
    meta : Meta
        What it was built for.
    kind : str
        What its outputs are: ``"binary"``, ``"classes"`` or ``"values"``.
    optimizer : str
        Name among `OPTIMIZERS`.
    weight_decay : float
        Share of the learning rate by which kernels shrink at each step (decoupled, as in AdamW).
    strategy : tf.distribute.Strategy
        How it spreads over devices.
    """

    def __init__(self, model: Any, meta: Meta, kind: str, optimizer: str, weight_decay: float, strategy: Any) -> None:
        self.model, self.strategy = model, strategy
        self.gives_probabilities = _gives_probabilities(model, kind)
        self._loss = _loss(kind, from_logits=not self.gives_probabilities)
        with strategy.scope():
            self.optimizer = OPTIMIZERS[optimizer](learning_rate=0.001, weight_decay=weight_decay or None)
            self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            self.optimizer.build(model.trainable_variables)
            model.compile(optimizer=self.optimizer, loss=self._loss, jit_compile=False)
        self._blank = tuple(variable.numpy() for variable in self.optimizer.variables)
        self._seeds = [variable for variable in model.variables if variable.name == "seed_generator_state"]
        self._train = tf.function(self._run_epoch, input_signature=_signature(meta, kind), autograph=False)
        self._apply = tf.function(self._outputs, input_signature=_signature(meta, kind)[:1], autograph=False)

    def begin(self, model: Any) -> None:
        """Start with the weights of a model that was just built, and a blank optimiser."""
        self.load(Learned(tuple(model.get_weights()), self._blank))

    def load(self, learned: Learned) -> None:
        """Take what was learned."""
        there = [tuple(weight.shape) for weight in self.model.weights]
        given = [weight.shape for weight in learned.weights]
        if there != given:
            raise InputError(
                "build", f"expected weights of the shapes {given}, as when training began, got {there}; call fit to begin anew"
            )
        self.model.set_weights(learned.weights)
        for variable, value in zip(self.optimizer.variables, learned.optimizer, strict=True):
            variable.assign(value)

    def save(self) -> Learned:
        """Return what was learned."""
        return Learned(tuple(self.model.get_weights()), tuple(variable.numpy() for variable in self.optimizer.variables))

    def train(
        self, rows: TensorRows, order: np.ndarray, rates: np.ndarray, batch_size: int, seed: np.random.SeedSequence
    ) -> float:
        """Train an epoch.

        Parameters
        ----------
        rows : Rows
            The rows that train.
        order : array of int
            Their order in this epoch.
        rates : array
            Learning rate of each step.
        batch_size : int
            Rows of a step.
        seed : numpy.random.SeedSequence
            Where dropout draws from.

        Returns
        -------
        float
            Mean loss of the steps.
        """
        for variable, child in zip(self._seeds, seed.spawn(len(self._seeds)), strict=True):
            variable.assign([int(child.generate_state(1)[0] >> 1), 0])
        order, rates = order.astype(np.int32), rates.astype(np.float32)
        total = _called(self._train, rows.X, rows.y, rows.weight, order, rates, np.int32(batch_size))
        return float(total) / len(order)

    def outputs(self, X: Any) -> np.ndarray:
        """Return what the last layer gives: logits, also where its activation makes probabilities of them; or values."""
        parts = []
        for first in range(0, _n_rows(X), _ROWS_AT_ONCE):
            chunk = tf.nest.map_structure(lambda values: values[first : first + _ROWS_AT_ONCE], X)  # noqa: B023  (called at once)
            parts.append(_called(self._apply, chunk).numpy())
        outputs = np.concatenate(parts).astype(np.float64)
        if not self.gives_probabilities:
            return outputs
        least = keras.config.epsilon()  # as Keras has it in its losses: the logits of 0 and 1 are infinite
        return np.asarray(logit(np.clip(outputs, least, 1 - least)) if outputs.shape[1] == 1 else np.log(outputs.clip(least)))

    @property
    def n_bytes(self) -> int:
        """Bytes of its variables."""
        return sum(int(np.prod(v.shape)) * 4 for v in (*self.model.weights, *self.optimizer.variables))

    def _run_epoch(self, X: Any, y: Any, weight: Any, order: Any, rates: Any, size: Any) -> Any:
        rows, n_rows = TensorRows(X, y, weight), tf.shape(order)[0]

        def train_step(step: Any, total: Any) -> tuple[Any, Any]:
            self.optimizer.learning_rate.assign(rates[step])
            batch = order[step * size : tf.minimum((step + 1) * size, n_rows)]
            losses = self.strategy.run(self._train_on, args=(rows.X, rows.y, rows.weight, batch))
            return step + 1, total + self.strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

        start = (tf.constant(0), tf.constant(0.0))
        return tf.while_loop(lambda step, _: step < tf.shape(rates)[0], train_step, start, parallel_iterations=1)[1]

    def _train_on(self, X: Any, y: Any, weight: Any, batch: Any) -> Any:
        """Train a step on one device's share of a batch; return the sum of its rows' losses."""
        n_rows, n_devices = tf.shape(batch)[0], self.strategy.num_replicas_in_sync
        mine, counts = batch, 1.0
        if n_devices > 1:  # each has equally many; what is over is taken from the start and counts nothing
            device = tf.distribute.get_replica_context().replica_id_in_sync_group
            places = tf.range((n_rows + n_devices - 1) // n_devices) * n_devices + device
            mine, counts = tf.gather(batch, places % n_rows), tf.cast(places < n_rows, tf.float32)
        rows, size = TensorRows(X, y, weight).take(mine), tf.cast(n_rows, tf.float32)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(self._loss(rows.y, self.model(rows.X, training=True)) * rows.weight * counts) / size
            if self.model.losses:  # of regularised layers in a model of the user's
                loss += tf.add_n(self.model.losses) / n_devices
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss * size

    def _outputs(self, X: Any) -> Any:
        return self.model(X, training=False)

    # --- Keras's own format -------------------------------------------------------------------------------------------

    def to_archive(self) -> bytes:
        """Return the model, its weights and the optimiser's state as a ``.keras`` file."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            self.model.save(file)
            return file.read_bytes()

    def from_archive(self, archive: bytes) -> Learned:
        """Return what was learned from a ``.keras`` file of such a network; no code in it is run."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.keras"
            file.write_bytes(archive)
            self.model.load_weights(file)
        return self.save()


@contextmanager
def building(seed: int) -> Iterator[None]:
    """Let Keras draw the seeds of what is built from this one: it asks Python's generator, which is put back."""
    with gradients_forgotten():  # one thread at a time
        python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        count_model()
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def _called(graph: Any, *arguments: Any) -> Any:
    """Call a graph; the first call makes it."""
    if graph.experimental_get_tracing_count():
        return graph(*arguments)
    with gradients_forgotten():
        return graph(*arguments)


def _n_rows(X: Any) -> int:
    return len(tf.nest.flatten(X)[0])


def _signature(meta: Meta, kind: str) -> tuple[Any, ...]:
    X = tf.nest.map_structure(lambda spec: tf.TensorSpec([None, *spec.shape], spec.dtype), meta.inputs)
    y = tf.TensorSpec([None], tf.int32) if kind == "classes" else tf.TensorSpec([None, meta.n_outputs], tf.float32)
    vector = tf.TensorSpec([None], tf.float32)
    return X, y, vector, tf.TensorSpec([None], tf.int32), vector, tf.TensorSpec([], tf.int32)


def _loss(kind: str, *, from_logits: bool) -> Any:
    if kind == "values":
        return keras.losses.MeanSquaredError(reduction=None)
    if kind == "binary":
        return keras.losses.BinaryCrossentropy(from_logits=from_logits, reduction=None)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits, reduction=None)


def _gives_probabilities(model: Any, kind: str) -> bool:
    """Look at the last layer's activation: a user's model may end in probabilities as well as in logits."""
    if kind == "values":
        return False
    last = model.layers[-1]
    layer = last if isinstance(last, keras.layers.Softmax) else getattr(last, "activation", None)
    return layer in {keras.activations.softmax, keras.activations.sigmoid} or isinstance(layer, keras.layers.Softmax)
