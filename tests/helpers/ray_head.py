"""The head of a real Ray cluster on the loopback interface, closed by a token, as ``ray start`` starts it."""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil
from free_ports import free_ports


class RayHead:
    """A head with its dashboard; stops with `close`, and whatever it started with it.

    Parameters
    ----------
    home : Path
        The home of whoever runs it there: where jobs keep what they write.
    n_cpus : int, default=2
        Cores that it says it has.
    """

    def __init__(self, home, n_cpus=2, seconds=300.0):
        self.token = secrets.token_hex(32)
        self.home = Path(home)
        self._folder = tempfile.mkdtemp(prefix="fw-", dir="/tmp")  # sockets' paths must be short
        port, dashboard, client = free_ports(3)
        self.address = f"http://127.0.0.1:{dashboard}"
        options = {
            "node-ip-address": "127.0.0.1", "port": port, "dashboard-host": "127.0.0.1", "dashboard-port": dashboard,
            "dashboard-agent-listen-port": 0, "ray-client-server-port": client, "min-worker-port": 0, "max-worker-port": 0,
            "num-cpus": n_cpus, "object-store-memory": 100_000_000, "temp-dir": self._folder,
        }  # fmt: skip
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"]
        self._log = self.home / "head.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in options.items())],
                stdout=log, stderr=log, env=self._environment(), start_new_session=True,
            )  # fmt: skip
        self._await(seconds)

    def _environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "FOLDWISE_"))}
        return {
            **kept, "HOME": str(self.home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
        }  # fmt: skip

    def _await(self, seconds):
        request = urllib.request.Request(f"{self.address}/api/v0/nodes", headers={"Authorization": f"Bearer {self.token}"})
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:
                if json.load(answer)["data"]["result"]["total"]:
                    return
            time.sleep(0.2)
        said = self._log.read_text()[-2000:]
        self.close()
        raise TimeoutError(said)

    def close(self):
        """End all of it."""
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(self._process.pid)
            processes = [own, *own.children(recursive=True)]
            own.terminate()
            psutil.wait_procs([own], timeout=15)
            for process in processes:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)
