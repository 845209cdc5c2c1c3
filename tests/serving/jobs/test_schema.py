from pathlib import Path

import sqlalchemy as sa

from serving.jobs.book import Book
from serving.jobs.job import Inline, Origin, Outcome
from serving.jobs.schema import Database
from serving.jobs.turns import Turns
from tests.serving.jobs.orders import accepted

ORIGIN = Origin("mine", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=1")


def test_a_database_of_an_earlier_release_goes_on_with_its_jobs(tmp_path: Path) -> None:
    """That release knew no origin; what it wrote has none."""
    address = f"sqlite:///{tmp_path}/jobs.sqlite"
    first = Database(address)
    old = accepted(Book(first), "iris")
    with first.writing() as connection:
        connection.execute(sa.text("ALTER TABLE slipway_jobs DROP COLUMN origin"))
    first.close()

    for _ in range(2):  # and once more, when there is nothing left to do
        second = Database(address)
        new = accepted(Book(second), "iris", origin=ORIGIN)
        works = [Turns(second).begin(job.id, 1) for job in (old, new)]
        if works[0] is not None:
            assert works[0].order.origin == Origin()
            assert Turns(second).end(old.id, 1, Outcome("succeeded", 7, Inline(b"{}", 1)))
        assert works[1] is not None
        assert works[1].order.origin == ORIGIN
        second.close()
