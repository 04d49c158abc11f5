"""Step 7: whether everything fails alike from the start, so that the rest need not be tried."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from foldwise.errors import Failure, RunError, StudyFailedError, causes_counted, failed
from foldwise.keys import label
from foldwise.space.dimension import Categorical
from foldwise.space.space import SearchSpace
from foldwise.trial import Fit, FitResult

_ENOUGH = 20
_ABSENT = "absent"


class FirstFailures:
    """Listens to results until one is good, and raises if none will be.

    A cause is shared if so many fits failed of the same kind, on at least two train sets, and each param that varies was
    tried at two values at least: else it may be a param's, as where a grid begins with a choice that does not work. What
    ran beside them is waited for, since failing may take less time than succeeding.

    Parameters
    ----------
    space : SearchSpace
        What is searched over.
    of : str, default="fits"
        What it listens to, as an error says it.
    """

    def __init__(self, space: SearchSpace, of: str = "fits") -> None:
        self._of = of
        self._varying = {name for name in space.names if _varies(space, name)}
        self._values: dict[str, set[str]] = {name: set() for name in self._varying}
        self._trains: set[str] = set()
        self._causes: list[Failure] = []
        self._out: set[str] = set()
        self._awaited: set[str] | None = None
        self._is_over = False

    def begin(self, fits: Iterable[Fit]) -> None:
        """Hear of fits that are begun."""
        if not self._is_over:
            self._out.update(fit.key for fit in fits)

    def hear(self, fit: Fit, result: FitResult, objective: str) -> None:
        """Hear of a result, which the objective judges: no other metric's failure counts.

        Raises
        ------
        StudyFailedError
            If the cause is shared.
        """
        if self._is_over:
            return
        self._out.discard(fit.key)
        cause = _whole_failure(fit, result, objective)
        if cause is None or (self._causes and cause.kind != self._causes[0].kind):
            self._is_over = True
            return
        self._note(fit, cause)
        if len(self._causes) >= _ENOUGH and len(self._trains) > 1 and not self._varying:
            self._awaited = set(self._out) if self._awaited is None else self._awaited & self._out
            if not self._awaited:
                raise self._error()

    def _note(self, fit: Fit, cause: Failure) -> None:
        self._causes.append(cause)
        self._trains.add(fit.train)
        for name in self._varying:
            self._values[name].add(label(fit.params[name]) if name in fit.params else _ABSENT)
            if len(self._values[name]) > 1:
                self._varying = self._varying - {name}

    def _error(self) -> RunError:
        n_fits, n_trains = len(self._causes), len(self._trains)
        return failed(
            StudyFailedError,
            f"the first {n_fits} {self._of} all failed, on {n_trains} train sets and whatever their params, so the others were "
            f"not tried: {causes_counted(self._causes)}",
            self._causes,
        )


def _whole_failure(fit: Fit, result: FitResult, objective: str) -> Failure | None:
    """Return why a fit gave no score of the objective at all; None if it gave one."""
    if result.error is not None or not fit.held_out:
        return result.error
    failures = [result.failure_on(key, metric=objective) for key in fit.held_out]
    return failures[0] if all(failures) else None


def _varies(space: SearchSpace, name: str) -> bool:
    values: set[Any] = set()
    for sub in space.subspaces:
        dimension = sub.get(name)
        if dimension is None or dimension.when:
            values.add(_ABSENT)
        if dimension is not None and not isinstance(dimension, Categorical):
            return True
        values |= {label(choice) for choice in getattr(dimension, "choices", ())}
    return len(values) > 1
