"""Ledgers: what is put is found, exactly, by those who ask for the same, whatever keeps it."""

import contextlib
import copy
import json
import math
import pickle
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sklearn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.svm import SVC

from foldwise.errors import Failure, InputError, InputTypeError, LedgerError, MissingPackageError
from foldwise.keys import digest
from foldwise.ledger import MemoryLedger, NoLedger, make_ledger
from foldwise.ledger.claims import Claims
from foldwise.ledger.database import Database
from foldwise.ledger.overview import look_into, parse_age, prune
from foldwise.ledger.schema import SCHEMA
from foldwise.ledger.sql import SqlLedger
from foldwise.testing import small_plan
from foldwise.trial import FitResult


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def ledger(request, tmp_path):
    if request.param == "memory":
        return MemoryLedger()
    return SqlLedger(request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "new" / "l.db"))


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else str(tmp_path / "ledger.db")


PLAN = small_plan()


def fit_of(depth=1, plan=PLAN, train=0):
    return plan.fit({"max_depth": depth}, list(plan.held_out)[train + 1])


def result_of(fit, score=0.5, **more):
    return FitResult(
        fit.key, {h: {"score": score} for h in fit.held_out}, 1.7e9, 0.25, dict.fromkeys(fit.held_out, 0.125), **more
    )  # fmt: skip


def test_what_is_put_is_found_exactly(ledger):
    fit, other = fit_of(1), fit_of(2)
    result = result_of(fit, 0.1 + 0.2, warned=(("builtins:UserWarning", "mind \ud800 the \x00 gap"),), retries=2)
    entries = ledger.open(PLAN)
    assert entries.find([fit, other]) == {}
    entries.put([(fit, result)])
    assert entries.find([fit, other]) == {fit.key: result}
    entries.close()
    again = ledger.open(PLAN)
    assert again.find([other, fit]) == {fit.key: result}
    again.close()


@pytest.mark.parametrize("score", [math.inf, -math.inf, 0.0, 5e-324, 1.7976931348623157e308, 1 / 3, -1.0, 3.0])
def test_every_finite_or_infinite_score_comes_back_bit_by_bit(ledger, score):
    fit = fit_of()
    entries = ledger.open(PLAN)
    entries.put([(fit, result_of(fit, score))])
    (found,) = entries.find([fit]).values()
    assert [value.hex() for scores in found.scores.values() for value in scores.values()] == [score.hex()] * len(fit.held_out)
    entries.close()


def test_a_score_that_is_no_number_comes_back_with_its_reason(ledger):
    fit = fit_of()
    why = {fit.held_out[0]: {"score": Failure("NonFiniteScore", "score is nan")}}
    entries = ledger.open(PLAN)
    entries.put([(fit, result_of(fit, math.nan, score_errors=why))])
    (found,) = entries.find([fit]).values()
    assert all(math.isnan(scores["score"]) for scores in found.scores.values())
    assert found.score_errors == why
    entries.close()


def test_a_failure_is_found_again_with_its_cause(ledger):
    fit = fit_of()
    result = FitResult(fit.key, {}, 1.7e9, 0.5, error=Failure("ValueError", "no \x00", "Traceback \udfff"))
    entries = ledger.open(PLAN)
    entries.put([(fit, result)])
    (found,) = entries.find([fit]).values()
    assert (found.error.kind, found.error.message[:3], found.error.traceback[:10]) == ("ValueError", "no ", "Traceback ")
    entries.close()


def test_rows_that_could_not_be_scored_are_found_with_the_reason(ledger):
    fit = fit_of()
    first, *rest = fit.held_out
    scores = {first: {}, **{key: {"score": 1.0} for key in rest}}
    result = FitResult(
        fit.key, scores, 1.7e9, 0.5, dict.fromkeys(fit.held_out, 0.1), score_errors={first: {None: Failure("E", "m", "t")}}
    )
    entries = ledger.open(PLAN)
    entries.put([(fit, result)])
    assert entries.find([fit]) == {fit.key: result}
    entries.close()


def test_metrics_come_back_in_the_scorers_order(ledger):
    fit = fit_of()
    scores = {key: {"z": 1.0, "a": 2.0, "": 3.0, "m": 4.0} for key in fit.held_out}
    entries = ledger.open(PLAN)
    entries.put([(fit, FitResult(fit.key, scores, 0.0))])
    (found,) = entries.find([fit]).values()
    assert [list(one) for one in found.scores.values()] == [["z", "a", "", "m"]] * len(fit.held_out)
    entries.close()


