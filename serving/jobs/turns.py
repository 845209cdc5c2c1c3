"""All jobs, as those who work at them see it: whose turn it is, how far it is, and that it ends once."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from serving.jobs import rows
from serving.jobs.job import OPEN, Order, Outcome, Status, Terms, workflow_id
from serving.jobs.schema import Database, callback_id
from serving.jobs.tables import TOLD, at, jobs, now_ms, workers

_EXPIRED = Outcome("expired", code="expired", reason="it had not ended in time (SERVING_JOBS__EXPIRE_SECONDS)")


@dataclass(frozen=True)
class Work:
    """A job as its worker gets it."""

    id: str
    generation: int
    order: Order
    starts: int
    queued_ms: int = 0


@dataclass(frozen=True)
class Gone:
    """What forgotten jobs leave: S3 addresses of ours, and their tries."""

    uris: tuple[str, ...]
    tries: tuple[str, ...]


class Turns:
    """Blocks: every call is a transaction. JobsUnreachable when the database is."""

    def __init__(self, database: Database, terms: Terms | None = None) -> None:
        self._database, self._terms = database, terms or Terms()

    @property
    def address(self) -> str:
        """Of the database."""
        return self._database.address

    def begin(self, name: str, generation: int) -> Work | None:
        """None where nobody waits for it any more: it has ended, or is at another try."""
        with self._database.writing() as connection:
            values = {"state": "running", "starts": jobs.c.starts + 1, "started_ms": now_ms(), "rows_done": 0}
            if connection.execute(at(name, generation).values(values)).rowcount == 0:
                return None
            row = connection.execute(sa.select(jobs).where(jobs.c.id == name)).one()
        return Work(row.id, row.generation, rows.order(row), row.starts, row.queued_ms)

    def progress(self, name: str, generation: int, done: int, total: int | None) -> bool:
        """Note it; False where nobody waits for it any more."""
        values = {"rows_done": done} | ({} if total is None else {"rows_total": total})
        with self._database.writing() as connection:
            return connection.execute(at(name, generation).values(values)).rowcount > 0

    def end(self, name: str, generation: int, outcome: Outcome) -> bool:
        """False where it had ended before: then nothing is changed, and nobody called back."""
        with self._database.writing() as connection:
            change = at(name, generation).values(rows.ending(outcome))
            row = connection.execute(change.returning(*TOLD)).one_or_none()
            if row is not None:
                self._database.has_ended(connection, row)
        return row is not None

    def caller(self, name: str, generation: int) -> tuple[Status, str] | None:
        """Whom to tell of its end, and what; None where nobody is to be told."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(*TOLD).where(jobs.c.id == name)).one_or_none()
        if row is None or row.generation != generation or row.called is None or row.state in OPEN:
            return None
        return rows.status(row, None, self._terms), row.callback

    def called(self, name: str, generation: int, *, delivered: bool) -> None:
        """What became of the callback."""
        where = jobs.c.id == name, jobs.c.generation == generation, jobs.c.called.is_not(None)
        with self._database.writing() as connection:
            connection.execute(sa.update(jobs).where(*where).values(called="delivered" if delivered else "failed"))

    def beat(self, worker: str) -> None:
        """It is there."""
        with self._database.writing() as connection:
            seen = {"seen_ms": now_ms()}
            self._database.upsert(connection, workers, {"name": worker, **seen}, seen)

    def leave(self, worker: str) -> None:
        """It will not be there: others may have at once what it has."""
        with self._database.writing() as connection:
            connection.execute(sa.update(workers).where(workers.c.name == worker).values(seen_ms=0))

    def adopt(self, silent_seconds: float) -> int:
        """Queue again what workers had that were not heard of for so long; how many tries."""
        oldest = now_ms() - int(1000 * silent_seconds)
        silent = workers.c.seen_ms < oldest
        with self._database.reading() as connection:
            lost = connection.execute(sa.select(workers.c.name).where(silent)).scalars().all()
        if not lost:
            return 0
        found = self._database.resume_tries(lost)
        with self._database.writing() as connection:
            connection.execute(sa.delete(workers).where(workers.c.name.in_(lost), silent))
        return found

    def expire(self) -> int:
        """End what has not ended in time; how many."""
        late = sa.update(jobs).where(jobs.c.state.in_(OPEN), jobs.c.expires_ms < now_ms())
        with self._database.writing() as connection:
            found = connection.execute(late.values(rows.ending(_EXPIRED)).returning(*TOLD)).all()
            for row in found:
                self._database.has_ended(connection, row)
        self._database.cancel_tries([workflow_id(row.id, row.generation) for row in found])
        return len(found)

    def forget(self, most: int = 1000) -> Gone:
        """Delete at most so many that ended long enough ago; what else there is of them is for the caller to delete."""
        old = now_ms() - int(1000 * self._terms.keep_seconds)
        which = sa.select(jobs.c.id).where(jobs.c.state.not_in(OPEN), jobs.c.ended_ms < old).limit(most)
        columns = jobs.c.id, jobs.c.generation, jobs.c.body_uri, jobs.c.result_uri, jobs.c.files
        with self._database.writing() as connection:
            change = sa.delete(jobs).where(jobs.c.id.in_(which.scalar_subquery())).returning(*columns)
            found = connection.execute(change).all()
        tries = [workflow_id(row.id, each) for row in found for each in range(1, row.generation + 1)]
        # A caller's own file is the caller's to delete.
        uris = [uri for row in found for uri in (row.body_uri, None if row.files else row.result_uri) if uri]
        return Gone(tuple(uris), tuple(name for each in tries for name in (each, callback_id(each))))

    def forget_tries(self, tries: Sequence[str]) -> None:
        self._database.forget_tries(tries)
