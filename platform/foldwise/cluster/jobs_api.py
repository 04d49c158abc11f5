"""Ray's Jobs API: the only module that talks to a cluster to start, stop and read jobs."""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from foldwise.cluster.access import Access
from foldwise.cluster.submission import Submission, SubmissionState
from foldwise.errors import ClusterError
from foldwise.executors.ray_session import set_environment
from foldwise.process.exclusive import ONE_AT_A_TIME
from foldwise.safety.masking import masked

T = TypeVar("T")

METADATA_JOB = "foldwise_job"
"""The key under which a submission says its job's name; what has none was not submitted by foldwise."""

_OVERRIDING = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_LOOK_EVERY = 5.0  # seconds without a word after which the state is asked for
PATIENCE = 60.0  # seconds that a server may be away while a job is followed or waited for
_PAUSE = 2.0


class TakenError(ClusterError):
    """The id of a submission is taken already."""


class JobsApi:
    """The jobs of a cluster.

    Parameters
    ----------
    access : Access
        Where it is and what opens it.

    Raises
    ------
    ClusterError
        If it does not answer, refuses the token, or is of another version.
    """

    def __init__(self, access: Access) -> None:
        access.check()
        self.access = access
        self._client = _client(access)

    @property
    def address(self) -> str:
        """Where the cluster is."""
        return self.access.address

    def submissions(self) -> list[Submission]:
        """List what foldwise submitted, the oldest first."""
        found = [_submission(one) for one in self._ask(self._client.list_jobs) if METADATA_JOB in (one.metadata or {})]
        return sorted(found, key=lambda one: (one.started or 0.0, one.attempt))

    def submission(self, submission_id: str) -> Submission:
        """Return how far a submission is."""
        return _submission(self._ask(lambda: self._client.get_job_info(submission_id)))

    def start(self, submission_id: str, entrypoint: str, parcel: Path, job: str, environment: Mapping[str, str]) -> None:
        """Submit a parcel.

        Raises
        ------
        TakenError
            If there is a submission of this id, however it ended.
        """
        runtime_env = {"working_dir": str(parcel), "env_vars": dict(environment)}
        try:
            self._ask(
                lambda: self._client.submit_job(
                    entrypoint=entrypoint, submission_id=submission_id, runtime_env=runtime_env, metadata={METADATA_JOB: job}
                )
            )
        except ClusterError as error:
            if "already exists" in str(error):
                raise TakenError(str(error)) from error
            raise

    def stop(self, submission_id: str) -> bool:
        """Ask a submission to end in good order; False if there is nothing that could hear it."""
        return bool(self._ask(lambda: self._client.stop_job(submission_id)))

    def log(self, submission_id: str) -> str:
        """Return all that a submission has said so far."""
        return str(self._ask(lambda: self._client.get_job_logs(submission_id)))

    def follow(self, submission_id: str) -> Iterator[str]:
        """Give what a submission says, from its beginning until it is over, a piece at a time.

        A connection that breaks is made anew, for as long as the server is not away for more than a minute.
        """
        n_given, away_since = 0, None
        while True:
            try:
                n_seen = 0
                for piece in self._tail(submission_id):
                    new = piece[max(0, n_given - n_seen) :]
                    n_seen += len(piece)
                    n_given += len(new)
                    away_since = None
                    if new:
                        yield new
                if self.submission(submission_id).state.is_over:
                    yield self.log(submission_id)[n_given:]
                    return
            except ClusterError:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > PATIENCE:
                    raise
            time.sleep(_PAUSE)

    def nodes(self) -> list[Mapping[str, Any]]:
        """List the cluster's nodes as ``ray.nodes()`` words them, as far as resources go."""
        answer = self.access.get("/api/v0/nodes?detail=1&limit=10000").get("data") or {}
        rows = (answer.get("result") or {}).get("result") or []
        return [{"Alive": row.get("state") == "ALIVE", "Resources": row.get("resources_total") or {}} for row in rows]

    def _tail(self, submission_id: str) -> Iterator[str]:
        """Give the pieces of a log until the server ends it, or the submission is over and nothing more comes."""
        with _pumped(lambda: self._client.tail_job_logs(submission_id)) as pieces:
            while True:
                try:
                    piece = pieces.get(timeout=_LOOK_EVERY)
                except queue.Empty:
                    if self.submission(submission_id).state.is_over:
                        return
                    continue
                if isinstance(piece, BaseException):
                    raise self._failure(piece) from piece
                if piece is None:
                    return
                yield piece

    def _ask(self, ask: Callable[[], T]) -> T:
        import ray.exceptions  # lazily: Ray takes a second to import

        try:
            return ask()
        except (RuntimeError, OSError, ray.exceptions.RayError) as error:
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> ClusterError:
        words = " ".join(masked(str(error)).split())
        for code, sign in ((401, "Authentication required"), (403, "Authentication failed")):
            if words.startswith(sign):
                return ClusterError(self.access.refusal(code))
        return ClusterError(f"expected an answer from the cluster at {self.address}, got {words[-500:]}")


def _client(access: Access) -> Any:
    """Make Ray's own client; what the environment says of addresses would win over ours."""
    set_environment()
    from ray.job_submission import JobSubmissionClient  # lazily: the environment must be set first

    for module in ("dashboard_sdk", "job.sdk"):  # they tell of uploads and connections
        logging.getLogger(f"ray.dashboard.modules.{module}").setLevel(logging.ERROR)
    with ONE_AT_A_TIME:
        hidden = {name: os.environ.pop(name) for name in _OVERRIDING if name in os.environ}
        try:
            return JobSubmissionClient(access.address, headers=access.headers)
        except (RuntimeError, OSError) as error:
            raise ClusterError(f"expected Ray's Jobs API at {access.address}, got {error}; check the address") from error
        finally:
            os.environ.update(hidden)


def _submission(details: Any) -> Submission:
    return Submission(
        id=details.submission_id or details.job_id or "",
        job=(details.metadata or {}).get(METADATA_JOB, details.submission_id or ""),
        state=SubmissionState(str(details.status.value)),
        started=None if details.start_time is None else details.start_time / 1000,
        ended=None if details.end_time is None else details.end_time / 1000,
        message=details.message or "",
        exit_code=details.driver_exit_code,
    )


@contextmanager
def _pumped(stream: Callable[[], Any]) -> Iterator[queue.Queue[Any]]:
    """Read an asynchronous stream in a thread, so that it can be waited for anywhere, notebooks included.

    Its pieces come through a queue; None ends them, an exception is what broke them.
    """
    pieces: queue.Queue[Any] = queue.Queue()

    async def pump() -> None:
        try:
            async for piece in stream():
                pieces.put(piece)
            pieces.put(None)
        except Exception as error:  # handed to whoever waits
            pieces.put(error)

    loop = asyncio.new_event_loop()
    task = loop.create_task(pump())

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run, name="foldwise-log", daemon=True)
    thread.start()
    try:
        yield pieces
    finally:
        with suppress(RuntimeError):  # closed, since it has ended by itself
            loop.call_soon_threadsafe(task.cancel)
        thread.join(timeout=5)