def test_a_score_that_is_asked_for_later_is_missing_until_it_is_there(ledger):
    fit = fit_of()
    *some, last = fit.held_out
    whole = result_of(fit)
    part = replace(whole, scores={key: whole.scores[key] for key in some})
    entries = ledger.open(PLAN)
    entries.put([(fit, part)])
    assert entries.find([fit]) == {}
    assert set(entries.find([replace(fit, held_out=tuple(some))])) == {fit.key}
    entries.put([(fit, replace(whole, scores={last: whole.scores[last]}))])  # what is known stays known
    assert entries.find([fit])[fit.key].scores == whole.scores
    entries.close()


def test_another_scorers_scores_are_not_mistaken_for_ones_own(ledger):
    other_plan = small_plan(scoring="balanced_accuracy")
    fit, same_fit = fit_of(), fit_of(plan=other_plan)
    assert fit.key == same_fit.key
    ours, theirs = ledger.open(PLAN), ledger.open(other_plan)
    ours.put([(fit, result_of(fit, 0.25))])
    assert theirs.find([same_fit]) == {}
    theirs.put([(same_fit, result_of(same_fit, 0.75))])
    assert theirs.find([same_fit])[fit.key].scores[fit.held_out[0]] == {"score": 0.75}
    assert ours.find([fit])[fit.key].scores[fit.held_out[0]] == {"score": 0.25}
    ours.close()
    theirs.close()


def test_a_fit_whose_model_is_wanted_is_neither_kept_nor_found(ledger):
    fit = PLAN.fit({"max_depth": 1}, PLAN.whole, keep_model=True)
    entries = ledger.open(PLAN)
    entries.put([(fit, FitResult(fit.key, {}, 0.0, model=SVC()))])
    assert entries.find([fit, replace(fit, keep_model=False)]) == {}
    entries.close()


def test_thousands_of_fits_are_found_at_once(ledger):
    fits = [fit_of(depth) for depth in range(1, 1800)]
    entries = ledger.open(PLAN)
    entries.put([(fit, result_of(fit, fit.params["max_depth"])) for fit in fits[::2]])
    found = entries.find(fits)
    assert list(found) == [fit.key for fit in fits[::2]]
    assert entries.put([]) is None
    assert entries.find([]) == {}
    entries.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(range(1, 5)), st.floats(0, 1), st.booleans()), max_size=8))
def test_puts_in_any_number_leave_what_came_first_unless_that_failed(tmp_path, puts):
    """Memory knows one run's results, a database those of many: what came first stands there."""
    path = tmp_path / f"{digest(puts, time.time())}.db"
    entries = SqlLedger(str(path)).open(PLAN)
    expected = {}
    for depth, score, fails in puts:
        fit = fit_of(depth)
        result = FitResult(fit.key, {}, 0.0, error=Failure("E", "m")) if fails else result_of(fit, score)
        entries.put([(fit, result)])
        if depth not in expected or (expected[depth].error and not fails):
            expected[depth] = result
    fits = [fit_of(depth) for depth in range(1, 5)]
    found = entries.find(fits)
    entries.close()
    assert {fit.params["max_depth"]: found[fit.key] for fit in fits if fit.key in found} == expected


def test_memory_takes_at_most_250_bytes_a_fit():
    entries = MemoryLedger().open(PLAN)
    hex_keys = [f"{number:032x}" for number in range(20_000)]
    fit = fit_of()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number, key in enumerate(hex_keys):
        scores = {held_out: {"score": number / 7} for held_out in fit.held_out}
        result = FitResult(key, scores, time.time(), 0.1, dict.fromkeys(fit.held_out, 0.1), warned=(("a:B", "c"),))
        entries.put([(replace(fit, key=key), result)])
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(entries) == 20_000
    assert grown / 20_000 <= 250


def test_keeping_and_finding_cost_little(tmp_path):
    """About 150 microseconds of CPU time a fit; the bound is wide, since what a shared machine does in one varies."""
    entries = SqlLedger(str(tmp_path / "ledger.db")).open(PLAN)
    batches = [[fit_of(number * 50 + i) for i in range(50)] for number in range(40)]
    finished = [[(fit, result_of(fit)) for fit in fits] for fits in batches]
    entries.put(finished[0])
    started = time.process_time()
    for fits, results in zip(batches[1:], finished[1:], strict=True):
        entries.find(fits)
        entries.claim(fits)
        entries.put(results)
    each = (time.process_time() - started) / (50 * len(batches[1:]))
    entries.close()
    assert each < 1e-3


