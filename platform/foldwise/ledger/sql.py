"""The ledger in a database: SQLite in a file, or PostgreSQL on a server that several machines share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, or_, select

from foldwise.errors import NON_FINITE, LedgerError
from foldwise.ledger.base import EndedTrial, Finished, Ledger, LedgerView, holds_all, merged, scorer_of
from foldwise.ledger.claims import Claims
from foldwise.ledger.database import Database, in_parts
from foldwise.ledger.lineages import LineageWriter
from foldwise.ledger.rows import fit_row, folds_of, origin_row, result_of, score_rows, storable, trial_end_of, trial_row
from foldwise.ledger.schema import fits, origins, scores, trials
from foldwise.plan.plan import Plan
from foldwise.trial import Fit, FitResult, TrialEnd, TrialState


class SqlLedger(Ledger):
    """Finished fits in a database, which several processes may share.

    Parameters
    ----------
    address : str
        A path or a URL: ``ledger.db``, ``sqlite:///ledger.db``, ``postgresql://user:password@host/database``.

    Raises
    ------
    InputError
        If it names something else.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        Database(address)

    def __repr__(self) -> str:
        return f"SqlLedger({str(Database(self.address))!r})"

    def open(self, plan: Plan) -> SqlLedgerView:  # noqa: D102
        database = Database(self.address)
        database.open()
        try:
            return SqlLedgerView(database, plan)
        except BaseException:
            database.close()
            raise

    def forget_failed(self, plan: Plan) -> int:  # noqa: D102
        entries = self.open(plan)
        try:
            return entries.forget_failed()
        finally:
            entries.close()


