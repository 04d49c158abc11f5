"""The services of ``docker-compose.yml``, run on this machine's loopback interface without containers.

Commands, environment, order and health checks are read from the compose file. What is put otherwise, since there are no
containers, stands in ``service_process.py``.

usage: compose_services.py [N_WORKERS]    start them, say how to reach them, and stop with Ctrl-C
"""

import contextlib
import importlib.util
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import compose_file
import psutil
from service_process import Ports, PostgresProcess, ServiceProcess, wait_until

# Whatever becomes of the process that starts services: when its end of the pipe closes, what is left of them is killed.
_GUARD = """
import os, shutil, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
if groups:
    shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
_SECONDS = 120  # until a service is healthy, on a machine that is busy


class ComposeServices:
    """PostgreSQL, an MLflow server, a Ray head and workers, each a process group of its own.

    Parameters
    ----------
    folder : path, optional
        For logs, ``.env`` and MLflow's artifacts. None: a temporary one.
    workers : int, default=2
        Raylets to start, besides the head's.
    **variables : str
        Of ``.env``, besides the secrets: WORKER_CPUS="2".
    """

    def __init__(self, folder=None, workers=2, **variables):
        # Ray's and PostgreSQL's sockets lie in a folder whose path must be short.
        self._short = Path(tempfile.mkdtemp(prefix="fw-", dir="/tmp"))
        self.folder = Path(folder) if folder is not None else self._short / "services"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ports, self._n_workers = Ports(), workers
        self._variables = self._write_env(variables)
        self._services = compose_file.load(env=self._variables)["services"]
        self._processes = {}
        self._n_started = 0
        self._guard = None

    def _write_env(self, variables):
        """Make ``.env`` with deploy/make_env.py, and add what makes the services small."""
        published = {"MLFLOW_PORT": self._ports("mlflow", 5000), "RAY_JOBS_PORT": self._ports("head", 8265)}
        small = {"MLFLOW_WORKERS": 1, "WORKER_CPUS": 1, "OBJECT_STORE_BYTES": 100_000_000, "DATA_FOLDER": self.folder / "data"}
        lines = [f"{name}={value}" for name, value in {**published, **small, **variables}.items()]
        example = (compose_file.ROOT / ".env.example").read_text()
        text = make_env_module().make_env(example) + "\n".join(lines) + "\n"
        self.env_file = self.folder / ".env"
        self.env_file.write_text(text)
        self.env_file.chmod(0o600)
        pairs = (line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
        return dict(pairs)

    # Where they are reached

    @property
    def jobs_address(self):
        """Ray's Jobs API."""
        return f"http://127.0.0.1:{self._ports('head', 8265)}"

    @property
    def ray_address(self):
        """For a driver on this machine, and for further nodes."""
        return f"127.0.0.1:{self._ports('head', 6379)}"

    @property
    def tracking_uri(self):
        """MLflow's server."""
        return f"http://127.0.0.1:{self._ports('mlflow', 5000)}"

    @property
    def ledger_url(self):
        """The ledger that jobs use which name none."""
        return self.postgres_url("ledger")

    def postgres_url(self, database):
        """Return the URL of one of the databases, for the role that owns it."""
        password = self._variables[f"{database.upper()}_DB_PASSWORD"]
        return f"postgresql://{database}:{password}@127.0.0.1:{self._ports('postgres', 5432)}/{database}"

    @property
    def token(self):
        """Ray's token."""
        return self._variables["RAY_AUTH_TOKEN"]

    @property
    def env(self):
        """What a client needs in its environment."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    @property
    def data_folder(self):
        """The folder whose files the compose file mounts as /data."""
        return self.folder / "data"

    # Starting and stopping

    def start(self, only=None):
        """Start all, or only one and what it depends on, each when those are healthy on which it depends."""
        command = [sys.executable, "-c", _GUARD, str(self._short)]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True)
        self.data_folder.mkdir(exist_ok=True)
        try:
            for service in _in_order(self._services, only):
                names = [f"worker-{n}" for n in range(self._n_workers)] if service == "worker" else [service]
                for name in names:
                    self._start(name)
                for name in names:
                    self._wait_for(name)
        except BaseException:
            self.close()
            raise
        return self

    @property
    def workers(self):
        """The names of the workers that were started and not killed."""
        return [name for name, process in self._processes.items() if name.startswith("worker") and process.is_running]

    def start_worker(self):
        """Start one more worker and wait until it has joined; return its name."""
        name = f"worker-{self._n_started}"
        self._start(name)
        self._wait_for(name)
        return name

    def kill_worker(self, n=0):
        """Kill -9 a worker's node with all its processes at once: the n-th of those that run, or one by its name."""
        self._kill(n if isinstance(n, str) else self.workers[n])

    def restart_head(self):
        """Kill the head with the drivers on it and start it again.

        Its workers would end within half a minute, since the new head does not know them, and be started again by their
        restart policy: here that is done at once.
        """
        self._kill("head")
        self._start("head")
        self._wait_for("head")
        for name in self.workers:
            self._kill(name)
            self._start(name)
        for name in self.workers:
            self._wait_for(name)

    def processes(self, name):
        """Return all processes of a service."""
        first = psutil.Process(self._processes[name].process.pid)
        return [first, *first.children(recursive=True)]

    def health(self, name):
        """Run the health check of a service: its exit code is 0 if it is healthy."""
        return self._processes[name].check()

    def log(self, name):
        """Return what a service said so far."""
        return (self.folder / name / "log").read_text()

    def close(self):
        """Kill all and remove what they wrote in the temporary folder."""
        for name in reversed(list(self._processes)):
            self._kill(name)
        if self._guard is not None:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        shutil.rmtree(self._short, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *error):
        self.close()

    def _start(self, name):
        service = name.split("-")[0]
        kind = PostgresProcess if service == "postgres" else ServiceProcess
        process = kind(name, self._services[service], self._ports, self.folder, self._short)
        self._n_started += service == "worker"
        process.start()
        self._processes[name] = process
        self._guard.stdin.write(f"+{process.process.pid}\n")

    def _wait_for(self, name):
        """Wait until a service is healthy; one that ends meanwhile, or hangs, is started again, as its restart policy has it."""
        for is_last in (False, False, True):
            process = self._processes[name]
            try:
                wait_until(lambda: process.check().returncode == 0, _SECONDS, process)  # noqa: B023  (called here only)
            except TimeoutError as error:
                if is_last:
                    head = self.log("head")[-2000:] if "head" in self._processes else "not started"
                    raise TimeoutError(f"{error}\nhead: {head}") from None
                self._kill(name)
                self._start(name)
            else:
                return

    def _kill(self, name):
        process = self._processes[name]
        if process.process is not None:
            group = process.process.pid
            process.kill()
            self._guard.stdin.write(f"-{group}\n")


def make_env_module():
    """Import deploy/make_env.py, which is a script of no package."""
    spec = importlib.util.spec_from_file_location("make_env", compose_file.ROOT / "deploy" / "make_env.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _in_order(services, only):
    """Sort services so that each comes after those it depends on; ``only``: no others than one of them needs."""
    names = []

    def add(name):
        for needed in services[name].get("depends_on", ()):
            add(needed)
        if name not in names:
            names.append(name)

    for name in services if only is None else [only]:
        add(name)
    return names


def main(n_workers=2):
    """Run the services until Ctrl-C."""
    with ComposeServices(workers=n_workers) as services:
        print(f"Ray's Jobs API   {services.jobs_address}")
        print(f"MLflow           {services.tracking_uri}")
        print(f"Ledger           {services.ledger_url}")
        print(f"Data for jobs    {services.data_folder}")
        print("For a client:")
        for name, value in {**services.env, "RAY_API_SERVER_ADDRESS": services.jobs_address}.items():
            print(f"export {name}={shlex.quote(value)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
