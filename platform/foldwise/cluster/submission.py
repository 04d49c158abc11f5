"""Names of what is submitted, ``<job>-<digest8>-<attempt>``, and what a cluster says of it. Pure: knows nothing of Ray."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from foldwise.errors import ClusterError, nearest

_LONGEST_SLUG = 60
_ID = re.compile(r"^(?P<series>.+-[0-9a-f]{8})-(?P<attempt>[1-9][0-9]*)$")


class SubmissionState(Enum):
    """How far a submission is; the values are Ray's."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self not in (SubmissionState.PENDING, SubmissionState.RUNNING)

    @property
    def is_worth_joining(self) -> bool:
        """Whether it runs, will run or has run to its end, so that another attempt would do the same again."""
        return self not in (SubmissionState.FAILED, SubmissionState.STOPPED)


@dataclass(frozen=True, slots=True)
class Submission:
    """An attempt at a job, as the cluster sees it.

    Parameters
    ----------
    id : str
        ``<job>-<digest8>-<attempt>``.
    job : str
        The job's name.
    state : SubmissionState
        How far it is.
    started, ended : float or None
        In seconds since the epoch.
    message : str
        What the cluster says of it.
    exit_code : int or None
        Of its driver, once that has ended by itself.
    """

    id: str
    job: str
    state: SubmissionState
    started: float | None = None
    ended: float | None = None
    message: str = ""
    exit_code: int | None = None

    @property
    def series(self) -> str:
        """What all attempts at the same job have in common: ``<job>-<digest8>``."""
        return series_of(self.id)

    @property
    def attempt(self) -> int:
        """The number of the attempt; from 1."""
        return attempt_of(self.id)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "id": self.id, "job": self.job, "attempt": self.attempt, "state": self.state.value, "started": self.started,
            "ended": self.ended, "exit_code": self.exit_code,
        }  # fmt: skip


def series_name(job: str, digest: str) -> str:
    """Name all attempts at a job, of characters that Ray, URLs and file names take.

    Examples
    --------
    >>> series_name("digits svm (käse)", "0123456789abcdef")
    'digits-svm-k-se-01234567'
    """
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", job)[:_LONGEST_SLUG].strip("-.") or "job"
    return f"{slug}-{digest[:8]}"


def is_id(text: str) -> bool:
    """Tell whether a text is the id of a submission of ours."""
    return _ID.match(text) is not None


def series_of(submission_id: str) -> str:
    """Return an id without its attempt."""
    match = _ID.match(submission_id)
    return match["series"] if match else submission_id


def attempt_of(submission_id: str) -> int:
    """Return the number of an id's attempt; 0 of an id that has none.

    Examples
    --------
    >>> attempt_of("digits-svm-01234567-3")
    3
    """
    match = _ID.match(submission_id)
    return int(match["attempt"]) if match else 0


def latest_of(series: str, submissions: Iterable[Submission]) -> Submission | None:
    """Return the latest attempt; None if there is none."""
    return max((one for one in submissions if one.series == series), key=lambda one: one.attempt, default=None)


def find(name: str, submissions: Sequence[Submission], address: str) -> Submission:
    """Find what a name means: an id, or the latest attempt of ``<job>-<digest8>`` or of a job.

    Raises
    ------
    ClusterError
        If nothing on the cluster is called so.
    """
    exact = [one for one in submissions if one.id == name]
    called = exact or [one for one in submissions if name in {one.series, one.job, one.series[:-9]}]
    if not called:
        known = nearest(name, sorted({one.job for one in submissions}))
        raise ClusterError(f"expected a job that was submitted to {address}, got {name!r}; {known}")
    return max(called, key=lambda one: (one.started or 0.0, one.attempt))
