"""A real MLflow server on the loopback interface, that tests may kill and start again."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request

from free_ports import free_ports


class MlflowServer:
    """Serves one SQLite database at one port, also after it was killed."""

    def __init__(self, folder):
        self._folder = folder
        (self._port,) = free_ports(1)
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process = None

    def start(self, seconds=300.0):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        stores = [
            f"--backend-store-uri=sqlite:///{self._folder}/server.db",
            f"--artifacts-destination={self._folder}/artifacts",
        ]
        own = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "server.log").open("a") as log:
            self._process = subprocess.Popen([*command, *stores], stdout=log, stderr=log, env=own, start_new_session=True)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return self
            time.sleep(0.1)
        raise TimeoutError((self._folder / "server.log").read_text()[-2000:])

    def kill(self):
        """End it at once, with its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