# --- names ------------------------------------------------------------------------------------------------------------


def test_ledgers_are_made_of_what_users_name(tmp_path):
    assert isinstance(make_ledger(None), NoLedger)
    assert make_ledger(tmp_path / "a.db").address == str(tmp_path / "a.db")
    assert make_ledger("sqlite:///a.db").address == "sqlite:///a.db"
    mine = MemoryLedger()
    assert make_ledger(mine) is mine
    assert copy.deepcopy(make_ledger("a.db")).address == pickle.loads(pickle.dumps(make_ledger("a.db"))).address == "a.db"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3, "expected a database URL, a path, a Ledger or None, got 3"),
        (b"a.db", "expected a database URL"),
        (" ", "expected a database URL or a path, got ' '"),
        ("mysql://root:hunter2@host/db", "expected a URL of SQLite or PostgreSQL, got mysql://host/db"),
        ("postgresql+asyncpg://host/db", "expected the driver psycopg"),
        ("sqlite://", "expected the path of a file"),
        ("sqlite:///:memory:", "expected the path of a file"),
        ("postgresql://host:port/db", "expected a URL like postgresql://host/database"),
    ],
)
def test_a_wrong_ledger_is_refused_before_anything_starts(given, says):
    with pytest.raises(InputError, match=r"^ledger: ") as caught:
        make_ledger(given)
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert isinstance(caught.value, InputTypeError) == (not isinstance(given, str))


def test_a_password_is_never_shown(postgres_url):
    url = postgres_url.replace("postgres:@", "postgres:hunter2@").replace("/ledger_", "/none_")
    assert "hunter2" not in repr(SqlLedger(url))
    with pytest.raises(LedgerError, match="could not be opened") as caught:
        SqlLedger(url).open(PLAN)
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_not_there_is_an_error_with_advice():
    pytest.importorskip("psycopg")
    with pytest.raises(LedgerError, match="check that the server runs"):
        SqlLedger("postgresql://me@127.0.0.1:1/db").open(PLAN)


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'foldwise\[postgres\]'"):
        SqlLedger("postgresql://me@127.0.0.1:1/db").open(PLAN)


# --- what stands in it ------------------------------------------------------------------------------------------------


def test_rows_are_plain_and_say_what_was_learned_from_what(tmp_path):
    plan = small_plan(SVC(C=3), {"kernel": ["rbf"], "gamma": [0.5]}, name="mine")
    fit = plan.fit({"kernel": "rbf", "gamma": 0.5}, plan.studies[0].folds[0].train)
    entries = SqlLedger(str(tmp_path / "ledger.db")).open(plan)
    entries.put([(fit, result_of(fit))])
    entries.close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.row_factory = sqlite3.Row
    (row,) = connection.execute("SELECT * FROM foldwise_fits JOIN foldwise_origins o ON origin = o.key").fetchall()
    connection.close()
    assert all(isinstance(value, str | int | float | None) for value in tuple(row))
    assert json.loads(row["params"]) == {"kernel": "rbf", "gamma": 0.5}
    assert (row["job"], row["seed"], row["train"], row["estimator"]) == ("mine", fit.seed, fit.train, "SVC(C=3)")
    assert row["data"] == plan.problem.dataset.digest
    assert row["data_shape"] == "150 x 4"
    assert json.loads(row["versions"])["scikit-learn"] == sklearn.__version__


def test_params_that_json_has_no_word_for_are_written_readably(address):
    plan = small_plan(SVC(), {"C": [1.0]})
    params = {"C": float("inf"), "kernel": len, "estimator": SVC(C=2), 3: {4}}
    fit = replace(fit_of(), params=params)
    entries = SqlLedger(address).open(plan)
    entries.put([(fit, result_of(fit))])
    assert fit.key in entries.find([fit])
    entries.close()


def put_some(address, job, fits, *, failed=0, age=0.0):
    entries = SqlLedger(address).open(small_plan(name=job))
    results = [replace(result_of(fit), started=time.time() - age) for fit in fits]
    results[:failed] = [FitResult(r.key, {}, r.started, error=Failure("E", "m")) for r in results[:failed]]
    entries.put(zip(fits, results, strict=True))
    entries.close()