class SqlLedgerView(LedgerView):
    """A database's fits as one plan asks for them."""

    def __init__(self, database: Database, plan: Plan) -> None:
        self._database, self._scorer, self._job = database, scorer_of(plan), storable(plan.problem.settings.name)
        self._origin = origin_row(plan)
        # A score that is not finite was raised by nobody; where it does not choose, it is no failure.
        objective = plan.problem.scoring.objective
        self._counts = or_(scores.c.metric == objective, scores.c.error.not_like(f'["{NON_FINITE}"%'))
        self._seeds, self._problem = tuple(plan.seeds.values()), plan.problem.key
        self._lineages = LineageWriter(plan.problem.space)
        self._claims = Claims(database)

    def find(self, fits: Sequence[Fit]) -> dict[str, FitResult]:  # noqa: D102
        wanted = [fit for fit in fits if not fit.keep_model]
        known = self._read([fit.key for fit in wanted])
        return {fit.key: known[fit.key] for fit in wanted if fit.key in known and holds_all(fit, known[fit.key])}

    def put(self, finished: Iterable[Finished]) -> None:  # noqa: D102
        kept = [one for one in finished if not one[0].keep_model]
        if not kept:
            return
        with self._database.writing() as connection:
            self._write(connection, kept)
            longest = max(result.fit_seconds + sum(result.score_seconds.values()) for _, result in kept)
            self._claims.end(connection, [fit.key for fit, _ in kept], longest)

    def find_trials(self, keys: Sequence[str]) -> dict[str, TrialEnd]:  # noqa: D102
        found: dict[str, TrialEnd] = {}
        for some in in_parts(keys):
            with self._database.reading() as connection:
                rows = connection.execute(select(trials).where(trials.c.key.in_(some))).all()
            for row in rows:
                lineage, known = self._lineages.read(row.lineage), self._read([fit for fit, _ in folds_of(row)])
                end = None if lineage is None else trial_end_of(row, lineage, known)
                if end is not None:
                    found[row.key] = end
        return found

    def put_trials(self, ended: Iterable[EndedTrial]) -> None:  # noqa: D102
        kept = list(ended)
        if not kept:
            return
        rows = [trial_row(one, self._problem, self._job, self._lineages.write(one[2].lineage)) for one in kept]
        insert = self._insert(trials)
        values = {column.name: insert.excluded[column.name] for column in trials.c if not column.primary_key}
        with self._database.writing() as connection:
            self._write(connection, [one for _, its_fits, end in kept for one in zip(its_fits, end.results, strict=True)])
            connection.execute(insert.on_conflict_do_update(index_elements=[trials.c.key], set_=values), rows)

    def claim(self, fits: Sequence[Fit]) -> set[str]:  # noqa: D102
        return self._claims.begin([fit.key for fit in fits if not fit.keep_model])

    def renew(self) -> None:  # noqa: D102
        self._claims.renew()

    def close(self) -> None:  # noqa: D102
        with suppress(LedgerError):  # claims end by themselves; what went wrong with the database is known by now
            self._claims.end_all()
        self._database.close()

    def forget_failed(self) -> int:
        """Forget the plan's failed fits, and what its scorer could not score of them."""
        where = and_(scores.c.fit == bindparam("f"), scores.c.held_out == bindparam("h"), scores.c.scorer == self._scorer)
        keys, broken = set[str](), set[tuple[str, str]]()
        with self._database.writing() as connection:
            # Seeds derive from the job's seed and the train rows, so they tell this plan's fits among those of equal origin.
            for some in in_parts(self._seeds):
                mine = and_(fits.c.origin == self._origin["key"], fits.c.seed.in_(some))
                keys |= set(connection.scalars(select(fits.c.key).where(mine, fits.c.error_kind.is_not(None))))
                unscored = select(scores.c.fit, scores.c.held_out).where(
                    scores.c.error.is_not(None), self._counts, scores.c.scorer == self._scorer,
                    scores.c.fit.in_(select(fits.c.key).where(mine)),
                )  # fmt: skip
                broken |= {(row.fit, row.held_out) for row in connection.execute(unscored)}
            if broken:
                connection.execute(delete(scores).where(where), [{"f": fit, "h": held_out} for fit, held_out in broken])
            if keys:
                connection.execute(delete(scores).where(scores.c.fit == bindparam("f")), [{"f": key} for key in keys])
                connection.execute(delete(fits).where(fits.c.key == bindparam("f")), [{"f": key} for key in keys])
            failed_trials = and_(trials.c.problem == self._problem, trials.c.state == TrialState.FAILED.value)
            connection.execute(delete(trials).where(failed_trials))
        return len(keys | {fit for fit, _ in broken})

    def _write(self, connection: Connection, finished: Sequence[Finished]) -> None:
        connection.execute(self._insert(origins).on_conflict_do_nothing(), self._origin)
        known = self._read_by(connection, [fit.key for fit, _ in finished])
        connection.execute(self._insert_fits(), [fit_row(one, self._origin["key"], self._job) for one in finished])
        again = [{"f": fit.key} for fit, _ in finished if fit.key in known and known[fit.key].scores]
        for _, result in finished:  # the same fit may come twice
            known[result.key] = merged(known.get(result.key), result)
        if again:
            connection.execute(delete(scores).where(scores.c.fit == bindparam("f"), scores.c.scorer == self._scorer), again)
        rows = [row for key in {fit.key: None for fit, _ in finished} for row in score_rows(known[key], self._scorer)]
        if rows:
            insert = self._insert(scores)
            values = {column.name: insert.excluded[column.name] for column in scores.c if not column.primary_key}
            # Scores may outlive their fit, where somebody took rows away by hand.
            connection.execute(insert.on_conflict_do_update(index_elements=list(scores.primary_key), set_=values), rows)

    def _read(self, keys: Sequence[str]) -> dict[str, FitResult]:
        """Return what is known of some fits, with the scores of this plan's scorer."""
        with self._database.reading() as connection:
            return self._read_by(connection, keys)

    def _read_by(self, connection: Connection, keys: Sequence[str]) -> dict[str, FitResult]:
        found: dict[str, FitResult] = {}
        for some in in_parts(keys):
            rows = connection.execute(select(fits).where(fits.c.key.in_(some))).all()
            if not rows:
                continue
            mine = and_(scores.c.fit.in_([row.key for row in rows]), scores.c.scorer == self._scorer)
            by_fit: dict[str, list[Row[Any]]] = defaultdict(list)
            for row in connection.execute(select(scores).where(mine).order_by(scores.c.place)):
                by_fit[row.fit].append(row)
            found |= {row.key: result_of(row, by_fit[row.key]) for row in rows}
        return found

    def _insert(self, table: Any) -> Any:
        return self._database.insert(table)

    def _insert_fits(self) -> Any:
        """Keep what came first, except that a fit that did well stands for one that failed elsewhere."""
        insert = self._insert(fits)
        news = insert.excluded
        better: ColumnElement[bool] = and_(fits.c.error_kind.is_not(None), news.error_kind.is_(None))
        values = {column.name: news[column.name] for column in fits.c if not column.primary_key}
        return insert.on_conflict_do_update(index_elements=[fits.c.key], set_=values, where=better)
