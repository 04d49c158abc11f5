"""A trainable as people write it by hand: inner folds in lockstep, an epoch a step, the mean of their scores reported."""

from __future__ import annotations

from typing import Any

import numpy as np
from ray import tune
from sklearn.base import clone


class Lockstep(tune.Trainable):
    """Trains a model per inner fold of the study that its config names."""

    def setup(self, config: dict[str, Any], model: Any, X: np.ndarray, y: np.ndarray, studies: Any) -> None:
        """Keep the data, and begin."""
        self.model, self.X, self.y, self.studies = model, X, y, studies
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process."""
        params = {name: value for name, value in new_config.items() if name != "study"}
        self.folds = self.studies[new_config["study"]]
        self.models = [clone(self.model).set_params(**params) for _ in self.folds]
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch of each."""
        scores = []
        for model, (train, test) in zip(self.models, self.folds, strict=True):
            trained(model, self.X[train], self.y[train], 1)
            scores.append(model.score(self.X[test], self.y[test]))
        return {"score": float(np.mean(scores))}


def trained(model: Any, X: np.ndarray, y: np.ndarray, epochs: int) -> Any:
    """Train some epochs."""
    for _ in range(epochs):
        model.partial_fit(X, y, classes=np.unique(y))
    return model