def test_an_overview_counts_per_job(address):
    put_some(address, "old", [fit_of(1), fit_of(2), fit_of(3)], failed=1, age=40 * 86400)
    put_some(address, "new", [fit_of(3), fit_of(4)])
    overview = look_into(address)
    assert [(one.job, one.fits, one.failed) for one in overview.jobs] == [("new", 1, 0), ("old", 3, 1)]
    assert overview.jobs[1].oldest == pytest.approx(time.time() - 40 * 86400, abs=60)
    assert overview.schema == SCHEMA
    assert overview.n_bytes > 4000
    assert "4 fits of 2 jobs" in str(overview)
    assert json.loads(json.dumps(overview.to_dict()))["jobs"][0]["job"] == "new"


@pytest.mark.parametrize(
    ("what", "left"),
    [({"job": "old"}, {4}), ({"older_than": 30 * 86400}, {4}), ({"job": "new", "older_than": 86400}, {1, 2, 3, 4}), ({"older_than": 0}, set())],
)  # fmt: skip
def test_pruning_takes_a_jobs_fits_or_old_ones_with_their_scores(address, what, left):
    put_some(address, "old", [fit_of(1), fit_of(2), fit_of(3)], age=40 * 86400)
    put_some(address, "new", [fit_of(4)])
    assert prune(address, **what) == 4 - len(left)
    entries = SqlLedger(address).open(PLAN)
    fits = [fit_of(depth) for depth in range(1, 5)]
    assert {fit.params["max_depth"] for fit in fits if fit.key in entries.find([fit])} == left
    entries.put([(fit, result_of(fit, 0.75)) for fit in fits])  # no old score is left behind
    scores = {r.scores[fits[0].held_out[0]]["score"] for r in entries.find(fits).values()}
    assert scores == ({0.75} if not left else {0.5, 0.75} if len(left) < 4 else {0.5})
    entries.close()


def test_pruning_needs_to_know_what_and_where(tmp_path):
    with pytest.raises(InputError, match="expected --job NAME or --older-than AGE, got neither"):
        prune(str(tmp_path / "ledger.db"))
    with pytest.raises(InputError, match="which does not exist"):
        prune(str(tmp_path / "ledger.db"), job="a")
    assert not (tmp_path / "ledger.db").exists()
    with pytest.raises(InputError, match="as in 30d, got '30 fortnights'"):
        parse_age("30 fortnights")


def test_forgetting_failures_forgets_those_of_this_plan_only(address):
    failed, fine, theirs, half = fit_of(1), fit_of(2), fit_of(3, plan=small_plan(random_state=1)), fit_of(4)
    first, *_ = half.held_out
    result = replace(
        result_of(half), score_errors={first: {None: Failure("E", "m")}}, scores={**result_of(half).scores, first: {}}
    )
    ledger = SqlLedger(address)
    entries = ledger.open(PLAN)
    failure = FitResult("", {}, 0.0, error=Failure("E", "m"))
    entries.put([(failed, replace(failure, key=failed.key)), (fine, result_of(fine)), (half, result)])
    entries.close()
    other = ledger.open(small_plan(random_state=1))
    other.put([(theirs, replace(failure, key=theirs.key))])
    assert ledger.forget_failed(PLAN) == 2
    assert set(other.find([theirs])) == {theirs.key}
    other.close()
    entries = ledger.open(PLAN)
    assert set(entries.find([failed, fine, half])) == {fine.key}
    entries.close()
    assert ledger.forget_failed(PLAN) == 0


# --- databases that refuse --------------------------------------------------------------------------------------------


def test_a_ledger_of_a_newer_foldwise_is_refused_and_left_alone(address):
    put_some(address, "a", [fit_of(1)])
    database = Database(address)
    database.open()
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE foldwise_meta SET value = '99' WHERE name = 'schema'")
    database.close()
    with pytest.raises(LedgerError, match=f"expected tables of version {SCHEMA} at most, got 99; a newer foldwise"):
        SqlLedger(address).open(PLAN)
    with pytest.raises(LedgerError, match="update foldwise"):
        look_into(address)


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path, content):
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"ledger .*ledger\.db could not be opened: .*move it away"):
        SqlLedger(str(path)).open(PLAN)
    assert path.read_bytes() == content


def test_a_ledger_that_may_only_be_read_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    put_some(str(path), "a", [fit_of(1)])
    address = f"sqlite:///file:{path}?mode=ro&uri=true"
    with pytest.raises(LedgerError, match="readonly database; it may not be written"):
        SqlLedger(address).open(PLAN)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="could not be opened"):
        SqlLedger(str(tmp_path / "file" / "ledger.db")).open(PLAN)


