"""A canary per thing that the Keras estimators rely on of the private parts of TensorFlow and scikit-learn."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from foldwise.models.compat import _EVERY, checked_weights, count_model, gradients_forgotten
from foldwise.models.devices import strategy


@pytest.fixture(autouse=True)
def started():
    """Start TensorFlow as the estimators do, which settles its threads for the process."""
    strategy()


def graph_with_a_gradient_of_its_own():
    @tf.custom_gradient
    def doubled(x):
        return 2 * x, lambda upstream: 2 * upstream

    @tf.function
    def graph(x):
        return doubled(x)

    graph(tf.constant(1.0))


def registered():
    return {name for name in ops.gradient_registry._registry if name.startswith("CustomGradient-")}


def test_a_graph_registers_its_own_gradients_where_they_are_looked_for_and_they_are_dropped():
    before = registered()
    with gradients_forgotten():
        graph_with_a_gradient_of_its_own()
        assert registered() - before, "TensorFlow itself keeps them"
    assert registered() == before


def test_cached_kernels_are_dropped_now_and_then(monkeypatch):
    assert callable(context.context().clear_kernel_cache)
    dropped = []
    monkeypatch.setattr(type(context.context()), "clear_kernel_cache", lambda self: dropped.append(True))
    for _ in range(2 * _EVERY):
        count_model()
    assert len(dropped) == 2


def test_weights_are_checked_as_scikit_learn_checks_them():
    X = np.zeros((3, 1))
    assert checked_weights(None, X).tolist() == [1.0, 1.0, 1.0]
    assert checked_weights(2, X).tolist() == [2.0, 2.0, 2.0]
    checked = checked_weights(np.array([1, 0, 2], dtype=np.int32), X)
    assert (checked.tolist(), checked.dtype) == ([1.0, 0.0, 2.0], np.float64)
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(2,\)"):
        checked_weights([1.0, 2.0], X)
    with pytest.raises(ValueError, match="NaN"):
        checked_weights([1.0, np.nan, 2.0], X)
