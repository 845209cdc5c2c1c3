"""Open the desk when it is first asked for: most workers of a server never are, and what keeps jobs is not light.

To count jobs is lighter, and every worker that Prometheus asks does it.
"""

import threading
import time
from collections.abc import Sequence
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
    from serving.jobs.tables import Tables

FRESH_SECONDS = 1.0
"""How old what is told of jobs may be: several may ask at once, and each answer reads the table."""
SILENT_SECONDS = 10.0
"""A worker that was not heard of for so long does not count."""


class Opening:
    def __init__(self, settings: Settings, models: Sequence[str] = ()) -> None:
        """With a database. `models`: those that are told of from the beginning, before they have a job."""
        self._settings, self._models = settings, models
        self._lock, self._counting = threading.Lock(), threading.Lock()
        self._desk: Desk | None = None
        self._tables: Tables | None = None
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
        """Blocks. Opens no desk: whoever only counts jobs has no use for what keeps them."""
        with self._counting:
            asked, told = self._told
            now = time.monotonic()
            if now - asked < FRESH_SECONDS:
                return told
            self._told = now, self._counted()
            return self._told[1]

    def _counted(self) -> list[Gauge]:
        from serving.jobs import counting
        from serving.jobs.tables import Tables

        try:
            if self._tables is None:
                self._tables = Tables(_address(self._settings))
            figures = counting.figures(self._tables)
            workers = counting.heard_of(self._tables, SILENT_SECONDS)
        except JobsUnreachable:
            return gauges.unreached()
        return gauges.of(figures, workers, time.time(), self._models)

    def _rules(self) -> Rules:
        given = self._settings
        return Rules(given.files, given.inline_bytes, given.callback_secret is not None, given.private_callbacks)


def database(settings: Settings) -> "Database":
    """JobsUnreachable."""
    from serving.jobs.schema import Database

    return Database(_address(settings))


def _address(settings: Settings) -> str:
    assert settings.database is not None  # noqa: S101 - whoever calls has looked
    return settings.database.get_secret_value()


def terms(settings: Settings) -> Terms:
    return Terms(settings.expire_seconds, settings.keep_seconds, settings.most_waiting)


def shelf(settings: Settings) -> Shelf:
    return Shelf(settings.place, settings.public_s3, url_seconds=settings.url_seconds)
