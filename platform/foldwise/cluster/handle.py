"""The handle of a job on a cluster: how far it is, what it says, its end, its report."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator

from foldwise.cluster.jobs_api import PATIENCE, JobsApi
from foldwise.cluster.postscript import Postscript, last_line, shown
from foldwise.cluster.submission import Submission, SubmissionState
from foldwise.errors import ClusterError
from foldwise.job.exit_codes import DONE, FAILED, INTERRUPTED
from foldwise.report import Report

_LOOK_EVERY = 1.0  # seconds
STOP_SECONDS = 120
"""Seconds that a driver may take to end in good order, before Ray kills it."""

_CAUSES = (
    (r"No module named '?foldwise", "foldwise is not installed there: install it on all nodes"),
    (r"(python|exec): .*not found", "there is no python on the PATH of Ray there: start Ray with its environment activated"),
)


class SubmittedJob:
    """An attempt at a job on a cluster.

    Parameters
    ----------
    jobs : JobsApi
        The cluster's jobs.
    submission_id : str
        ``<job>-<digest8>-<attempt>``.
    is_new : bool, default=True
        Whether it was begun by this call; False: it was there, and is joined.
    """

    def __init__(self, jobs: JobsApi, submission_id: str, *, is_new: bool = True) -> None:
        self._jobs = jobs
        self.id, self.is_new = submission_id, is_new

    def __repr__(self) -> str:
        return f"SubmittedJob({self.id!r}, address={self.address!r})"

    @property
    def address(self) -> str:
        """Where the cluster is."""
        return self._jobs.address

    def status(self) -> Submission:
        """Return how far it is."""
        return self._jobs.submission(self.id)

    def logs(self, *, follow: bool = False) -> Iterator[str]:
        """Give what it says, line by line: progress, failures, the report.

        Parameters
        ----------
        follow : bool, default=False
            Whether to go on until it is over.
        """
        return shown(self.lines(follow=follow))

    def lines(self, *, follow: bool) -> Iterator[str]:
        """Give the lines of its log as they are."""
        return _lines(self._jobs.follow(self.id) if follow else [self._jobs.log(self.id)])

    def wait(self, timeout: float | None = None) -> Submission:
        """Wait until it is over; a server that is away for less than a minute is waited for.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None: for as long as it takes.

        Raises
        ------
        TimeoutError
            If it is not over by then; it goes on.
        ClusterError
            If the cluster does not answer for longer.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        state, away_since = "not known", None
        while True:
            try:
                found = self.status()
                if found.state.is_over:
                    return found
                state, away_since = found.state.value, None
            except ClusterError:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > PATIENCE:
                    raise
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self.id} is {state} after {timeout:g} s; it goes on")
            time.sleep(_LOOK_EVERY)

    def stop(self) -> Submission:
        """End it in good order: what is finished is kept, and submitting the job again goes on from there.

        Raises
        ------
        ClusterError
            If it does not end.
        """
        if (found := self.status()).state.is_over:
            return found
        self._jobs.stop(self.id)
        try:
            return self.wait(STOP_SECONDS + 30)
        except TimeoutError:
            raise ClusterError(f"expected {self.id} to end within {STOP_SECONDS} s, got none; stop it once more") from None

    def exit_code(self) -> int:
        """Return what ``foldwise run`` would have ended with: 0, 1, 2 or 130; waits until it is over.

        Raises
        ------
        ClusterError
            If its driver was lost, or could not begin.
        """
        ended = self.wait()
        postscript = Postscript.read(self._jobs.log(self.id))
        if postscript is not None:
            return postscript.code
        if ended.state is SubmissionState.STOPPED:
            return INTERRUPTED
        if ended.state is SubmissionState.SUCCEEDED:
            return DONE
        raise ClusterError(f"expected {self.id} to end with a report, got {self.cause() or FAILED}")

    def report(self) -> Report:
        """Return its report; partial if it was stopped or failed on the way.

        Raises
        ------
        ClusterError
            If it has none, or not yet, or none that can be read.
        InputError
            If the cluster's foldwise writes archives of another version.
        """
        postscript = Postscript.read(self._jobs.log(self.id))
        archive = None if postscript is None else postscript.archive()
        if archive is not None:
            return Report(archive)
        state = self.status().state
        if not state.is_over:
            raise ClusterError(f"expected {self.id} to have ended, got {state.value}; wait for it: foldwise logs -f {self.id}")
        raise ClusterError(f"expected {self.id} to have a report, got {state.value} without one: {self.cause()}")

    def cause(self) -> str:
        """Say in a line why it ended without a report, as far as is known."""
        log, message = self._jobs.log(self.id), self.status().message
        for pattern, words in _CAUSES:
            if re.search(pattern, log) or re.search(pattern, message):
                return words
        return last_line(log).removeprefix("error: ") if log.strip() else " ".join(message.split())[-500:]


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """Cut text that comes in pieces into lines, without their ends."""
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        yield from whole
    if rest:
        yield rest
