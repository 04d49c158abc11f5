"""What the workers rely on of the private parts of MLflow and imbalanced-learn, each with its reason.

A test of each fails when a version changes it. Neither library is imported here.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

from foldwise.process.exclusive import ONE_AT_A_TIME

_FLAG = "_AUTOLOGGING_GLOBALLY_DISABLED"


class _DisabledHere:
    """A flag that is set in all threads but those that ran before, so that a caller's own fits are logged meanwhile.

    Threads that a fit starts count as the fit's.
    """

    def __init__(self, before: Any) -> None:
        here = threading.get_ident()
        self._before = before
        self._others = frozenset(thread.ident for thread in threading.enumerate() if thread.ident != here)

    def __bool__(self) -> bool:
        return bool(self._before) or threading.get_ident() not in self._others


@contextlib.contextmanager
def no_autologging() -> Iterator[None]:
    """Keep MLflow's autologging, which the caller may have turned on, from fits here; afterwards it is as it was.

    MLflow's own ``disable_autologging`` turns it off in the caller's other threads too, and leaves it on afterwards where the
    caller had turned it off.
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


def resamples(function: Any) -> bool:
    """Tell whether a function that a pipeline has its memory cache fits a sampler of imbalanced-learn's.

    Its pipeline caches two functions of its own, which have the same arguments, and tells nobody which of them it is.
    """
    return getattr(function, "__name__", "") == "_fit_resample_one"
