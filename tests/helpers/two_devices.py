"""Train on two virtual CPUs that stand for two GPUs, and print what came of it beside one device."""

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

from foldwise.models import MLPNetClassifier, base
from foldwise.models.pool import POOL

if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    X, y = load_digits(return_X_y=True)
    X, y = X[:101], y[:101]  # the last batch has one row: less than a row for each
    options = {"random_state": 0, "epochs": 3, "batch_size": 20, "weight_decay": 0.01, "optimizer": "sgd", "learning_rate": 0.1}
    single = MLPNetClassifier(**options).fit(X, y)
    alone = single.predict_proba(X)
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    base.strategy = lambda: mirrored
    POOL.clear()
    both = MLPNetClassifier(**options).fit(X, y)
    print([part.device for part in both.model_.weights[0].value.values])
    print(
        np.abs(both.predict_proba(X) - alone).max(), np.abs(np.subtract(both.history_["loss"], single.history_["loss"])).max()
    )
    normed = MLPNetClassifier(batch_norm=True, dropout=0.2, **options).fit(X, y)
    print(np.isfinite(normed.predict_proba(X)).all())
