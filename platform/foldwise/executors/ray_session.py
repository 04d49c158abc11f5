"""The one Ray of this process: started late and once, or joined, and stopped with the process if it was started here."""

from __future__ import annotations

import atexit
import os
import re
import secrets
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from foldwise.errors import ClusterError
from foldwise.executors.compat import private_options
from foldwise.executors.session_folder import SessionFolder
from foldwise.process.environment import changes, working_folder
from foldwise.process.world import World

_DEFAULTS = {
    "RAY_AUTH_MODE": "token",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a task without GPUs sees none
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "1",
}


def set_environment() -> None:
    """Set what Ray reads from the environment when it is first imported or started, where the user has not.

    A Ray that is imported already has read its mode of authentication, and would not see another one here. It turns to
    tokens by itself when it starts, as long as nothing is set.
    """
    late = {"RAY_AUTH_MODE"} if "ray" in sys.modules else set()
    for name, value in _DEFAULTS.items():
        if name in late:
            continue
        os.environ.setdefault(name, value)


_OF_RAY = re.compile(r"RAY_|FOLDWISE_GPU_FRACTION$|.*_VISIBLE_(DEVICES|CORES|CHIPS|MODULES)$|ONEAPI_DEVICE_SELECTOR$")
"""Variables that Ray, and the share of a GPU, have values of their own for on each worker."""


class RaySession:
    """Ray, as this process sees it.

    A Ray that this class starts has processes that die with the *thread* that started them, so a thread of its own holds
    it until the process ends. It listens on every interface whatever it is told, so it is closed by a random token; and its
    files and sockets lie in a folder that only their owner can enter.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: threading.Thread | None = None
        self._stop = threading.Event()
        self._address: str | None = None
        self._own_token: str | None = None
        self._folder: SessionFolder | None = None
        self._environment: tuple[str, dict[str, str]] = ("", {})

    @property
    def is_joined(self) -> bool:
        """Whether this process has a Ray already that is not a private one of ours."""
        ray = sys.modules.get("ray")
        is_private = self._holder is not None and self._address is None
        return ray is not None and bool(ray.is_initialized()) and not is_private

    def made_token(self, token: str) -> bool:
        """Tell whether a token was made here, for a private Ray: it opens no other."""
        return token == self._own_token

    @property
    def folder(self) -> Path | None:
        """Where a private Ray's files lie, which nobody else can reach; None where there is none, or another Ray is joined."""
        return None if self._folder is None else self._folder.path

    def ensure(self, address: str | None) -> Any:
        """Return the ``ray`` module, connected: to a Ray that runs already, the one at an address, or a private one.

        Raises
        ------
        ClusterError
            If it cannot be started or joined.
        """
        with self._lock:
            set_environment()
            address = address or os.environ.get("RAY_ADDRESS")
            if address in (None, "local") and "RAY_AUTH_TOKEN" not in os.environ:
                # No file is written where the token comes from the environment.
                self._own_token = os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
            import ray  # lazily: the environment must be set first, and the import takes a second

            before = dict(os.environ)
            if not ray.is_initialized():
                self._start(ray, address)
                self._address = address
            elif address not in (None, "local", "auto", self._address, ray.get_runtime_context().gcs_address):
                raise ClusterError(
                    f"expected the Ray that this process is connected to already, {ray.get_runtime_context().gcs_address}, "
                    f"got {address!r}; use a new process, or call ray.shutdown() first"
                )
            if self._environment[0] != (connected := ray.get_runtime_context().gcs_address):
                self._environment = connected, before
            return ray

    def world_for_workers(self, world: World) -> World:
        """Return what surrounds a fit with what workers of this machine are to be told of this process.

        Workers have the environment that Ray was started with, or that it had when this process joined it; they are told what
        has changed since. Across a cluster only what a job names reaches them.
        """
        nodes: list[Mapping[str, Any]] = sys.modules["ray"].nodes()
        if any(node["Alive"] and node["NodeManagerHostname"] != socket.gethostname() for node in nodes):
            return world
        now = changes(self._environment[1], os.environ)
        told = {name: value for name, value in now.items() if not _OF_RAY.match(name)}
        return replace(world, environment=told, folder=working_folder())

    def stop(self) -> None:
        """Stop the Ray that was started here; one that was joined is left alone."""
        with self._lock:
            if self._holder is not None:
                self._stop.set()
                self._holder.join(timeout=30)
                self._holder = None
            self._remove_folder()

    def _start(self, ray: Any, address: str | None) -> None:
        ready = threading.Event()
        failure: list[BaseException] = []
        self._stop.clear()
        options: dict[str, Any] = {} if address not in {None, "local"} else self._options_of_a_private_ray()

        def hold() -> None:
            try:
                ray.init(address=address or "local", log_to_driver=False, logging_level="error", **options)
            except BaseException as error:  # handed to the thread that waits
                failure.append(error)
                return
            finally:
                ready.set()
            self._stop.wait()
            ray.shutdown()

        self._holder = threading.Thread(target=hold, name="foldwise-ray", daemon=True)
        self._holder.start()
        ready.wait()
        if failure:
            self._holder = None
            self._remove_folder()
            what = f"the Ray at {address!r} to be reached; check the address and RAY_AUTH_TOKEN" if address else "Ray to start"
            raise ClusterError(f"expected {what}, got {type(failure[0]).__name__}: {failure[0]}") from failure[0]

    def _options_of_a_private_ray(self) -> dict[str, Any]:
        """Make its folder, and close what would be open to everybody: its page of metrics asks for no token."""
        self._remove_folder()  # of one that was shut down from outside
        self._folder = SessionFolder()
        return {"include_dashboard": False, **private_options(self._folder.for_ray)}

    def _remove_folder(self) -> None:
        if self._folder is not None:
            self._folder.remove()
            self._folder = None


SESSION = RaySession()
atexit.register(SESSION.stop)
