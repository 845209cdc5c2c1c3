"""The tables of jobs, beside DBOS's own in one database: SQLite for one machine, PostgreSQL for more.

The one door to DBOS's client. What is asked of the tables is in `book.py` and `turns.py`; what a state may become is in
`job.py`: each change is one UPDATE whose WHERE says from which state, and at which try, it is allowed.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, EnqueueOptions, error
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from serving.errors import JobsUnreachable
from serving.jobs.job import OPEN, workflow_id

QUEUE, CALLBACKS = "jobs", "callbacks"
WORK, CALL = "work at a job", "call back"
"""Names of DBOS workflows; `working/durable.py` has what they do."""
CONNECT_SECONDS = 5
RELEASE = "jobs-1"
"""Of the workflows' steps: DBOS goes on with a try only where the steps are the same ones."""

meta = sa.MetaData()
jobs = sa.Table(
    "slipway_jobs",
    meta,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("pinned", sa.Text),
    sa.Column("version", sa.BigInteger),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False, default=1),
    sa.Column("starts", sa.Integer, nullable=False, default=0),
    sa.Column("media_type", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Column("body_uri", sa.Text),
    sa.Column("files", sa.Text),
    sa.Column("key", sa.Text),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("rows_done", sa.BigInteger, nullable=False, default=0),
    sa.Column("rows_total", sa.BigInteger),
    sa.Column("result", sa.LargeBinary),
    sa.Column("result_uri", sa.Text),
    sa.Column("result_type", sa.Text),
    sa.Column("code", sa.Text, nullable=False, default=""),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("callback", sa.Text),
    sa.Column("called", sa.String(16)),
    sa.Column("accepted_ms", sa.BigInteger, nullable=False),
    sa.Column("queued_ms", sa.BigInteger, nullable=False),
    sa.Column("started_ms", sa.BigInteger),
    sa.Column("ended_ms", sa.BigInteger),
    sa.Column("expires_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("model", "key"),
    sa.Index("slipway_jobs_by_state", "state", "queued_ms", "seq"),
    sa.Index("slipway_jobs_by_model", "model", "state"),
)
ended = sa.Table(
    "slipway_jobs_ended",
    meta,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("state", sa.String(16), primary_key=True),
    sa.Column("jobs", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
)
workers = sa.Table(
    "slipway_job_workers",
    meta,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("seen_ms", sa.BigInteger, nullable=False),
)
# All that a caller is told; bodies and results stay where they are.
TOLD = [each for each in jobs.c if each.name not in {"body", "result", "pinned"}]


class Database:
    """Where it does not answer: JobsUnreachable."""

    def __init__(self, address: str) -> None:
        """`sqlite:///PATH` or `postgresql+psycopg://...`. Makes the tables that are not there yet."""
        self.address = address
        self._engine = _engine(address)
        with reached():
            _make(self._engine, address)
            self._dbos = DBOSClient(system_database_engine=self._engine, retry_connection_errors=False)

    def close(self) -> None:
        self._dbos.destroy()
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with reached(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction."""
        with reached(), self._engine.begin() as connection:
            yield connection

    def enqueue(self, connection: sa.Connection, what: str, name: str, generation: int) -> None:
        """In the transaction that makes it necessary: WORK or CALL."""
        this = workflow_id(name, generation)
        options: EnqueueOptions = {
            "workflow_name": what,
            "queue_name": QUEUE if what == WORK else CALLBACKS,
            "workflow_id": this if what == WORK else callback_id(this),
            "app_version": RELEASE,
        }
        self._dbos.enqueue_in_transaction(connection, options, name, generation)

    def has_ended(self, connection: sa.Connection, row: Any) -> None:
        """Count it, and have somebody call back, in the transaction that ended it."""
        rows = row.rows_done if row.state == "succeeded" else 0
        more = {"jobs": ended.c.jobs + 1, "rows": ended.c.rows + rows}
        first = {"model": row.model, "state": row.state, "jobs": 1, "rows": rows}
        self.upsert(connection, ended, first, more)
        if row.called is not None:
            self.enqueue(connection, CALL, row.id, row.generation)

    def upsert(self, connection: sa.Connection, table: sa.Table, first: dict[str, Any], more: dict[str, Any]) -> None:
        """`first`, or `more` where there is a row with its key."""
        dialect: Any = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        key = [column.name for column in table.primary_key]
        connection.execute(dialect.insert(table).values(first).on_conflict_do_update(index_elements=key, set_=more))

    def cancel_tries(self, tries: Sequence[str]) -> None:
        for each in tries:
            with reached(), suppress(error.DBOSException):  # it has just ended there
                self._dbos.cancel_workflow(each)

    def resume_tries(self, workers: Sequence[str]) -> int:
        """Queue again what these had; how many."""
        with reached():
            found = self._dbos.list_workflows(
                status="PENDING", executor_id=list(workers), load_input=False, load_output=False
            )
            for each in found:
                self._dbos.resume_workflow(each.workflow_id, queue_name=each.queue_name)
        return len(found)

    def forget_tries(self, tries: Sequence[str]) -> None:
        with reached(), suppress(error.DBOSException):
            self._dbos.delete_workflows(list(tries))


@contextmanager
def reached() -> Iterator[None]:
    """An IntegrityError says nothing against the database."""
    try:
        yield
    except sa.exc.IntegrityError:
        raise
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise JobsUnreachable(type(error).__name__) from error


def at(name: str, generation: int) -> sa.Update:
    """Of one try that is still waited for."""
    return sa.update(jobs).where(jobs.c.id == name, jobs.c.generation == generation, jobs.c.state.in_(OPEN))


def callback_id(workflow: str) -> str:
    return f"{workflow}-callback"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _engine(address: str) -> sa.Engine:
    """As DBOS makes its own. JobsUnreachable where the address is none."""
    with reached():
        waits = {} if address.startswith("sqlite") else {"connect_timeout": CONNECT_SECONDS}
        made = sa.create_engine(address, pool_pre_ping=True, connect_args=waits)
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", _as_dbos)
    return made


def _as_dbos(connection: Any, _record: object) -> None:
    """Its settings for SQLite: writers wait for each other, and say at once that they are going to write."""
    connection.isolation_level = "IMMEDIATE"
    connection.execute("PRAGMA busy_timeout=30000")
    connection.execute("PRAGMA foreign_keys=ON")


def _make(made: sa.Engine, address: str) -> None:
    if made.dialect.name == "sqlite" and made.url.database:
        Path(made.url.database).parent.mkdir(parents=True, exist_ok=True)
        with made.connect() as connection:
            # Readers and a writer side by side; the mode is the file's own from then on.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    DBOS.migrate(address)
    with suppress(sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.OperationalError):  # somebody else made it now
        meta.create_all(made)
    with made.connect() as connection:
        connection.execute(sa.select(jobs.c.id).limit(1))
