"""Step 9: what Ctrl-C and SIGTERM mean on the command line. The first ends a run in good order, the second at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_EXIT_CODE = 130


class Interruption:
    """Whether a run is to stop, asked by calling it; a context that takes the signals over and gives them back.

    The handlers run in the main thread, which may be anywhere: in a fit of the serial executor for minutes, or in C code
    for ever. So a thread hears of signals too: it has the main thread interrupted if the run does not ask in time, and ends
    the process if that does not help either.

    Parameters
    ----------
    say : callable
        Told what will happen.
    patience : float, default=5
        Seconds that the run has to ask whether to stop after the first signal, and to end after the second.
    """

    def __init__(self, say: Callable[[str], object], patience: float = 5.0) -> None:
        self._say, self._patience = say, patience
        self._n_signals = 0
        self._is_asked = False
        self._is_forced = False
        self._heard = threading.Event()
        self._left = threading.Event()
        self._handlers: dict[int, Any] = {}

    @property
    def came(self) -> bool:
        """Whether a signal came."""
        return self._n_signals > 0

    def __call__(self) -> bool:
        """Say whether to stop."""
        self._is_asked = True
        if self.came:
            self._heard.set()
        return self.came

    def __enter__(self) -> Interruption:
        self._ears, self._mouth = socket.socketpair()
        self._mouth.setblocking(False)
        self._handlers = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        self._wakeup = signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="foldwise-signals", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._left.set()
        self._heard.set()
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._mouth.close()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._n_signals += 1
        if self._n_signals > 1 or not self._is_asked:  # nothing runs yet that could be kept
            raise KeyboardInterrupt

    def _watch(self) -> None:
        n_heard = 0
        while numbers := self._ears.recv(16):
            for number in numbers:
                if number not in _SIGNALS or self._is_forced:
                    self._is_forced = False
                    continue
                n_heard += 1
                self._react(n_heard)
        self._ears.close()

    def _react(self, n_heard: int) -> None:
        if n_heard > 1:
            threading.Thread(target=self._end, daemon=True).start()
        elif self._is_asked:
            self._say("interrupted: ending in good order; once more ends at once")
            threading.Thread(target=self._force, daemon=True).start()

    def _force(self) -> None:
        if not self._heard.wait(self._patience):
            self._is_forced = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _end(self) -> None:
        if not self._left.wait(self._patience):
            os._exit(_EXIT_CODE)
