"""What a process has only one of: its random state, warning filters and thread limits. Who changes them takes a turn."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

ONE_AT_A_TIME = threading.RLock()
"""Held while something of the process's is changed for a time, so that searches in several threads do not mix it up."""


@contextmanager
def ignored_warnings(message: str = "", category: type[Warning] = Warning) -> Iterator[None]:
    """Ignore some warnings for a time."""
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield
