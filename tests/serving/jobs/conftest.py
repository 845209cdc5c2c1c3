"""A database of jobs in a file, with its two sides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.jobs.book import Book
from serving.jobs.job import Terms
from serving.jobs.schema import Database
from serving.jobs.turns import Turns


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Made once: DBOS's tables take a second. Tests name models of their own."""
    made = Database(f"sqlite:///{tmp_path_factory.mktemp('jobs')}/jobs.sqlite")
    yield made
    made.close()


@pytest.fixture
def book(database: Database) -> Book:
    return Book(database)


@pytest.fixture
def turns(database: Database) -> Turns:
    return Turns(database)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Database]:
    """One that no other test has written to."""
    made = Database(f"sqlite:///{tmp_path}/jobs.sqlite")
    yield made
    made.close()


@pytest.fixture
def hasty() -> Terms:
    """Nothing is waited for, and nothing kept."""
    return Terms(expire_seconds=-1, keep_seconds=-1)
