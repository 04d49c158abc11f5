"""The first use of a tracking database: whole or not at all, however many begin at once."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from mlflow import MlflowClient

from foldwise.errors import TrackingError
from foldwise.listeners.tracking import database
from foldwise.listeners.tracking.connection import connect

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

_WORKER = """
import sys, time
from pathlib import Path
import mlflow.tracking
from foldwise.listeners.tracking.connection import connect, prepare_mlflow
prepare_mlflow()
number, folder, n_rounds, n = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
for at in range(n_rounds):
    (folder / f"ready-{at}-{number}").touch()
    while len(list(folder.glob(f"ready-{at}-*"))) < n:
        time.sleep(0.001)
    client, experiment = connect(f"sqlite:///{folder}/round-{at}.db", "one")
    client.create_run(experiment)
print("done")
"""


def rounds(folder, n_rounds, n=3):
    jobs = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _WORKER, str(number), str(folder), str(n_rounds), str(n)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for number in range(n)
    ]  # fmt: skip
    said = [job.communicate(timeout=1800) for job in jobs]
    assert [out.strip() for out, _ in said] == ["done"] * n, said
    for at in range(n_rounds):
        client = MlflowClient(f"sqlite:///{folder}/round-{at}.db")
        assert len(client.search_runs([client.get_experiment_by_name("one").experiment_id])) == n


def test_three_that_begin_at_once_find_one_whole_database(tmp_path):
    rounds(tmp_path, 2)


@pytest.mark.slow
def test_three_that_begin_at_once_find_one_whole_database_twenty_times(tmp_path):
    rounds(tmp_path, 20)


def made(path):
    connect(f"sqlite:///{path}", "one")
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A database that was made, to be copied."""
    return made(tmp_path_factory.mktemp("whole") / "mlflow.db")


def copied(whole, path):
    with closing(sqlite3.connect(whole)) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    return path


def names(path):
    with closing(sqlite3.connect(path)) as one:
        return sorted(one.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall())


def test_it_is_made_as_mlflow_makes_it(whole, tmp_path):
    MlflowClient(f"sqlite:///{tmp_path}/theirs.db").search_experiments()
    assert names(whole) == names(tmp_path / "theirs.db")
    with closing(sqlite3.connect(whole)) as one:
        assert one.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert one.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("before", ["empty", "anothers"])
def test_a_file_without_mlflows_tables_gets_them(before, tmp_path):
    path = tmp_path / "mlflow.db"
    path.touch()
    if before == "anothers":
        with closing(sqlite3.connect(path)) as one:
            one.execute("CREATE TABLE fits (key TEXT)")
    made(path)
    assert ("table", "experiments") in names(path)
    assert (("table", "fits") in names(path)) == (before == "anothers")


def half(whole, path, *statements):
    copied(whole, path)
    with closing(sqlite3.connect(path)) as one:
        for statement in statements:
            one.execute(statement)
        one.commit()
    return path


@pytest.mark.parametrize(
    "statements",
    [
        ("DELETE FROM alembic_version", "DROP TABLE workspaces"),
        ("DELETE FROM experiments", "UPDATE alembic_version SET version_num = '451aebb31d03'", "DROP TABLE workspaces"),
        ("INSERT INTO alembic_version VALUES ('451aebb31d03')", "DROP TABLE workspaces"),
    ],
)
def test_a_half_made_database_is_named_with_the_way_out(whole, statements, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_STILL", 0.3)
    path = half(whole, tmp_path / "mlflow.db", *statements)
    with pytest.raises(
        TrackingError, match=r"expected a whole MLflow database, got .*; move it away, or run: mlflow db upgrade"
    ):
        connect(f"sqlite:///{path}", "one")


def test_one_that_is_being_made_is_waited_for(whole, tmp_path, monkeypatch):
    path = half(whole, tmp_path / "mlflow.db", "CREATE TABLE kept AS SELECT * FROM experiments", "DELETE FROM experiments")
    looks = []

    def sleep(_):
        looks.append(1)
        with closing(sqlite3.connect(path)) as one:
            if len(looks) == 3:
                one.execute("INSERT INTO experiments SELECT * FROM kept")
                one.commit()

    monkeypatch.setattr(database.time, "sleep", sleep)
    connect(f"sqlite:///{path}", "one")
    assert len(looks) >= 3


def test_a_place_that_cannot_be_written_to_needs_no_lock(whole, tmp_path):
    path = copied(whole, tmp_path / "mlflow.db")
    tmp_path.chmod(0o555)
    try:
        _, experiment = connect(f"sqlite:///{path}", "one")
        assert experiment
    finally:
        tmp_path.chmod(0o755)
    assert [one.name for one in tmp_path.iterdir() if "lock" in one.name] == []


@pytest.mark.slow
def test_a_postgresql_database_is_made_by_one_at_a_time(postgres_url):
    script = (
        "import sys\nfrom foldwise.listeners.tracking.connection import connect\n"
        f"client, experiment = connect({postgres_url!r}, 'one')\nclient.create_run(experiment)\nprint('done')"
    )
    jobs = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", script], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = [job.communicate(timeout=600) for job in jobs]
    assert [out.strip() for out, _ in said] == ["done"] * 3, said
