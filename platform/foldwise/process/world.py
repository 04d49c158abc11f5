"""Step 5, map: the worker's world is the driver's. What surrounds a fit and can change what comes of it.

It is taken down when the plan is made, and holds in every fit: scikit-learn's configuration and NumPy's treatment of
floating-point errors are set, in whichever thread or process the fit runs; versions and the user's own code are compared,
and a worker that has others says so instead of fitting.
"""

from __future__ import annotations

import contextlib
import importlib
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import sklearn

from foldwise.errors import ClusterError
from foldwise.keys import Digester
from foldwise.keys.code import found_by_name
from foldwise.keys.versions import differences
from foldwise.process.environment import Changes, changed, working_in

_SHOWN_ONLY = {"print_changed_only", "display"}
"""scikit-learn's settings that change how an estimator is shown, and nothing that it does."""


@dataclass(frozen=True)
class World:
    """What surrounds a fit.

    Parameters
    ----------
    configuration : mapping
        scikit-learn's, as ``sklearn.get_config`` gives it.
    floating : mapping
        NumPy's treatment of floating-point errors, as ``numpy.geterr`` gives it.
    versions : mapping of str to str
        Of Python and of the distributions whose code the fits run.
    own : mapping of str to str
        ``module:qualname`` -> key of the user's own classes and functions, as they are loaded in the driver.
    modules : tuple of str
        The user's own modules that these reach.
    environment : mapping of str to str or None
        Environment variables that the driver has changed since its workers' environment was made; None: not set.
    folder : str, optional
        The driver's working folder, where workers have it.
    """

    configuration: Mapping[str, Any]
    floating: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    environment: Changes = field(default_factory=dict, repr=False)  # it may hold passwords
    folder: str | None = None

    @classmethod
    def here(cls) -> World:
        """Take down what holds in this thread."""
        return cls(sklearn.get_config(), np.geterr())

    @property
    def settings(self) -> dict[str, Any]:
        """What of it changes what a fit learns, for its key."""
        shown = {name: value for name, value in self.configuration.items() if name not in _SHOWN_ONLY}
        return {"scikit-learn": shown, "numpy": dict(self.floating)}

    def naming(self, digester: Digester, versions: Mapping[str, str]) -> World:
        """Return it with what has to be the same on workers: versions, and the code of its own that a digester met."""
        own = {name: key for name, key in digester.own.items() if _can_be_found(name)}
        return replace(self, versions=dict(versions), own=own, modules=tuple(sorted(digester.own_modules)))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Let it hold in this thread for a time."""
        with (
            changed(self.environment),
            working_in(self.folder),
            sklearn.config_context(**self.configuration),
            np.errstate(**self.floating),
        ):
            yield

    # --- on a worker ---

    def check_versions(self) -> None:
        """Refuse to work with other versions than the driver's.

        Raises
        ------
        ClusterError
            If one differs; it names the node, the distribution and both versions.
        """
        different = differences(self.versions)
        if different:
            raise ClusterError(
                f"expected the driver's versions on node {socket.gethostname()}, got others: {'; '.join(different)}; "
                "install the same there, for example by the job's image or its lock file"
            )

    def differing(self) -> list[str]:
        """Name what of the driver's own code is not here as it is there; modules older than their files are loaded anew."""
        digester = Digester()
        different = [name for name, key in self.own.items() if _key_here(digester, name) != key]
        if not different:
            return []
        for module in self.modules:
            if module != "__main__":
                sys.modules.pop(module, None)
        digester = Digester()
        return [name for name, key in self.own.items() if _key_here(digester, name) != key]

    def check_code(self) -> None:
        """Refuse to work with other code than the driver's.

        Raises
        ------
        ClusterError
            If some differs; it names the node and what differs.
        """
        different = self.differing()
        if different:
            raise ClusterError(
                f"expected the driver's code on node {socket.gethostname()}, got other code, or none, for "
                f"{', '.join(sorted(different))}; send the folder that it is in (code: in a job), or install it there"
            )


def _can_be_found(name: str) -> bool:
    """Tell whether another process can look for a class or function by its name."""
    return not name.startswith("__main__:") and "<" not in name and found_by_name(name) is not None


def _key_here(digester: Digester, name: str) -> str | None:
    try:
        importlib.import_module(name.partition(":")[0])
        found = found_by_name(name)
        return None if found is None else digester.code_key(found)
    except Exception:  # a module may not be there, or raise anything while it is imported
        return None
