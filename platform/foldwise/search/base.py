"""What every search is: a frozen description that opens live askers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

from foldwise.space.space import SearchSpace
from foldwise.trial import Params, Trial


class Asker(ABC):
    """A live search: asks for trials and is told of them."""

    @abstractmethod
    def ask(self, n: int) -> list[Trial]:
        """Return up to n new trials. An empty list means that it must be told first, or is done."""

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Take reduced trials, in the order of their numbers."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it will never ask again."""

    @property
    def native(self) -> Any:
        """The live object of the library behind the search, for that library's own tools."""
        return self


class Search(ABC):
    """A search method and its options. Implementations are frozen dataclasses."""

    method: ClassVar[str]
    adapts: ClassVar[bool]
    """Whether results change what is asked."""
    runs_on: ClassVar[tuple[str, ...]] = ()
    """Distributions whose versions may change what is asked."""

    @abstractmethod
    def open(self, space: SearchSpace, n_trials: int, seed: int) -> Asker:
        """Open a live asker; equal arguments ask alike."""

    @abstractmethod
    def check(self, space: SearchSpace, n_trials: int | None) -> int:
        """Return how many trials will be asked, or raise an InputError if the space does not suit."""


class ListedAsker(Asker):
    """Asks for params that do not depend on results.

    Parameters
    ----------
    params : iterable
        Gives the same params each time it is iterated over; read as far as was asked.
    n_trials : int
        How many there are.
    """

    def __init__(self, params: Iterable[Params], n_trials: int) -> None:
        self._params, self._n_trials = params, n_trials
        self._asked = 0
        self._left: Iterator[Params] | None = None

    def ask(self, n: int) -> list[Trial]:  # noqa: D102
        if self._left is None:
            self._left = islice(iter(self._params), self._asked, self._n_trials)
        trials = [Trial(self._asked + i, params) for i, params in enumerate(islice(self._left, n))]
        self._asked += len(trials)
        return trials

    def tell(self, trials: Sequence[Trial]) -> None:  # noqa: D102
        pass

    @property
    def done(self) -> bool:  # noqa: D102
        return self._asked >= self._n_trials

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_left": None}  # where an iterator stands cannot be stored, how far it got can
