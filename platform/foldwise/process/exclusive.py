"""What a process has only one of: its random state, warning filters, thread limits, memory. Who changes one takes a turn."""

from __future__ import annotations

import sys
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


def peak_bytes() -> int:
    """Return the most memory that this process has held so far, in bytes; 0 where the system does not say."""
    try:
        import resource  # only where there is POSIX
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
