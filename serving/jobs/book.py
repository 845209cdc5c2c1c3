"""All jobs, as those who ask for them see it: accepted and queued in one transaction. Every call is one, and blocks."""

from typing import Any

import sqlalchemy as sa

from serving.errors import JobConflict, JobsFull, KeyReused, UnknownJob
from serving.jobs import rows
from serving.jobs.job import OPEN, RETRIED, Order, Result, Status, Terms, Wanted, workflow_id
from serving.jobs.schema import WORK, Database
from serving.jobs.tables import TOLD, jobs, now_ms


class Book:
    """JobsUnreachable when the database is."""

    def __init__(self, database: Database, terms: Terms | None = None) -> None:
        self._database, self._terms = database, terms or Terms()

    def accept(self, order: Order, name: str) -> Status:
        """Queued under the id `name`, or the one that was accepted under the same key. KeyReused, JobsFull."""
        known = self.known(order.model, order.key, order.fingerprint)
        if known is not None:
            return known
        try:
            with self._database.writing() as connection:
                waiting = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state == "queued")
                if connection.execute(waiting).scalar_one() >= self._terms.most_waiting:
                    raise JobsFull(self._terms.most_waiting)
                connection.execute(sa.insert(jobs).values(rows.values(order, name, self._terms)))
                self._database.enqueue(connection, WORK, name, 1)
        except sa.exc.IntegrityError:  # the same request is being accepted at the same time
            known = self.known(order.model, order.key, order.fingerprint)
            if known is None:
                raise
            return known
        return self.status(order.model, name)

    def known(self, model: str, key: str | None, fingerprint: str) -> Status | None:
        """The job that was accepted under this key. KeyReused."""
        if key is None:
            return None
        with self._database.reading() as connection:
            where = jobs.c.model == model, jobs.c.key == key
            row = connection.execute(sa.select(*TOLD).where(*where)).one_or_none()
            if row is None:
                return None
            if row.fingerprint != fingerprint:
                raise KeyReused
            return self._status(connection, row)

    def status(self, model: str, name: str) -> Status:
        """UnknownJob."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(*TOLD).where(*_named(model, name))).one_or_none()
            if row is None:
                raise UnknownJob
            return self._status(connection, row)

    def result(self, model: str, name: str) -> tuple[Status, Result | None]:
        """None unless it has succeeded. UnknownJob."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(jobs).where(*_named(model, name))).one_or_none()
            if row is None:
                raise UnknownJob
            return self._status(connection, row), rows.result(row) if row.state == "succeeded" else None

    def listed(self, model: str, wanted: Wanted) -> tuple[list[Status], int | None]:
        """And what to give as `before` for the next page, None where there is none."""
        asked = sa.select(*TOLD).where(jobs.c.model == model).order_by(jobs.c.seq.desc()).limit(wanted.limit + 1)
        for column, value in ((jobs.c.state, wanted.state), (jobs.c.version, wanted.version)):
            if value is not None:
                asked = asked.where(column == value)
        if wanted.before is not None:
            asked = asked.where(jobs.c.seq < wanted.before)
        with self._database.reading() as connection:
            found = connection.execute(asked).all()
            page = [self._status(connection, row) for row in found[: wanted.limit]]
        return page, found[wanted.limit - 1].seq if len(found) > wanted.limit else None

    def cancel(self, model: str, name: str) -> Status:
        """What is cancelled already stays so. UnknownJob; JobConflict for what has ended otherwise."""
        with self._database.writing() as connection:
            values = {"state": "cancelled", "ended_ms": now_ms(), "called": None}
            change = sa.update(jobs).where(*_named(model, name), jobs.c.state.in_(OPEN)).values(values)
            row = connection.execute(change.returning(*TOLD)).one_or_none()
            if row is not None:
                self._database.has_ended(connection, row)
        if row is not None:
            self._database.cancel_tries([workflow_id(row.id, row.generation)])
        status = self.status(model, name)
        if status.state != "cancelled":
            raise JobConflict(f"the job has ended already: it is {status.state}")
        return status

    def retry(self, model: str, name: str) -> Status:
        """Queued again, behind all others. UnknownJob; JobConflict for what is open or has succeeded."""
        now = now_ms()
        values = {
            "state": "queued",
            "generation": jobs.c.generation + 1,
            "starts": 0,
            "rows_done": 0,
            "code": "",
            "reason": "",
            "queued_ms": now,
            "started_ms": None,
            "ended_ms": None,
            "called": sa.case((jobs.c.callback.is_not(None), "waiting"), else_=None),
            "expires_ms": now + int(1000 * self._terms.expire_seconds),
        }
        with self._database.writing() as connection:
            change = sa.update(jobs).where(*_named(model, name), jobs.c.state.in_(RETRIED)).values(values)
            row = connection.execute(change.returning(jobs.c.id, jobs.c.generation)).one_or_none()
            if row is not None:
                self._database.enqueue(connection, WORK, row.id, row.generation)
        status = self.status(model, name)
        if row is None:
            raise JobConflict(f"only a job that has ended without success is tried again; this one is {status.state}")
        return status

    def _status(self, connection: sa.Connection, row: Any) -> Status:
        return rows.status(row, _position(connection, row), self._terms)


def _position(connection: sa.Connection, row: Any) -> int | None:
    if row.state != "queued":
        return None
    sooner = jobs.c.queued_ms < row.queued_ms
    before = sa.or_(sooner, sa.and_(jobs.c.queued_ms == row.queued_ms, jobs.c.seq < row.seq))
    counted = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state == "queued", before)
    return int(connection.execute(counted).scalar_one())


def _named(model: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return jobs.c.model == model, jobs.c.id == name
