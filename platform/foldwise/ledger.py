"""Finished fits and their scores, by what they learned from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from foldwise.trial import Fit, FitResult


class Ledger(Protocol):
    """Where finished fits are kept. A result is here before any study is told of it."""

    def find(self, fit: Fit) -> FitResult | None:
        """Return the result of an equal fit, if it holds every score that is asked for now."""

    def put(self, results: Iterable[FitResult]) -> None:
        """Keep results."""


class MemoryLedger:
    """A ledger that lives as long as the run."""

    def __init__(self) -> None:
        self._results: dict[str, FitResult] = {}

    def find(self, fit: Fit) -> FitResult | None:  # noqa: D102
        found = self._results.get(fit.key)
        if found is None or (found.error is None and not set(fit.held_out) <= found.scores.keys()):
            return None
        return found

    def put(self, results: Iterable[FitResult]) -> None:  # noqa: D102
        self._results.update((result.key, result) for result in results)
