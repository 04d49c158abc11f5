"""Step 5, map: what keeps a fit to its time, where it runs.

Two means, since Python code can be told to stop and C code cannot: an alarm raises in the fit and, where the process may
be ended (a worker's), a watchdog that needs no interpreter ends it a little later. The driver then finds its worker lost.
"""

from __future__ import annotations

import faulthandler
import signal
import threading
import time
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any

_AGAIN = 1.0
"""Seconds after which a fit that caught the alarm is told again."""


class TimeLimitExceeded(BaseException):
    """A fit took longer than it may; no Exception, so that an estimator that catches those does not go on."""


@dataclass
class FitGuard:
    """Ends what runs in its context when its time is over; without ``seconds`` it does nothing.

    Parameters
    ----------
    seconds : float, optional
        Time of one fit.
    may_exit : bool, default=False
        Whether the process may be ended if the fit does not react.
    """

    seconds: float | None = None
    may_exit: bool = False
    _before: Any = field(default=None, repr=False)
    _is_armed: bool = field(default=False, repr=False)

    @staticmethod
    def can_watch() -> bool:
        """Whether this thread can be told to stop: only a process's main one can."""
        return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()

    @property
    def patience(self) -> float:
        """Seconds after which a fit that does not react is ended with its process."""
        return 0.0 if self.seconds is None else self.seconds + max(1.0, 0.1 * self.seconds)

    def __enter__(self) -> FitGuard:
        if self.seconds is not None:
            handler = signal.signal(signal.SIGALRM, self._alarm)
            self._is_armed = True
            if self.may_exit:
                faulthandler.dump_traceback_later(self.patience, exit=True)
            self._before = handler, time.monotonic(), signal.setitimer(signal.ITIMER_REAL, self.seconds, _AGAIN)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_armed = False
        if self.seconds is None:
            return
        if self.may_exit:
            faulthandler.cancel_dump_traceback_later()
        handler, since, (delay, interval) = self._before
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if delay:  # an alarm of whoever runs the search goes on
            signal.setitimer(signal.ITIMER_REAL, max(delay - (time.monotonic() - since), 1e-3), interval)

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        if self._is_armed and not (frame is not None and frame.f_code.co_filename == __file__):
            raise TimeLimitExceeded(f"the fit took longer than {self.seconds:g} s (limits.fit_seconds)")
