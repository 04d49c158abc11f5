"""Networks of user code: a function builds the model, and its keywords are params like any other."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from foldwise.errors import InputError, InputTypeError, nearest
from foldwise.models.arrays import OnArrays
from foldwise.models.params import Role, flag, param
from foldwise.models.specs import Meta
from foldwise.models.tasks import KerasClassifierBase, KerasRegressorBase

_PREFIX = "build__"


def _check_build(name: str, value: Any) -> None:
    if not callable(value):
        raise InputTypeError(name, f"expected a function of (meta, **params) that returns a keras.Model, got {value!r}")


def _check_build_params(name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        raise InputTypeError(name, f"expected None or a dict of the build function's params, got {value!r}")


@dataclass(kw_only=True, eq=False, repr=False)
class _OwnNetwork(OnArrays):
    """What both estimators of a network of user code are.

    Parameters
    ----------
    build : callable
        ``build(meta, **params)`` returns a ``keras.Model``; ``meta`` is a `foldwise.models.Meta`.
    build_params : dict, optional
        Params of the function. Each keyword that it takes is also a param of the estimator, as ``build__units``, with the
        function's default.
    """

    build: Any = param(None, Role.RATE, _check_build)
    build_params: Any = param(None, Role.RATE, _check_build_params)
    standardize: bool = flag(False, Role.START)

    _most_dimensions = 8

    @property
    def changes_in_training(self) -> frozenset[str]:
        """The params that may change between two epochs; not those of the function, of which only some keep the weights."""
        return super().changes_in_training - {"build", "build_params"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the params, with ``deep`` also the function's.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include those of ``build``, as ``build__name``.

        Returns
        -------
        dict
            Param to value.
        """
        params: dict[str, Any] = super().get_params(deep=False)
        if deep:
            own = {**_defaults(self.build), **self._own()}
            params |= {_PREFIX + name: value for name, value in own.items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set params, the function's as ``build__name``.

        Parameters
        ----------
        **params : object
            Param to value.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        InputError
            If the function takes no such param.
        """
        super().set_params(**{name: value for name, value in params.items() if not name.startswith(_PREFIX)})
        own = {name.removeprefix(_PREFIX): value for name, value in params.items() if name.startswith(_PREFIX)}
        if own:
            self._check_names(own)
            self.build_params = {**self._own(), **own}
        return self

    def _own(self) -> Mapping[str, Any]:
        """Return the function's params that are given; what is no mapping is told of when fitting begins."""
        return self.build_params if isinstance(self.build_params, Mapping) else {}

    def _check_names(self, own: Mapping[str, Any]) -> None:
        known = _keywords(self.build)
        for name in own:
            if name not in known and not _takes_any(self.build):
                raise InputError(
                    _PREFIX + name, f"expected a keyword of the build function, got {name!r}; {nearest(name, known)}"
                )

    def _build(self, meta: Meta) -> Any:
        import keras  # lazily: TensorFlow takes seconds

        self._check_names(self._own())
        model = self.build(meta, **self._own())
        if not isinstance(model, keras.Model):
            raise InputTypeError("build", f"expected a function that returns a keras.Model, got {type(model).__name__}")
        if not model.built:
            raise InputError("build", "expected a model that is built; begin it with keras.Input(meta.input_shape)")
        if tuple(model.output_shape) != (None, meta.n_outputs):
            raise InputError(
                "build", f"expected a last layer of {meta.n_outputs} units (meta.n_outputs), got the shape {model.output_shape}"
            )
        return model


def _keywords(build: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a build function after its first, ``meta``."""
    return dict(list(inspect.signature(build).parameters.items())[1:]) if callable(build) else {}


def _defaults(build: Any) -> dict[str, Any]:
    return {name: one.default for name, one in _keywords(build).items() if one.default is not one.empty}


def _takes_any(build: Any) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in _keywords(build).values())


@dataclass(kw_only=True, eq=False, repr=False)
class KerasClassifier(_OwnNetwork, KerasClassifierBase):
    """A classifier around a Keras model of your own.

    The model ends in ``meta.n_outputs`` units: of logits, or with ``softmax`` (``sigmoid`` for two classes) of
    probabilities. Its other params are those of `foldwise.models.base.KerasEstimator` (the training), ``class_weight``, and
    ``standardize``, which is False here.

    Parameters
    ----------
    build : callable
        ``build(meta, **params)`` returns a ``keras.Model``; ``meta`` is a `foldwise.models.Meta`.
    build_params : dict, optional
        Params of the function. Each keyword that it takes is also a param of the estimator, as ``build__units``, with the
        function's default.

    Examples
    --------
    >>> def build(meta, units=16):
    ...     import keras
    ...     X = keras.Input(meta.input_shape)
    ...     return keras.Model(X, keras.layers.Dense(meta.n_outputs)(keras.layers.Dense(units, "relu")(X)))
    >>> model = KerasClassifier(build=build, epochs=5)
    >>> model.get_params()["build__units"]
    16
    >>> model.set_params(build__units=32).build_params
    {'units': 32}
    """


@dataclass(kw_only=True, eq=False, repr=False)
class KerasRegressor(_OwnNetwork, KerasRegressorBase):
    """A regressor around a Keras model of your own, which ends in ``meta.n_outputs`` units without activation.

    Its other params are those of `foldwise.models.base.KerasEstimator` (the training), and ``standardize``, which is False
    here. Targets are standardised by the rows that train, and predictions are given back in their units.

    Parameters
    ----------
    build : callable
        ``build(meta, **params)`` returns a ``keras.Model``; ``meta`` is a `foldwise.models.Meta`.
    build_params : dict, optional
        Params of the function. Each keyword that it takes is also a param of the estimator, as ``build__units``, with the
        function's default.
    """
