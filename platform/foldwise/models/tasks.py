"""The two tasks of a Keras estimator: to tell classes, and to tell values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from foldwise.errors import InputError
from foldwise.models.base import KerasEstimator
from foldwise.models.params import Role, param
from foldwise.models.targets import Classes, Values


def _check_class_weight(name: str, value: Any) -> None:
    if not (value is None or value == "balanced" or isinstance(value, dict)):
        raise InputError(name, f"expected None, 'balanced' or a dict of class to weight, got {value!r}")


@dataclass(kw_only=True, eq=False, repr=False)
class KerasClassifierBase(ClassifierMixin, KerasEstimator):  # type: ignore[misc]
    """Base of the classifiers.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        What rows of a class count in training; ``"balanced"``: inversely to the class's share of the rows that train.
    """

    class_weight: Any = param(None, Role.LOOP, _check_class_weight)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one more epoch, or the first.

        Parameters
        ----------
        X, y, sample_weight
            As ``fit`` takes them.
        classes : array, optional
            All classes, in the first call where y lacks some.

        Returns
        -------
        self
            The estimator.
        """
        return self._train_further(X, y, sample_weight, classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return each class's probability.

        Parameters
        ----------
        X : array or DataFrame of shape (n_rows, ...)
            The rows.

        Returns
        -------
        array of shape (n_rows, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        outputs = self._outputs(X)
        return Classes(self.classes_).probabilities(outputs)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row.

        Parameters
        ----------
        X : array or DataFrame of shape (n_rows, ...)
            The rows.

        Returns
        -------
        array of shape (n_rows,)
            Classes.
        """
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def _make_target(self, y: np.ndarray, train: np.ndarray | None, classes: Any) -> Classes:
        self.classes_ = np.unique(y if classes is None else classes)
        return Classes(self.classes_)

    def _check_y(self, y: Any) -> np.ndarray:
        check_classification_targets(y)
        return np.asarray(column_or_1d(y, warn=True))

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return y

    def _row_weights(self, y: np.ndarray, train: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        there, places = np.unique(y, return_inverse=True)
        factors: np.ndarray = compute_class_weight(self.class_weight, classes=there, y=y if train is None else y[train])[places]
        return factors


@dataclass(kw_only=True, eq=False, repr=False)
class KerasRegressorBase(RegressorMixin, KerasEstimator):  # type: ignore[misc]
    """Base of the regressors, of one or more outputs, which they standardise by the rows that train."""

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one more epoch, or the first.

        Parameters
        ----------
        X, y, sample_weight
            As ``fit`` takes them.

        Returns
        -------
        self
            The estimator.
        """
        return self._train_further(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the value, or values, of each row.

        Parameters
        ----------
        X : array or DataFrame of shape (n_rows, ...)
            The rows.

        Returns
        -------
        array of shape (n_rows,) or (n_rows, n_outputs)
            Values, in the shape that y had.
        """
        outputs, target = self._outputs(X), self._target
        assert isinstance(target, Values)
        return target.decode(outputs)

    def _make_target(self, y: np.ndarray, train: np.ndarray | None, classes: Any) -> Values:
        return Values.of(y if train is None else y[train])

    def _check_y(self, y: Any) -> np.ndarray:
        return np.asarray(y, dtype=np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
