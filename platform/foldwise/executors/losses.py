"""What follows from the loss of a chunk: which fits it counts against, and which run again. Knows nothing of Ray.

A chunk is sent again as single fits. It holds a fraction of a second of work, so its other fits cost little; and a fit that
ends its worker then ends it alone.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum

from foldwise.errors import Failure
from foldwise.trial import Fit, FitResult


class Loss(Enum):
    """Why a chunk was lost: words for it, the kind of failure, and how many losses a fit that runs alone is allowed.

    A fit must not kill workers for ever. Nodes are lost for reasons of their own, so these losses are allowed more often.
    """

    WORKER = ("the worker was lost", "WorkerLost", 3)
    MEMORY = ("the worker was ended since its node ran out of memory", "OutOfMemory", 3)
    NODE = ("the node was lost", "NodeLost", 10)
    DATA = ("the data was lost", "DataLost", 10)

    def __init__(self, words: str, kind: str, most: int) -> None:
        self.words, self.kind, self.most = words, kind, most


@dataclass(frozen=True)
class InFlight:
    """A chunk of fits in flight, or waiting to be sent.

    Parameters
    ----------
    chunk : tuple of Fit
        The fits.
    losses : tuple of Loss
        Its losses while it was a single fit.
    retries : int
        How often its fits were sent again.
    not_before : float
        When it may be sent, on the monotonic clock.
    """

    chunk: tuple[Fit, ...]
    losses: tuple[Loss, ...] = ()
    retries: int = 0
    not_before: float = 0.0

    @property
    def is_alone(self) -> bool:
        """Whether it is a single fit, against which a loss counts."""
        return len(self.chunk) == 1

    def settle(self, results: list[FitResult]) -> list[FitResult]:
        """Note in its results how often they took another try."""
        return [replace(result, retries=self.retries) for result in results] if self.retries else results

    def less(self, keys: Collection[str]) -> InFlight | None:
        """Return it without some of its fits; None if none is left."""
        left = tuple(fit for fit in self.chunk if fit.key not in keys)
        return replace(self, chunk=left) if left else None

    def fail(self, kind: str, message: str) -> list[FitResult]:
        """Return failures of all its fits."""
        failure = Failure(kind, message)
        return self.settle([FitResult(fit.key, {}, time.time(), error=failure) for fit in self.chunk])


def after_loss(in_flight: InFlight, loss: Loss, reason: str, now: float) -> tuple[list[InFlight], list[FitResult]]:
    """Decide what is sent again, and what is given up.

    Parameters
    ----------
    in_flight : InFlight
        What was lost.
    loss : Loss
        How.
    reason : str
        What Ray said of it.
    now : float
        The monotonic clock.

    Returns
    -------
    again : list of InFlight
        To be sent.
    given_up : list of FitResult
        Failed, with the cause.
    """
    again = replace(in_flight, retries=in_flight.retries + 1)
    if not in_flight.is_alone:
        return [replace(again, chunk=(fit,)) for fit in in_flight.chunk], []
    again = replace(again, losses=(*in_flight.losses, loss))
    n = sum(one.kind == loss.kind for one in again.losses)
    if n >= loss.most:
        return [], in_flight.fail(loss.kind, f"{loss.words} {n} times while it ran this fit alone: {reason}")
    if loss is Loss.WORKER:  # it may be the first sign of a node that is being lost, which takes Ray a while to see
        again = replace(again, not_before=now + 2.0 ** (n - 1))
    if loss is Loss.MEMORY:  # of several fits on a node the newest is ended, not the largest: let others make room
        again = replace(again, not_before=now + 2.0**n)
    return [again], []
