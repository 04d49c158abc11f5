"""Step 5, map: MLflow's autologging, which the caller or a module of the caller's may have turned on, does not see our fits.

This is the one module that touches MLflow's private parts outside of `foldwise.listeners.tracking`; it never imports MLflow.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

from foldwise.process import ONE_AT_A_TIME

_FLAG = "_AUTOLOGGING_GLOBALLY_DISABLED"


class _DisabledHere:
    """A flag that is set in all threads but those that were at work before: a caller's own fits are logged meanwhile.

    Threads that a fit begins count as the fit's.
    """

    def __init__(self, before: Any) -> None:
        here = threading.get_ident()
        self._before = before
        self._others = frozenset(thread.ident for thread in threading.enumerate() if thread.ident != here)

    def __bool__(self) -> bool:
        return bool(self._before) or threading.get_ident() not in self._others


@contextlib.contextmanager
def no_autologging() -> Iterator[None]:
    """Let MLflow log nothing by itself of what is fitted here, for a time; then all is as the caller has set it.

    MLflow's own ``disable_autologging`` would turn off the caller's other threads, and leave autologging on after it where
    the caller had turned it off.
    """
    module = sys.modules.get("mlflow.utils.autologging_utils")
    if module is None or not hasattr(module, _FLAG):
        yield
        return
    with ONE_AT_A_TIME:
        before = getattr(module, _FLAG)
        setattr(module, _FLAG, _DisabledHere(before))
        try:
            yield
        finally:
            setattr(module, _FLAG, before)
