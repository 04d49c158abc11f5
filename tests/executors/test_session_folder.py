"""A private Ray's session lies in a folder that only its owner can enter, and goes with it."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from foldwise.errors import ClusterError
from foldwise.executors.session_folder import LONGEST_BASE, SessionFolder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
HOLD = "import time; from foldwise.executors.session_folder import SessionFolder; print(SessionFolder().path, flush=True); time.sleep(60)"


@pytest.fixture
def base(monkeypatch):
    """A temporary folder with a short path, which RAY_TMPDIR names."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="b") as folder:
        monkeypatch.setenv("RAY_TMPDIR", folder)
        yield Path(folder)


def test_it_is_fresh_and_its_owners_alone_whatever_the_umask(base):
    before = os.umask(0)
    try:
        one, other = SessionFolder(), SessionFolder()
    finally:
        os.umask(before)
    assert one.path != other.path
    assert {stat.S_IMODE(folder.path.stat().st_mode) for folder in (one, other)} == {0o700}
    assert one.path.parent == base == one.for_ray.parents[1]
    for folder in (one, other):
        (folder.for_ray / "session").mkdir(parents=True)
        folder.remove()
    assert list(base.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(base):
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    try:
        held = Path(holder.stdout.readline().strip())
        foreign = base / "fw-01234567"  # of something else, which has no lock of ours
        foreign.mkdir()
        SessionFolder().remove()
        assert held.is_dir()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        SessionFolder().remove()
        assert not held.exists()
        assert foreign.is_dir()
    finally:
        holder.kill()
        holder.stdout.close()


def test_a_users_own_folder_that_cannot_serve_is_said(base, monkeypatch):
    base.chmod(0o777)
    with pytest.raises(ClusterError, match=r"RAY_TMPDIR .* others may replace what is in .*; take that right from them"):
        SessionFolder()
    base.chmod(0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(base / ("x" * LONGEST_BASE)))
    with pytest.raises(
        ClusterError, match=rf"whose path has \d+ bytes, and sockets leave it {LONGEST_BASE}; name a shorter one"
    ):
        SessionFolder()


def test_a_long_temporary_folder_is_passed_over(base, monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", str(base / ("x" * LONGEST_BASE)))
    Path(tempfile.gettempdir()).mkdir()
    folder = SessionFolder()
    try:
        assert folder.path.parent in {Path("/tmp"), Path("/var/tmp")}
        socket = folder.for_ray / "session_2026-01-31_23-59-59_123456_4194304" / "sockets" / "plasma_store"
        assert len(os.fsencode(socket)) <= 107
    finally:
        folder.remove()


RAY = """
import os, sys, stat, urllib.request
from pathlib import Path
from foldwise.executors.ray_session import SESSION
ray = SESSION.ensure(None)
session = Path(ray._private.worker.global_worker.node.get_session_dir_path())
assert SESSION.folder in session.parents, session
assert stat.S_IMODE(SESSION.folder.stat().st_mode) == 0o700
assert not list(session.glob("metrics_export_port*")) or all(p.read_text() in {"-1", "0"} for p in session.glob("metrics_export_port*"))
print(SESSION.folder)
if sys.argv[1] == "stop":
    SESSION.stop()
    assert not Path(session).exists()
"""


@pytest.mark.parametrize("end", ["stop", pytest.param("exit", marks=pytest.mark.slow)])
def test_a_private_ray_uses_it_and_it_goes_with_ray(base, end):
    environment = {name: value for name, value in os.environ.items() if name not in {"RAY_ADDRESS", "RAY_AUTH_TOKEN"}}
    done = subprocess.run([sys.executable, "-c", RAY, end], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == base
    assert not Path(done.stdout.strip()).exists()
