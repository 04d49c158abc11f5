"""Keras networks as scikit-learn estimators (the extra ``keras``). Importing this imports no TensorFlow: the first fit does.

`base` trains any network in epochs, `tasks` tells classes or values, and a small module for each family builds its layers.
`network` is the model with its graphs, `pool` keeps those for the next fit, `devices` keeps TensorFlow to what a trial has.
"""

from importlib.util import find_spec

from foldwise.errors import MissingPackageError

for _package in ("tensorflow", "keras"):
    if find_spec(_package) is None:
        raise MissingPackageError(
            "foldwise.models", f"expected the package {_package}, which is missing; install foldwise[keras]"
        )

from foldwise.models.conv import ConvNetClassifier  # noqa: E402  (a clear word on what is missing comes first)
from foldwise.models.custom import KerasClassifier, KerasRegressor  # noqa: E402
from foldwise.models.mlp import MLPNetClassifier, MLPNetRegressor  # noqa: E402
from foldwise.models.recurrent import RecurrentClassifier  # noqa: E402
from foldwise.models.specs import Meta  # noqa: E402
from foldwise.models.wide_deep import WideDeepClassifier, WideDeepRegressor  # noqa: E402

__all__ = [
    "ConvNetClassifier", "KerasClassifier", "KerasRegressor", "MLPNetClassifier", "MLPNetRegressor", "Meta",
    "RecurrentClassifier", "WideDeepClassifier", "WideDeepRegressor",
]  # fmt: skip
