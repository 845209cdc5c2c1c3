"""The tables of jobs, and the way to them: SQLite for one machine, PostgreSQL for more.

Without DBOS, which takes a second to import and keeps tables of its own here. What is asked is in `counting.py`,
`book.py` and `turns.py`; what a state may become is in `job.py`: each change is one UPDATE whose WHERE says from which
state, and at which try, it is allowed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from serving.errors import JobsUnreachable
from serving.jobs.job import OPEN

CONNECT_SECONDS = 5

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
    sa.Column("origin", sa.Text),
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
TOLD = [each for each in jobs.c if each.name not in {"body", "result", "pinned", "origin"}]


class Tables:
    """Where they do not answer: JobsUnreachable."""

    def __init__(self, address: str, first: Callable[[str], None] | None = None) -> None:
        """`sqlite:///PATH` or `postgresql+psycopg://...`. Makes the tables that are not there yet.

        `first` is called with the address before, and may make the database too, where it is PostgreSQL's.
        """
        self.address = address
        self._engine = _engine(address)
        with reached():
            _ready(self._engine)
            if first is not None:
                first(address)
            _make(self._engine)

    def close(self) -> None:
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

    def upsert(self, connection: sa.Connection, table: sa.Table, first: dict[str, Any], more: dict[str, Any]) -> None:
        """`first`, or `more` where there is a row with its key."""
        dialect: Any = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        key = [column.name for column in table.primary_key]
        connection.execute(dialect.insert(table).values(first).on_conflict_do_update(index_elements=key, set_=more))


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


def _ready(made: sa.Engine) -> None:
    """SQLite's file, in its mode: readers and a writer side by side."""
    if made.dialect.name == "sqlite" and made.url.database:
        Path(made.url.database).parent.mkdir(parents=True, exist_ok=True)
        # SQLite waits for no lock here: then somebody else is at it, or whoever opens it next will be.
        with made.connect() as connection, suppress(sa.exc.OperationalError):
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")


def _make(made: sa.Engine) -> None:
    for table in meta.sorted_tables:
        with suppress(sa.exc.ProgrammingError, sa.exc.IntegrityError, sa.exc.OperationalError):
            table.create(made, checkfirst=True)  # unless somebody else made it now
    with suppress(sa.exc.ProgrammingError, sa.exc.OperationalError):  # the same
        _grow(made)
    with made.connect() as connection:
        connection.execute(sa.select(jobs).limit(1))


def _grow(made: sa.Engine) -> None:
    """Columns that a table of an earlier release lacks. They may be empty: that release may still be writing there."""
    for table in meta.sorted_tables:
        known = {each["name"] for each in sa.inspect(made).get_columns(table.name)}
        for column in table.columns:
            if column.name not in known:
                kind = column.type.compile(made.dialect)
                with made.begin() as connection:
                    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")
