"""The ledger that lives as long as the process: results as packed plain data, about 200 bytes a fit."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from foldwise.errors import NON_FINITE, Failure
from foldwise.ledger.base import EndedTrial, Finished, Ledger, LedgerView, holds_all, merged, scorer_of
from foldwise.plan.plan import Plan
from foldwise.trial import Fit, FitResult, TrialEnd, TrialState


@dataclass(frozen=True, slots=True)
class _Form:
    """All of a result but its key and its numbers: what most fits have in common, and is kept once."""

    scored: tuple[tuple[str, tuple[str, ...]], ...]
    timed: tuple[str, ...]
    error: Failure | None
    score_errors: tuple[tuple[str, tuple[tuple[str | None, Failure], ...]], ...]
    warned: tuple[tuple[str, str], ...]
    retries: int

    @classmethod
    def of(cls, result: FitResult) -> _Form:
        return cls(
            tuple((held_out, tuple(scores)) for held_out, scores in result.scores.items()),
            tuple(result.score_seconds),
            result.error,
            tuple((held_out, tuple(failures.items())) for held_out, failures in result.score_errors.items()),
            tuple(result.warned),
            result.retries,
        )

    def has_failed(self, objective: str) -> bool:
        """Tell whether the fit or a scorer raised, or the objective is not finite."""
        failures = (one for _, by_metric in self.score_errors for one in by_metric)
        return self.error is not None or any(name == objective or one.kind != NON_FINITE for name, one in failures)

    def fill(self, key: str, numbers: Sequence[float]) -> FitResult:
        """Return a result of this form."""
        started, fit_seconds, *rest = numbers
        values = iter(rest)
        scores = {held_out: {metric: next(values) for metric in metrics} for held_out, metrics in self.scored}
        score_seconds = dict(zip(self.timed, values, strict=True))
        score_errors = {held_out: dict(failures) for held_out, failures in self.score_errors}
        return FitResult(
            key, scores, started, fit_seconds, score_seconds, self.error, score_errors, self.warned, retries=self.retries
        )


def _numbers(result: FitResult) -> list[float]:
    scores = [value for by_metric in result.scores.values() for value in by_metric.values()]
    return [result.started, result.fit_seconds, *scores, *result.score_seconds.values()]


class MemoryLedgerView(LedgerView):
    """Fits of one scorer, packed, and scheduled trials."""

    def __init__(self) -> None:
        self._packed: dict[bytes, bytes] = {}
        self._forms: list[_Form] = []
        self._places: dict[_Form, int] = {}
        self._trials: dict[str, TrialEnd] = {}

    def __len__(self) -> int:
        return len(self._packed)

    def find(self, fits: Sequence[Fit]) -> dict[str, FitResult]:  # noqa: D102
        known = ((fit, self._unpacked(fit.key)) for fit in fits if not fit.keep_model)
        return {fit.key: result for fit, result in known if result is not None and holds_all(fit, result)}

    def put(self, finished: Iterable[Finished]) -> None:  # noqa: D102
        for fit, result in finished:
            if not fit.keep_model:
                self._pack(merged(self._unpacked(fit.key), result))

    def find_trials(self, keys: Sequence[str]) -> dict[str, TrialEnd]:  # noqa: D102
        return {key: self._trials[key] for key in keys if key in self._trials}

    def put_trials(self, ended: Iterable[EndedTrial]) -> None:  # noqa: D102
        for key, fits, end in ended:
            self.put(zip(fits, end.results, strict=True))
            self._trials[key] = end

    def forget_failed(self, objective: str) -> int:
        """Forget all failures, of other plans too: it is not known here what a fit learned from."""
        self._trials = {key: end for key, end in self._trials.items() if end.state is not TrialState.FAILED}
        failed = [key for key, packed in self._packed.items() if self._form_of(packed).has_failed(objective)]
        for key in failed:
            del self._packed[key]
        return len(failed)

    def _form_of(self, packed: bytes) -> _Form:
        (place,) = struct.unpack_from("<I", packed, len(packed) - 4)
        form: _Form = self._forms[place]
        return form

    def _pack(self, result: FitResult) -> None:
        form = _Form.of(result)
        place = self._places.setdefault(form, len(self._forms))
        if place == len(self._forms):
            self._forms.append(form)
        numbers = _numbers(result)
        self._packed[bytes.fromhex(result.key)] = struct.pack(f"<{len(numbers)}dI", *numbers, place)

    def _unpacked(self, key: str) -> FitResult | None:
        packed = self._packed.get(bytes.fromhex(key))
        if packed is None:
            return None
        return self._form_of(packed).fill(key, struct.unpack_from(f"<{len(packed) // 8}d", packed))


class MemoryLedger(Ledger):
    """A ledger that lives as long as the process; runs that are handed the same one share it."""

    def __init__(self) -> None:
        self._by_scorer: dict[str, MemoryLedgerView] = {}

    def open(self, plan: Plan) -> MemoryLedgerView:  # noqa: D102
        return self._by_scorer.setdefault(scorer_of(plan), MemoryLedgerView())

    def forget_failed(self, plan: Plan) -> int:  # noqa: D102
        return self.open(plan).forget_failed(plan.problem.scoring.objective)
