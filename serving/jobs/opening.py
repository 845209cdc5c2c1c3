"""Open the desk when it is first asked for: most workers of a server never are, and what keeps jobs is not light."""

import threading
import time
from typing import TYPE_CHECKING

from serving.errors import JobsUnreachable
from serving.jobs import gauges
from serving.jobs.desk import Desk, Rules
from serving.jobs.job import Terms
from serving.jobs.shelf import Shelf
from serving.metrics.now import Gauge
from serving.settings import Jobs as Settings

if TYPE_CHECKING:
    from serving.jobs.schema import Database

FRESH_SECONDS = 1.0
"""How old what is told of jobs may be: several may ask at once, and each answer reads the table."""
SILENT_SECONDS = 10.0
"""A worker that was not heard of for so long does not count."""


class Opening:
    def __init__(self, settings: Settings) -> None:
        """With a database."""
        self._settings = settings
        self._lock = threading.Lock()
        self._desk: Desk | None = None
        self._told: tuple[float, list[Gauge]] = (-FRESH_SECONDS, [])

    def desk(self) -> Desk:
        """Blocks. JobsUnreachable."""
        with self._lock:
            if self._desk is None:
                from serving.jobs.book import Book

                found = Book(database(self._settings), terms(self._settings))
                self._desk = Desk(found, shelf(self._settings), self._rules())
            return self._desk

    def gauges(self) -> list[Gauge]:
        """Blocks."""
        asked, told = self._told
        now = time.monotonic()
        if now - asked < FRESH_SECONDS:
            return told
        try:
            found = self.desk().book
            told = gauges.of(found.figures(), found.workers(SILENT_SECONDS), time.time())
        except JobsUnreachable:
            told = gauges.unreached()
        self._told = now, told
        return told

    def _rules(self) -> Rules:
        given = self._settings
        return Rules(given.files, given.inline_bytes, given.callback_secret is not None, given.private_callbacks)


def database(settings: Settings) -> "Database":
    """JobsUnreachable."""
    from serving.jobs.schema import Database

    assert settings.database is not None  # noqa: S101 - whoever calls has looked
    return Database(settings.database.get_secret_value())


def terms(settings: Settings) -> Terms:
    return Terms(settings.expire_seconds, settings.keep_seconds, settings.most_waiting)


def shelf(settings: Settings) -> Shelf:
    return Shelf(settings.place, settings.public_s3, url_seconds=settings.url_seconds)