def test_a_locked_ledger_is_waited_for_and_then_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("foldwise.ledger.database._PATIENCE", 0.2)
    path = tmp_path / "ledger.db"
    entries = SqlLedger(str(path)).open(PLAN)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    fit = fit_of()
    with pytest.raises(LedgerError, match="database is locked; another process held it"):
        entries.put([(fit, result_of(fit))])
    assert entries.find([fit]) == {}  # reading goes on
    holder.execute("ROLLBACK")
    holder.close()
    entries.put([(fit, result_of(fit))])
    assert set(entries.find([fit])) == {fit.key}
    entries.close()


def test_a_put_that_fails_keeps_nothing_of_itself_and_all_that_was_before(address):
    entries = SqlLedger(address).open(PLAN)
    entries.put([(fit_of(1), result_of(fit_of(1)))])
    database = Database(address)
    database.open()
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE foldwise_scores RENAME TO away")
    with pytest.raises(LedgerError, match="could not be written"):
        entries.put([(fit_of(2), result_of(fit_of(2)))])
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO foldwise_scores")
    database.close()
    assert set(entries.find([fit_of(1), fit_of(2)])) == {fit_of(1).key}
    entries.close()


WRITES_UNTIL_FULL = """
import resource, sys
from foldwise.errors import LedgerError
from foldwise.ledger.sql import SqlLedger
from foldwise.testing import small_plan
from foldwise.trial import FitResult
plan = small_plan()
train = list(plan.held_out)[1]
entries = SqlLedger(sys.argv[1]).open(plan)
if len(sys.argv) > 2:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
kept = 0
try:
    for batch in range(400):
        fits = [plan.fit({"max_depth": 1 + i}, train) for i in range(batch * 10, batch * 10 + 10)]
        entries.put([(f, FitResult(f.key, {h: {"score": 0.5} for h in f.held_out}, 0.0)) for f in fits])
        kept += 10
except LedgerError as error:
    print(error)
entries.close()
print(kept)
"""


