"""Wide and deep networks for tables: a linear side on categories and their crosses, a tower on embeddings and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_X_y
from sklearn.utils.validation import validate_data

from foldwise.errors import InputTypeError
from foldwise.models.base import KerasEstimator
from foldwise.models.params import Role, one_of, param, whole
from foldwise.models.specs import Meta, Spec
from foldwise.models.tables import FIRST, TableEncoder
from foldwise.models.tasks import KerasClassifierBase, KerasRegressorBase
from foldwise.models.tower import Tower

_LARGEST_EMBEDDING = 50


def _check_columns(name: str, value: Any) -> None:
    if value != "auto" and (isinstance(value, str) or not isinstance(value, list | tuple)):
        raise InputTypeError(name, f"expected 'auto' or a list of columns, got {value!r}")


def _check_crosses(name: str, value: Any) -> None:
    is_list = isinstance(value, list | tuple)
    if not (is_list and all(isinstance(cross, list | tuple) and len(cross) > 1 for cross in value)):
        raise InputTypeError(name, f"expected a list of lists of two or more columns, got {value!r}")


@dataclass(kw_only=True, eq=False, repr=False)
class WideDeep(Tower, KerasEstimator):
    """What both wide and deep estimators are, and the params of a table.

    Parameters
    ----------
    part : str, default="both"
        ``"wide"``: the linear side only, which is a logistic or linear regression; ``"deep"``; or ``"both"``, trained together.
    numeric, categorical : "auto" or list of columns, default="auto"
        Columns of numbers and of categories. ``"auto"`` takes those of the type that the other does not name; what neither
        takes is left out.
    crosses : list of lists of columns, default=()
        Categorical columns that the wide side takes together, such as ``[["education", "occupation"]]``.
    cross_buckets : int, optional
        Number of buckets that a cross's combinations are hashed to. None: each one that training rows hold has its own.
    embedding_size : int, optional
        Size of each column's embedding. None: ``1.6 * n ** 0.56`` for n categories, and 50 at most.
    min_count : int, default=1
        Rows that a category or combination must stand in, or it counts as unseen.
    """

    part: str = one_of("both", Role.NETWORK, ("wide", "deep", "both"))
    numeric: Any = param("auto", Role.START, _check_columns)
    categorical: Any = param("auto", Role.START, _check_columns)
    crosses: Any = param((), Role.START, _check_crosses)
    cross_buckets: int | None = whole(None, Role.START, at_least=1)
    embedding_size: int | None = whole(None, Role.NETWORK, at_least=1)
    min_count: int = whole(1, Role.START, at_least=1)

    def _make_encoder(self, X: Any) -> TableEncoder:
        return TableEncoder.of(X, self.numeric, self.categorical, self.crosses, self.part, self.cross_buckets, self.min_count)

    def _validated(self, X: Any, y: Any = None, *, reset: bool) -> Any:
        import pandas as pd  # lazily: only tables need it

        has_y = y is not None or reset
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, *([y] if has_y else []), reset=reset, skip_check_array=True)
            if has_y:  # lengths and targets, as scikit-learn checks them
                _, y = check_X_y(np.zeros((len(X), 1)), y, multi_output=True)
        else:
            options = {"multi_output": True} if has_y else {}
            checked = validate_data(
                self, X, *([y] if has_y else []), reset=reset, dtype=None, ensure_all_finite="allow-nan", **options
            )
            X, y = checked if has_y else (checked, None)
            X = pd.DataFrame(X).infer_objects()
        return (X, self._check_y(y)) if has_y else X

    def _build(self, meta: Meta) -> Any:
        import keras  # lazily: TensorFlow takes seconds

        assert not isinstance(meta.inputs, Spec)
        inputs = {name: keras.Input(spec.shape, dtype=spec.dtype, name=name) for name, spec in meta.inputs.items()}
        sides = []
        if self.part != "deep":
            sides += self._wide(inputs, meta)
        if self.part != "wide":
            hidden = self._add_tower(self._embedded(inputs, meta.inputs.get("codes")))
            sides.append(keras.layers.Dense(meta.n_outputs)(hidden))
        return keras.Model(inputs, keras.layers.Add()(sides) if len(sides) > 1 else sides[0])

    def _wide(self, inputs: dict[str, Any], meta: Meta) -> list[Any]:
        """Add the linear side: a weight for each number, category and combination."""
        import keras  # lazily: TensorFlow takes seconds

        assert not isinstance(meta.inputs, Spec)
        sides = []
        if "numbers" in inputs:
            sides.append(keras.layers.Dense(meta.n_outputs, kernel_initializer="zeros")(inputs["numbers"]))
        if "wide" in inputs:
            size = sum(meta.inputs["wide"].sizes)
            weights = keras.layers.Embedding(size, meta.n_outputs, embeddings_initializer="zeros")(inputs["wide"])
            sides.append(keras.ops.sum(weights, axis=1))
        return sides

    def _embedded(self, inputs: dict[str, Any], codes: Spec | None) -> Any:
        """Return what the tower gets: the numbers, and each category's embedding."""
        import keras  # lazily: TensorFlow takes seconds

        parts = [inputs["numbers"]] if "numbers" in inputs else []
        for place, size in enumerate(codes.sizes if codes is not None else ()):
            embedding = keras.layers.Embedding(size, self.embedding_size or _embedding_size(size - FIRST))
            parts.append(embedding(inputs["codes"][:, place]))
            (values,) = embedding.get_weights()
            values[:FIRST] = 0.0  # what training does not meet must not speak
            embedding.set_weights([values])
        return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags


def _embedding_size(n_categories: int) -> int:
    """Return the size of an embedding by the rule of thumb that fastai uses.

    Examples
    --------
    >>> _embedding_size(2), _embedding_size(16), _embedding_size(10**6)
    (2, 8, 50)
    """
    return max(1, min(_LARGEST_EMBEDDING, round(1.6 * math.pow(n_categories, 0.56))))


@dataclass(kw_only=True, eq=False, repr=False)
class WideDeepClassifier(WideDeep, KerasClassifierBase):
    """A wide and deep network that tells classes of a table's rows.

    Its params are those of `foldwise.models.wide_deep.WideDeep` (the table and the sides), of
    `foldwise.models.tower.Tower` (the deep side's layers), of `foldwise.models.base.KerasEstimator` (the training), and
    ``class_weight``.

    References
    ----------
    H.-T. Cheng et al. Wide & deep learning for recommender systems. DLRS 2016.

    Examples
    --------
    >>> WideDeepClassifier(crosses=[["education", "occupation"]], part="wide")
    WideDeepClassifier(crosses=[['education', 'occupation']], part='wide')
    """


@dataclass(kw_only=True, eq=False, repr=False)
class WideDeepRegressor(WideDeep, KerasRegressorBase):
    """A wide and deep network that tells one or more values of a table's rows.

    Its params are those of `foldwise.models.wide_deep.WideDeep` (the table and the sides), of
    `foldwise.models.tower.Tower` (the deep side's layers), and of `foldwise.models.base.KerasEstimator` (the training).

    References
    ----------
    H.-T. Cheng et al. Wide & deep learning for recommender systems. DLRS 2016.
    """
