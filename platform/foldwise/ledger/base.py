"""What every ledger is."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from foldwise.errors import Failure, InputTypeError
from foldwise.keys import digest
from foldwise.plan.plan import Plan
from foldwise.trial import Fit, FitResult, TrialEnd

Finished: TypeAlias = tuple[Fit, FitResult]
"""A fit and what came of it."""

EndedTrial: TypeAlias = tuple[str, tuple[Fit, ...], TrialEnd]
"""The key of a scheduled trial, the fits that its inner folds are, in fold order, and how it ended."""


class LedgerView(ABC):
    """A ledger's fits as one plan asks for them: with the scores of its own scorer.

    Fits whose model is wanted back are neither kept nor found, since a ledger holds no models.
    """

    @abstractmethod
    def find(self, fits: Sequence[Fit]) -> dict[str, FitResult]:
        """Return, by key, the results of those fits that failed or have every score that is wanted of them."""

    @abstractmethod
    def put(self, finished: Iterable[Finished]) -> None:
        """Keep results, all or none of them; they are kept when it returns.

        Raises
        ------
        LedgerError
            If they could not be.
        """

    @abstractmethod
    def find_trials(self, keys: Sequence[str]) -> dict[str, TrialEnd]:
        """Return, by key, how scheduled trials ended; of those alone whose folds' results are all there."""

    @abstractmethod
    def put_trials(self, ended: Iterable[EndedTrial]) -> None:
        """Keep how scheduled trials ended, and their folds' fits with them, all or none; they are kept when it returns.

        Raises
        ------
        LedgerError
            If they could not be.
        """

    def claim(self, fits: Sequence[Fit]) -> set[str]:
        """Say that these fits are begun here, and return the keys of those that another process works at instead.

        It is advice that spares double work, never a lock: who runs a claimed fit all the same does no harm, and a claim
        ends by itself soon after its process does.
        """
        return set()

    def renew(self) -> None:  # noqa: B027  (only what others see can be claimed)
        """Say that this process is alive; called again and again while fits run."""

    def close(self) -> None:  # noqa: B027  (memory has nothing to let go of)
        """Close the connection, if there is one."""


class Ledger(ABC):
    """Where finished fits are kept."""

    @abstractmethod
    def open(self, plan: Plan) -> LedgerView:
        """Return the entries that a plan's fits find and add.

        Raises
        ------
        LedgerError
            If the ledger cannot be read or written.
        """

    @abstractmethod
    def forget_failed(self, plan: Plan) -> int:
        """Forget the failures among a plan's fits, so that these run again, and return how many there were.

        A fit that then does well has a score where there was none, and a search that adapts may ask otherwise from there.
        """


class NoLedger(Ledger, LedgerView):
    """Keeps nothing beyond the run, which itself remembers what it has seen."""

    def open(self, plan: Plan) -> LedgerView:  # noqa: D102
        return self

    def find(self, fits: Sequence[Fit]) -> dict[str, FitResult]:  # noqa: D102
        return {}

    def put(self, finished: Iterable[Finished]) -> None:  # noqa: D102
        return None

    def find_trials(self, keys: Sequence[str]) -> dict[str, TrialEnd]:  # noqa: D102
        return {}

    def put_trials(self, ended: Iterable[EndedTrial]) -> None:  # noqa: D102
        return None

    def forget_failed(self, plan: Plan) -> int:  # noqa: D102
        return 0


def scorer_of(plan: Plan) -> str:
    """Return the key of a plan's scorer: scores by another one are other scores; one of its own where it cannot be read."""
    try:
        return digest(plan.problem.scoring.scorer)
    except InputTypeError:
        return uuid.uuid4().hex


def merged(known: FitResult | None, result: FitResult) -> FitResult:
    """Unite what is known of a fit with a further result of it, which another process had, or which ran for more scores.

    What did well stands before what failed, for the fit and for each score; of two alike the first stays.
    """
    if known is None:
        return result
    if known.error is not None or result.error is not None:
        return result if known.error is not None and result.error is None else known
    scores, errors = {**result.scores, **known.scores}, {**result.score_errors, **known.score_errors}
    for rows in known.scores.keys() & result.scores.keys():
        scores[rows], errors[rows] = _merged_on(rows, known, result)
    seconds = {**result.score_seconds, **known.score_seconds}
    return replace(known, scores=scores, score_errors={rows: one for rows, one in errors.items() if one}, score_seconds=seconds)


def _merged_on(rows: str, *results: FitResult) -> tuple[dict[str, float], dict[str | None, Failure]]:
    """Unite scores on the same rows, and what failed there; the first good one of each metric, else the first."""
    found = [(one.scores[rows], one.score_errors.get(rows, {})) for one in results]
    scores: dict[str, float] = {}
    errors: dict[str | None, Failure] = {}
    for name in dict.fromkeys(name for parts in sorted(found, key=lambda one: -len(one[0])) for part in parts for name in part):
        having = [(values, failures) for values, failures in found if name in values or name in failures]
        values, failures = next((one for one in having if name not in one[1]), having[0])
        if name is not None and name in values:
            scores[name] = values[name]
        if name in failures:
            errors[name] = failures[name]
    if scores:
        errors.pop(None, None)
    return scores, errors


def holds_all(fit: Fit, result: FitResult) -> bool:
    """Tell whether a result answers a fit: it failed, or every score that is wanted is there (or why it is not)."""
    return result.error is not None or all(key in result.scores for key in fit.held_out)
