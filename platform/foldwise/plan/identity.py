"""Step 4, plan: what identifies a fit. The parts of its key that are not its rows.

A fit is what it learns from: the data, the estimator as ``clone`` and ``set_params`` leave it, the code as it is loaded,
scikit-learn's configuration and the versions that it runs on. What cannot be read by content is shared with nothing.
"""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import clone

from foldwise.data import Dataset
from foldwise.errors import InputTypeError
from foldwise.keys import Digester, digest
from foldwise.keys.versions import versions_of
from foldwise.process.world import World
from foldwise.space.space import SearchSpace
from foldwise.trial import Params

_FORM = 2
"""Form of the keys; raised when the way changes in which a fit is run or scored."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class Identity:
    """What fits of an estimator on a dataset have in common, and what their params add to it.

    Parameters
    ----------
    dataset : Dataset
        The data.
    estimator : estimator
        Whose clones are fitted.
    world : World
        What surrounds the fits.
    """

    def __init__(self, dataset: Dataset, estimator: Any, world: World) -> None:
        self.digester = Digester()
        self._dataset, self._estimator, self._world = dataset, estimator, world
        self._values: dict[int, tuple[Any, str | None]] = {}
        self._last: tuple[Params, str | None] | None = None
        self.unread: dict[str, str] = {}
        """What cannot be read by content, with the reason; filled as params come."""

    @cached_property
    def whole(self) -> str | None:
        """Key of the data and the estimator, and of all that surrounds its fits; None if one of them cannot be read."""
        if self._dataset.unread is not None:
            self.unread["the data"] = self._dataset.unread
            return None
        try:
            keys = [self.digester.digest(clone(self._estimator)) for _ in range(2)]
            kinds = self.digester.digest(type(self._dataset.X), type(self._dataset.y))
        except InputTypeError as error:
            self.unread["the estimator"] = error.problem
            return None
        if keys[0] != keys[1]:  # what ``__init__`` draws, or counts, is another thing in each fit
            self.unread["the estimator"] = f"no two clones of it are alike: {type(self._estimator).__name__}"
            return None
        return digest(_FORM, self._dataset.digest, kinds, keys[0], self._world.settings, self.versions)

    def meet(self, space: SearchSpace) -> None:
        """Read the values that a space lists, other than plain ones."""
        for sub in space.subspaces:
            for name, dimension in sub.items():
                for choice in getattr(dimension, "choices", ()):
                    if type(choice) not in _PLAIN and not isinstance(choice, np.generic):
                        self._of_value(name, choice)

    @property
    def versions(self) -> dict[str, str]:
        """Versions of Python and of the distributions whose code was met so far."""
        return versions_of(self.digester.distributions)

    def of(self, params: Params) -> str | None:
        """Return the key of params, as ``set_params`` takes them; None if they, or what they are set on, cannot be read."""
        if self._last is None or self._last[0] is not params:
            self._last = params, self._of(params)
        return self._last[1]

    def alone(self) -> str:
        """Return a key that nothing else has."""
        return uuid.uuid4().hex

    def _of(self, params: Params) -> str | None:
        if self.whole is None:
            return None
        if all(type(value) in _PLAIN for value in params.values()):
            return self.digester.digest(self.whole, params)
        keys = {name: self._of_value(name, value) for name, value in params.items()}
        return None if None in keys.values() else self.digester.digest(self.whole, "read", keys)

    def _of_value(self, name: str, value: Any) -> str | None:
        if type(value) in _PLAIN or isinstance(value, np.generic):
            return self.digester.digest(value)
        if self._values.get(id(value), (None,))[0] is not value:
            self._values[id(value)] = value, self._read(name, value)
        return self._values[id(value)][1]

    def _read(self, name: str, value: Any) -> str | None:
        """Return the key of a value as each fit gets it, a clone or a copy."""
        try:
            one, other = (self.digester.digest(clone(value, safe=False)) for _ in range(2))
        except Exception as error:  # a value's own code may raise anything when it is copied
            self.unread[f"a value of {name}"] = getattr(error, "problem", f"{type(error).__name__}: {error}")
            return None
        if one != other:
            self.unread[f"a value of {name}"] = f"no two copies of it are alike: {type(value).__name__}"
            return None
        return one