def write_until_full(path, *limit):
    command = [sys.executable, "-c", WRITES_UNTIL_FULL, str(path), *map(str, limit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()


def check_what_a_full_disk_left(path, said, kept):
    assert "could not be written" in said
    assert "the disk or a quota is full; make room" in said
    assert 0 < int(kept) < 4000
    entries = SqlLedger(str(path)).open(PLAN)
    found = entries.find([fit_of(depth) for depth in range(1, 4001)])
    assert len(found) == int(kept)  # all that was said to be kept, and nothing by halves
    entries.put([(fit_of(5000), result_of(fit_of(5000)))])
    entries.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_may_grow_no_more_stops_clearly_and_still_opens(tmp_path):
    path = tmp_path / "ledger.db"
    said, kept = write_until_full(path, 400_000)
    check_what_a_full_disk_left(path, said, kept)
    assert write_until_full(path) == ["4000"]  # with room again all is kept


def test_a_full_disk_stops_clearly_and_still_opens(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        path = disk / "ledger.db"
        said, kept = write_until_full(path)
        subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
        check_what_a_full_disk_left(path, said, kept)
    finally:
        subprocess.run(["umount", disk], check=True)


# --- several processes ------------------------------------------------------------------------------------------------


def claims_of(address):
    database = Database(address)
    database.open()
    return database, Claims(database)


def test_a_claimed_fit_is_anothers_until_it_is_done_or_let_go(address):
    ledger = SqlLedger(address)
    ours, theirs = ledger.open(PLAN), ledger.open(PLAN)
    fits = [fit_of(depth) for depth in range(1, 5)]
    assert ours.claim(fits[:3]) == set()
    assert theirs.claim(fits) == {fit.key for fit in fits[:3]}
    assert ours.claim(fits) == {fits[3].key}
    ours.put([(fits[0], result_of(fits[0]))])
    assert theirs.claim(fits) == {fit.key for fit in fits[1:3]}
    ours.close()
    assert theirs.claim(fits) == set()
    theirs.close()


def test_a_claim_ends_unless_it_is_renewed(address, monkeypatch):
    monkeypatch.setattr("foldwise.ledger.claims._LEASE", 0.4)
    ledger = SqlLedger(address)
    ours, theirs = ledger.open(PLAN), ledger.open(PLAN)
    fit = fit_of()
    ours.claim([fit])
    for _ in range(4):
        time.sleep(0.2)
        ours.renew()
        assert theirs.claim([fit]) == {fit.key}
    time.sleep(0.6)
    assert theirs.claim([fit]) == set()
    assert ours.claim([fit]) == {fit.key}
    ours.close()
    theirs.close()


def test_no_claim_is_heeded_for_long_however_alive_its_process(address, monkeypatch):
    monkeypatch.setattr("foldwise.ledger.claims._LEAST_PATIENCE", 0.3)
    ledger = SqlLedger(address)
    ours, theirs = ledger.open(PLAN), ledger.open(PLAN)
    fit = fit_of()
    ours.claim([fit])
    assert theirs.claim([fit]) == {fit.key}
    time.sleep(0.4)
    assert theirs.claim([fit]) == set()
    ours.close()
    theirs.close()


def test_a_killed_processs_claims_are_gone_when_the_next_one_opens(address):
    script = (
        "import os, sys\nfrom foldwise.ledger.sql import SqlLedger\nfrom foldwise.testing import small_plan\nplan = small_plan()\n"
        "fit = plan.fit({'max_depth': 1}, list(plan.held_out)[1])\nassert SqlLedger(sys.argv[1]).open(plan).claim([fit]) == set()\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, address], check=False).returncode == -9
    entries = SqlLedger(address).open(PLAN)
    assert entries.claim([fit_of(1)]) == set()
    entries.close()


def test_equal_puts_by_two_do_not_clash(address):
    ledger = SqlLedger(address)
    ours, theirs = ledger.open(PLAN), ledger.open(PLAN)
    finished = [(fit_of(depth), result_of(fit_of(depth))) for depth in range(1, 20)]
    ours.put(finished)
    theirs.put(finished)
    theirs.put(finished[::-1])
    assert ours.find([fit for fit, _ in finished]) == theirs.find([fit for fit, _ in finished])
    ours.close()
    theirs.close()


def test_writers_of_the_same_fits_in_other_orders_wait_for_no_one_for_good(address):
    ledger = SqlLedger(address)
    both = [ledger.open(PLAN), ledger.open(PLAN)]
    fits = [fit_of(depth) for depth in range(1, 101)]

    def write(entries, order):
        for _ in range(15):
            entries.claim(fits[::order])
            entries.put([(fit, result_of(fit)) for fit in fits[::order]])

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(write, entries, order) for entries, order in zip(both, (1, -1), strict=True)]:
            done.result(timeout=60)
    for entries in both:
        entries.close()


MANY_AT_ONCE = """
import random, sys, time
from foldwise.ledger.sql import SqlLedger
from foldwise.testing import small_plan
from foldwise.trial import FitResult
plan = small_plan()
train = list(plan.held_out)[1]
while time.time() < float(sys.argv[2]):
    pass
entries = SqlLedger(sys.argv[1]).open(plan)
draw = random.Random(sys.argv[3])
for _ in range(30):
    fits = [plan.fit({"max_depth": depth}, train) for depth in draw.sample(range(1, 301), 20)]
    entries.claim(fits)
    entries.put([(f, FitResult(f.key, {h: {"score": f.params["max_depth"] / 7} for h in f.held_out}, 0.0)) for f in fits])
    entries.renew()
entries.close()
"""


def test_processes_that_open_and_write_one_ledger_at_once_do_not_disturb_each_other(address):
    start = time.time() + 3
    command = [sys.executable, "-c", MANY_AT_ONCE, address, str(start)]
    processes = [subprocess.Popen([*command, str(n)], stderr=subprocess.PIPE, text=True) for n in range(3)]
    assert [process.communicate(timeout=120)[1] for process in processes] == [""] * 3
    entries = SqlLedger(address).open(PLAN)
    fits = [fit_of(depth) for depth in range(1, 301)]
    found = entries.find(fits)
    entries.close()
    assert len(found) > 200
    assert all(
        found[fit.key].scores[fit.held_out[0]]["score"] == fit.params["max_depth"] / 7 for fit in fits if fit.key in found
    )


def test_an_estimator_with_a_ledger_can_be_cloned(tmp_path):
    import foldwise as fw

    search = fw.NestedSearchCV(SVC(), {"C": [1]}, ledger=SqlLedger(str(tmp_path / "ledger.db")))
    assert clone(search).ledger.address == str(tmp_path / "ledger.db")
