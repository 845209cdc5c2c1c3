"""A look at the jobs' database that makes no tables, for who only wants to know whether it is there."""

import sqlalchemy as sa

from serving.jobs.tables import CONNECT_SECONDS, reached, workers


def last_seen_ms(address: str) -> int | None:
    """When a worker was last heard of; None: never. JobsUnreachable; ImportError where its driver is missing."""
    made = sa.create_engine(address, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        with reached(), made.connect() as connection:
            if not sa.inspect(connection).has_table(workers.name):
                return None
            found: int | None = connection.execute(sa.select(sa.func.max(workers.c.seen_ms))).scalar_one()
            return found
    finally:
        made.dispose()
