"""Step 5, map: what fits on the same train rows share, so that nothing is computed twice.

Rows are sliced once. Of a pipeline's prefix, a transformer with equal params on equal input is fitted and applied once:
a `Bench` lends its `PrefixMemory` to every pipeline that has no ``memory`` of its own, through scikit-learn's own
``memory`` interface, so the pipelines fit themselves as they always do. All that is shared is read-only; whoever must
write is run again by itself, on rows of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from sklearn.pipeline import Pipeline

from foldwise.data import Dataset
from foldwise.digest import derive_seed, digest
from foldwise.seeds import seeded

Rows: TypeAlias = tuple[Any, Any, dict[str, Any]]
"""X, y and fit params."""

_MOST_BYTES = 256 * 2**20
_MOST_KEPT = 1000


class PrefixMemory:
    """Fitted transformers and their outputs, by what went in; the least recently used go first.

    It has the interface that scikit-learn asks of a pipeline's ``memory``: ``cache(function)``.

    Parameters
    ----------
    most_bytes : int
        Outputs that are kept, in bytes.
    """

    location = "worker"  # a pipeline whose memory has a place clones its steps before it fits them

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes, self._n_bytes = most_bytes, 0
        self._kept: OrderedDict[Any, tuple[Any, Any]] = OrderedDict()
        self._names: dict[int, tuple[str, Any]] = {}
        self.n_made = self.n_found = 0

    def cache(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Wrap a function that fits a transformer and transforms: (transformer, X, y, ...) -> (Xt, transformer)."""
        return partial(self._fit_transform, function)

    def lend(self, values: Any, name: str) -> Any:
        """Make values known by a name, and return them so that they can be used, and not be changed for others."""
        lent = untouchable(values)
        self._names.setdefault(id(lent), (name, lent))
        return lent

    def recall(self, key: Any, make: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
        """Return the output and what belongs to it that are kept for a key, or make them."""
        if key in self._kept:
            self.n_found += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        self.n_made += 1
        made = make()
        if is_shareable(made[0]):
            self._kept[key] = made
            self._n_bytes += n_bytes(made[0])
            while len(self._kept) > 1 and (self._n_bytes > self._most_bytes or len(self._kept) > _MOST_KEPT):
                _, (old, _) = self._kept.popitem(last=False)
                self._n_bytes -= n_bytes(old)
        return made

    def forget_lent(self) -> None:
        """Forget the names of what was lent; called after each fit, since names are found by identity."""
        self._names.clear()

    def _name_of(self, values: Any) -> str | None:
        """Return the name that values were lent by; None for those that were not."""
        return "nothing" if values is None else self._names.get(id(values), (None, None))[0]

    def _fit_transform(self, function: Callable[..., Any], transformer: Any, X: Any, y: Any, *rest: Any, **options: Any) -> Any:
        names = self._name_of(X), self._name_of(y)  # targets of its own, as one-vs-rest makes them, have no name
        if None in names or any((options.get("params") or {}).values()):
            return function(transformer, X, y, *rest, **options)
        output_name = digest(names, transformer)

        def make() -> tuple[Any, Any]:
            with seeded(derive_seed(output_name)):  # so that it draws alike whoever comes first, and takes no one's draws
                return function(transformer, X, y, *rest, **options)  # type: ignore[no-any-return]

        Xt, fitted = self.recall(("fitted", output_name), make)
        return self.lend(Xt, output_name), fitted

    # A memory is the same one in every copy of the estimator that it is lent to, and adds nothing to its key.
    def __deepcopy__(self, memo: Any) -> PrefixMemory:
        return self

    def __reduce__(self) -> tuple[type[PrefixMemory], tuple[()]]:
        return PrefixMemory, ()


class Bench:
    """The rows that fits on the same train rows work on, sliced once, and the memory that they share.

    Parameters
    ----------
    dataset : Dataset
        The data.
    rows : mapping of str to array of int
        The plan's row sets.
    train : str
        Key of the train rows.
    """

    def __init__(self, dataset: Dataset, rows: Mapping[str, np.ndarray], train: str) -> None:
        self.train = train
        self.memory = PrefixMemory()
        self._dataset, self._rows = dataset, rows
        self._sliced: dict[tuple[str, bool], Rows] = {}

    def take(self, key: str, *, pairwise: bool) -> Rows:
        """Return rows, sliced once and not to be written into; ``pairwise`` cuts a precomputed kernel to the train columns."""
        if (key, pairwise) not in self._sliced:
            self._sliced[key, pairwise] = self.fresh(key, pairwise=pairwise)
        X, y, fit_params = self._sliced[key, pairwise]
        lent_y = None if y is None else self.memory.lend(y, f"{key}-y")
        return self.memory.lend(X, f"{key}-{pairwise}"), lent_y, {n: untouchable(v) for n, v in fit_params.items()}

    def fresh(self, key: str, *, pairwise: bool) -> Rows:
        """Return rows of the caller's own."""
        return self._dataset.take(self._rows[key], self._rows[self.train] if pairwise else None)

    @contextmanager
    def lending(self, model: Any) -> Iterator[None]:
        """Lend the memory to every pipeline in a model that has none of its own."""
        parts = [model, *model.get_params(deep=True).values()] if hasattr(model, "get_params") else []
        pipelines = [part for part in parts if type(part) is Pipeline and part.memory is None]
        for pipeline in pipelines:
            pipeline.memory = self.memory
        try:
            yield
        finally:
            for pipeline in pipelines:
                pipeline.memory = None
            self.memory.forget_lent()

    def before_last_step(self, model: Pipeline, key: str) -> tuple[Any, Any]:
        """Return X and y of held-out rows as the last step of a fitted pipeline gets them."""
        X, y, _ = self.take(key, pairwise=False)
        steps = tuple(step for _, step in model.steps[:-1] if step is not None and step != "passthrough")
        for position, step in enumerate(steps):
            prefix = steps[: position + 1]
            # The steps are kept beside the output: while it is there, no other object can have their identities.
            at = ("transformed", key, *(id(one) for one in prefix))
            X = untouchable(self.memory.recall(at, partial(_transformed, step, X, prefix))[0])
        return X, y


def _transformed(step: Any, X: Any, prefix: tuple[Any, ...]) -> tuple[Any, Any]:
    return step.transform(X), prefix


def untouchable(values: Any) -> Any:
    """Return values that can be used by one without being changed for another: read-only, or a copy that costs little."""
    for array in _arrays(values):
        array.flags.writeable = False
    if hasattr(values, "iloc"):
        return values.copy(deep=False)  # pandas copies what is written
    return list(values) if type(values) is list else values


def is_shareable(values: Any) -> bool:
    """Tell whether `untouchable` keeps its promise for such values."""
    return bool(_arrays(values)) or hasattr(values, "iloc")


def n_bytes(values: Any) -> int:
    """Return the size of an array, sparse matrix or frame, in bytes."""
    if hasattr(values, "memory_usage"):
        usage = values.memory_usage(index=False)
        return int(usage.sum() if hasattr(usage, "sum") else usage)
    return sum(array.nbytes for array in _arrays(values))


def _arrays(values: Any) -> list[np.ndarray]:
    if isinstance(values, np.ndarray):
        return [values]
    if hasattr(values, "tocsr"):
        parts = (getattr(values, name, None) for name in ("data", "indices", "indptr", "row", "col"))
        return [part for part in parts if isinstance(part, np.ndarray)]
    return []
