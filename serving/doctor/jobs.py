"""Is there a database for jobs, and somebody who works at them? Opens it for reading only."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from serving.doctor.finding import Finding, Scene, fine, skipped, trouble
from serving.errors import JobsUnreachable

SQLITE = "sqlite:///"
SILENT_SECONDS = 30


def jobs(scene: Scene) -> Iterator[Finding]:
    database = scene.settings.jobs.database
    if database is None:
        yield skipped("jobs", "SERVING_JOBS__DATABASE is not set: there are none")
        return
    address = database.get_secret_value()
    if address.startswith(SQLITE):
        yield from _file(Path(address.removeprefix(SQLITE)))
    else:
        yield from _server(address)


def _file(path: Path) -> Iterator[Finding]:
    if not path.exists():
        above = next(each for each in path.absolute().parents if each.exists())
        if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
            yield trouble("jobs-file-missing", f"{path}: there is no such file yet")
        else:
            yield trouble("jobs-not-writable", f"{path}: {above} is no folder that can be written to")
        return
    try:
        seen_ms = _read(path)
    except sqlite3.DatabaseError as error:
        yield trouble("jobs-file-broken", f"{path}: {error}")
        return
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        yield trouble("jobs-not-writable", f"{path}: cannot be written to")
        return
    yield fine("jobs", f"{path} is a sound database")
    yield from worker(seen_ms, time.time())


def worker(seen_ms: int | None, now: float) -> Iterator[Finding]:
    """`seen_ms`: when one was last heard of. Pure."""
    if seen_ms is None or now - seen_ms / 1000 > SILENT_SECONDS:
        ago = "" if not seen_ms else f" for {now - seen_ms / 1000:.0f} s"
        yield trouble("jobs-no-workers", f"no worker was heard of{ago}")
    else:
        yield fine("jobs", "a worker lives")


def _read(path: Path) -> int | None:
    """When a worker was last heard of. sqlite3.DatabaseError where it is no database, or a damaged one."""
    # Beside a log of changes there is somebody who writes; else not even SQLite's own notes may be left behind.
    is_open = Path(f"{path}-wal").exists()
    uri = f"file:{quote(str(path))}?mode=ro{'' if is_open else '&immutable=1'}"
    with closing(sqlite3.connect(uri, uri=True, timeout=2)) as connection:
        (told,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if told != "ok":
            raise sqlite3.DatabaseError(str(told).splitlines()[0])
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "slipway_job_workers" not in tables:
            return None
        (seen,) = connection.execute("SELECT max(seen_ms) FROM slipway_job_workers").fetchone()
        return None if seen is None else int(seen)


def _server(address: str) -> Iterator[Finding]:
    from serving.jobs import looking

    try:
        seen_ms = looking.last_seen_ms(address)
    except ImportError:
        yield trouble("jobs-driver", "SERVING_JOBS__DATABASE is PostgreSQL's, and psycopg is not installed")
        return
    except JobsUnreachable as error:
        yield trouble("jobs-unreachable", f"the database does not answer: {error}")
        return
    yield fine("jobs", "the database answers")
    yield from worker(seen_ms, time.time())
