"""Step 5, map: what keeps a fit to its time, where it runs.

Two means, since Python code can be told to stop and C code cannot: an alarm raises in the fit and, where the process may
be ended (a worker's), a watchdog that needs no interpreter ends it a little later. The driver then finds its worker lost.

Importing is no part of a fit's time: the first fit in a process would be the only one to pay for it, and an import that is
broken off cannot be begun again. So while a module is imported the clock stands still, and nothing is raised.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType, ModuleType, TracebackType
from typing import Any

_AGAIN = 1.0
"""Seconds after which a fit that caught the alarm is told again."""
_LOOK = 0.1
"""Seconds between looks at whether an import is over."""
_LONGEST_IMPORT = 600.0
"""Seconds after which a process is ended in which an import hangs."""
_IMPORTLIB = ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>")


class TimeLimitExceeded(BaseException):
    """A fit took longer than it may; no Exception, so that an estimator that catches those does not go on."""


class _ImportWatch:
    """Stands first among Python's finders of modules, finds none, and tells a guard that one is about to be imported."""

    def __init__(self, guard: FitGuard) -> None:
        self._guard, self._thread = guard, threading.get_ident()

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if threading.get_ident() == self._thread:
            self._guard.stand_still()


@dataclass
class FitGuard:
    """Ends what runs in its context when its time is over; without ``seconds`` it does nothing.

    Parameters
    ----------
    seconds : float, optional
        Time of one fit, imports left aside.
    may_exit : bool, default=False
        Whether the process may be ended if the fit does not react.
    """

    seconds: float | None = None
    may_exit: bool = False
    _before: Any = field(default=None, repr=False)
    _is_armed: bool = field(default=False, repr=False)
    _deadline: float = field(default=0.0, repr=False)
    _importing_since: float | None = field(default=None, repr=False)
    _outside: Any = field(default=None, repr=False)
    _watch: Any = field(default=None, repr=False)

    @staticmethod
    def can_watch() -> bool:
        """Whether this thread can be told to stop: only a process's main one can."""
        return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()

    @property
    def patience(self) -> float:
        """Seconds after which a fit that does not react is ended with its process."""
        return 0.0 if self.seconds is None else self.seconds + max(1.0, 0.1 * self.seconds)

    def stand_still(self) -> None:
        """Stop the clock until the import that begins is over."""
        if not self._is_armed or self._importing_since is not None:
            return
        self._importing_since = time.monotonic()
        self._end_process_after(_LONGEST_IMPORT)
        signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)

    def __enter__(self) -> FitGuard:
        if self.seconds is not None:
            self._outside, self._importing_since = sys._getframe(1), None
            self._watch = _ImportWatch(self)
            handler = signal.signal(signal.SIGALRM, self._alarm)
            self._deadline = time.monotonic() + self.seconds
            self._is_armed = True
            sys.meta_path.insert(0, self._watch)
            self._end_process_after(self.patience)
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
        if self._watch in sys.meta_path:
            sys.meta_path.remove(self._watch)
        self._outside = self._watch = None
        if delay:  # an alarm of whoever runs the search goes on
            signal.setitimer(signal.ITIMER_REAL, max(delay - (time.monotonic() - since), 1e-3), interval)

    def _alarm(self, number: int, frame: FrameType | None) -> None:
        if not self._is_armed or (frame is not None and frame.f_code.co_filename == __file__):
            return
        now = time.monotonic()
        if self._is_importing(frame):
            self.stand_still()
            return
        if self._importing_since is not None:  # it is over: what it took is given back
            self._deadline += now - self._importing_since
            self._importing_since = None
        left = self._deadline - now
        if left > 0:
            self._end_process_after(left + self.patience - (self.seconds or 0.0))
            signal.setitimer(signal.ITIMER_REAL, left, _AGAIN)
            return
        raise TimeLimitExceeded(f"the fit took longer than {self.seconds:g} s (limits.fit_seconds)")

    def _is_importing(self, frame: FrameType | None) -> bool:
        """Tell whether a module is being imported by what runs in the context, which may itself run in an import."""
        while frame is not None and frame is not self._outside:
            if frame.f_code.co_filename in _IMPORTLIB:
                return True
            frame = frame.f_back
        return False

    def _end_process_after(self, seconds: float) -> None:
        if self.may_exit:
            faulthandler.dump_traceback_later(seconds, exit=True)
