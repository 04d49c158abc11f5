"""The tables of a ledger. They hold plain data: whoever can read SQL can read what was learned from what."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Integer, MetaData, String, Table, Text

SCHEMA = 3
"""Raised by a release that changes the tables; an older release then refuses the ledger."""

metadata = MetaData()


def _table(name: str, *columns: Column[object]) -> Table:
    # The primary key is all that is looked up, so SQLite need not keep the rows apart from it.
    return Table(f"foldwise_{name}", metadata, *columns, sqlite_with_rowid=False)


meta = _table("meta", Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))

origins = _table(
    "origins",  # what the fits of a search have in common: the data and the estimator with its fixed params
    Column("key", String(32), primary_key=True),
    Column("data", String(32), nullable=False),  # digest of X, y and the fit params
    Column("data_name", Text, nullable=False),
    Column("data_shape", Text, nullable=False),
    Column("estimator", Text, nullable=False),
    Column("versions", Text, nullable=False),  # JSON: class or function -> version of its code
)

fits = _table(
    "fits",
    Column("key", String(32), primary_key=True),
    Column("origin", String(32), nullable=False),
    Column("train", String(32), nullable=False),  # digest of the train rows' numbers, in their order
    Column("params", Text, nullable=False),  # JSON
    Column("seed", BigInteger, nullable=False),
    Column("job", Text, nullable=False),  # that ran it first
    Column("started", Double, nullable=False),  # seconds since the epoch
    Column("seconds", Double, nullable=False),
    Column("retries", Integer, nullable=False),  # after its worker was lost
    Column("error_kind", Text),  # NULL: it did not fail
    Column("error_message", Text),
    Column("error_traceback", Text),
    Column("warned", Text),  # JSON: list of [category, text]
)

scores = _table(
    "scores",
    Column("fit", String(32), primary_key=True),
    Column("held_out", String(32), primary_key=True),  # digest of the held-out rows' numbers
    Column("scorer", String(32), primary_key=True),  # digest of the scorer: of its metrics and their code
    Column("place", Integer, primary_key=True),  # the metric's, in the scorer's order; -1: the rows have no score at all
    Column("metric", Text, nullable=False),
    Column("value", Double),  # NULL: not a number
    Column("seconds", Double, nullable=False),  # of all metrics on these rows
    Column("error", Text),  # JSON: [kind, message, traceback], if it could not be computed or is not finite
)

trials = _table(
    "trials",  # that a schedule judged while they trained; the scores of their inner folds stand with the fits that these are
    Column("key", String(32), primary_key=True),
    Column("problem", String(32), nullable=False),  # digest of all that affects a job's results
    Column("job", Text, nullable=False),
    Column("study", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("started", Double, nullable=False),  # seconds since the epoch
    Column("lineage", Text, nullable=False),  # JSON: list of [params, epochs]
    Column("curve", Text, nullable=False),  # JSON: list of [epoch, mean inner score]
    Column("folds", Text, nullable=False),  # JSON: list of [fit, [held-out rows]], in fold order
)

claims = _table(
    "claims",  # fits that a process is at; advice only
    Column("fit", String(32), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires", Double, nullable=False),  # seconds since the epoch
)
