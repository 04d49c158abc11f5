"""PrefixMemory: fitted transformers and their outputs, named by what they learned from."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np

from foldwise.errors import InputTypeError
from foldwise.keys import Digester, label
from foldwise.keys.seeds import drawn_so_far
from foldwise.plan.steps import is_passed_through, is_pipeline, steps_of, takes_samplers
from foldwise.worker.compat import resamples
from foldwise.worker.sharing.arrays import content_name, is_shareable, is_unchanged, n_bytes, own_copy, untouchable

_MOST_BYTES = 256 * 2**20
_MOST_KEPT = 1000


@dataclass(frozen=True, slots=True)
class _Kept:
    output: Any
    fitted: Any
    warned: list[warnings.WarningMessage]
    is_own: bool = False


class CannotShare(Exception):  # noqa: N818  (it is no failure: the fit runs again without sharing)
    """What is about to be shared would not be the same for the next one."""


class PrefixMemory:
    """Fitted transformers and their outputs, by what went in; the least recently used go first.

    It has the interface that scikit-learn asks of a pipeline's ``memory``: ``cache(function)``.

    Parameters
    ----------
    most_bytes : int
        Outputs that are kept, in bytes.
    """

    _foldwise_adds_nothing = True  # to the key of the estimator that it is lent to
    location = None  # a pipeline whose memory has a place clones its steps before it fits them; without a memory it does not

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes, self._n_bytes = most_bytes, 0
        self._kept: OrderedDict[Any, _Kept] = OrderedDict()
        self._lent: dict[int, tuple[str, Any]] = {}
        self._fitted: dict[int, tuple[str, bool]] = {}  # of what is kept, so that no other object can have its identity
        self._digester = Digester()
        self._refused: set[type] = set()
        self.n_made = self.n_found = 0
        self.seconds = 0.0
        """Time that went into what is kept for later fits."""

    # --- names ---

    def lend(self, values: Any, name: str) -> Any:
        """Make values known by a name, and return them so that they can be used, and not be changed for others."""
        lent = untouchable(values)
        self._lent.setdefault(id(lent), (name, lent))
        return lent

    def lend_by_content(self, values: Any) -> Any:
        """Make values known by their content, unless they have a name; what cannot be compared gets none."""
        if values is None or id(values) in self._lent:
            return values
        name = content_name(values, self._digester)
        return values if name is None else self.lend(values, name)

    def forget_lent(self) -> None:
        """Forget the names of what was lent; called after each fit, since names are found by identity."""
        self._lent.clear()

    def _name_of(self, values: Any) -> str | None:
        """Return the name that values were lent by; None for those that were not."""
        return "nothing" if values is None else self._lent.get(id(values), (None, None))[0]

    # --- what is kept ---

    def recall(self, key: Any, make: Callable[[], tuple[Any, Any]], *, is_own: bool = False) -> tuple[Any, Any]:
        """Return the output and the fitted transformer, if any, that are kept for a key, or make them."""
        kept = self._kept.get(key)
        if kept is None:
            self.n_made += 1
            before, clock = self.seconds, time.perf_counter()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                kept = _Kept(*make(), caught, is_own)
            self.seconds = before + time.perf_counter() - clock  # what was made within is part of it
            if is_shareable(kept.output):
                self._keep(key, kept)
        else:
            self.n_found += 1
            self._kept.move_to_end(key)
        for one in kept.warned:  # every fit that uses it hears of them, so that none depends on who came first
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return kept.output, kept.fitted

    def _keep(self, key: Any, kept: _Kept) -> None:
        self._kept[key] = kept
        self._n_bytes += n_bytes(kept.output)
        if kept.fitted is not None:
            self._fitted[id(kept.fitted)] = key, kept.is_own
        while len(self._kept) > 1 and (self._n_bytes > self._most_bytes or len(self._kept) > _MOST_KEPT):
            _, old = self._kept.popitem(last=False)
            self._n_bytes -= n_bytes(old.output)
            self._fitted.pop(id(old.fitted), None)

    # --- fitting and transforming ---

    def cache(self, function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
        """Wrap a function that fits a transformer and transforms: (transformer, X, y, ...) -> (Xt, transformer)."""
        return partial(self._resample if resamples(function) else self.fit_transform, function)

    def _resample(self, function: Callable[..., Any], sampler: Any, X: Any, y: Any, *rest: Any, **options: Any) -> Any:
        """Fit a sampler and resample, on rows of its own: its rows have no name, so that nothing after it is shared."""
        own = [own_copy(part) if id(part) in self._lent else part for part in (X, y)]
        return function(sampler, *own, *rest, **options)

    def fit_transform(self, function: Callable[..., Any], transformer: Any, X: Any, y: Any, *rest: Any, **options: Any) -> Any:
        """Fit and transform, or return what is kept of an equal transformer that was given equal rows and targets.

        Two transformers are equal if their whole states are, and their code as it is loaded; what cannot be read is not shared.
        """
        self._check_allowed(transformer)
        names = self._name_of(X), self._name_of(y)  # targets of its own, as one-vs-rest makes them, have no name
        named = None
        if None not in names and not any((options.get("params") or {}).values()):
            with contextlib.suppress(InputTypeError):
                named = self._digester.digest_and_tell(names, transformer)

        def fit(X: Any) -> tuple[Any, Any]:
            may_be_written = id(y) in self._lent and not isinstance(y, np.ndarray)  # an array is read-only
            targets = own_copy(y) if may_be_written else None
            made = function(transformer, X, y, *rest, **options)
            if may_be_written and not is_unchanged(y, targets):
                self._refuse(transformer, "writes into the targets that it is given")
            return made  # type: ignore[no-any-return]

        if named is None:
            return self._on_a_copy(transformer, X, fit)
        output_name, is_own = named

        def make() -> tuple[Any, Any]:
            return self._on_a_copy(transformer, X, fit)  # type: ignore[no-any-return]

        Xt, fitted = self.recall(output_name, make, is_own=is_own)
        return self._lend_output(Xt, output_name), fitted

    def transform(self, transformer: Any, X: Any) -> Any:
        """Transform, or return what is kept of a transformer that was fitted here, for rows that have a name.

        Raises
        ------
        CannotShare
            If a transformer of user code is not the same after it has transformed: whoever comes next would get another.
        """
        self._check_allowed(transformer)
        name = self._name_of(X)
        fitted_name, is_own = self._fitted.get(id(transformer), (None, False))
        if name is None or fitted_name is None:
            return self._transform(transformer, X)
        key = f"{name} by {fitted_name}"
        make = self._watched if is_own else self._transform

        def on_a_copy() -> tuple[Any, None]:
            return self._on_a_copy(transformer, X, lambda X: make(transformer, X)), None

        return self._lend_output(self.recall(key, on_a_copy)[0], key)

    def _on_a_copy(self, transformer: Any, X: Any, function: Callable[[Any], Any]) -> Any:
        """Call a function of a transformer and rows: what was lent is never handed on, and a copy must be as it was afterwards.

        A transformer that writes into its rows, or would if they were not read-only, gives later steps, and the scores on
        train rows, other rows than they would otherwise see; one that draws from the global generators takes others' draws.
        """
        if id(X) not in self._lent:
            return function(X)
        own = own_copy(X)
        self._lent[id(own)] = self._lent[id(X)][0], own  # parts of a composite find it by the same name
        before = drawn_so_far()
        result = function(own)
        if drawn_so_far() != before:
            self._refuse(transformer, "draws from the global generators")
        if not is_unchanged(own, X):
            self._refuse(transformer, "writes into the rows that it is given")
        return result

    def _refuse(self, transformer: Any, why: str) -> NoReturn:
        self._refused.add(type(transformer))
        raise CannotShare(f"{type(transformer).__name__} {why}")

    def _check_allowed(self, transformer: Any) -> None:
        if type(transformer) in self._refused:
            raise CannotShare(f"{type(transformer).__name__} was seen to do what cannot be shared")

    def _lend_output(self, output: Any, name: str) -> Any:
        return self.lend(output, name) if is_shareable(output) else output

    def _watched(self, transformer: Any, X: Any) -> Any:
        """Transform by user code, and see that it changes nothing of the transformer."""
        before = label(transformer, self._digester)
        output = self._transform(transformer, X)
        if label(transformer, self._digester) != before or before.startswith("at "):
            self._refuse(transformer, "is changed by its transform()")
        return output

    def _transform(self, transformer: Any, X: Any) -> Any:
        """Transform; by a pipeline step by step, since others may share its first ones."""
        if not is_pipeline(transformer) or takes_samplers(transformer):
            return transformer.transform(X)
        for _, step in steps_of(transformer):
            if not is_passed_through(step):
                X = self.transform(step, X)
        return X

    # A memory is the same one in every copy of the estimator that it is lent to.
    def __deepcopy__(self, memo: Any) -> PrefixMemory:
        return self

    def __reduce__(self) -> tuple[type[PrefixMemory], tuple[()]]:
        return PrefixMemory, ()
