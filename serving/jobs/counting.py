"""Count jobs and who works at them, for metrics. Blocks; JobsUnreachable when the tables are. Needs no DBOS."""

import sqlalchemy as sa

from serving.jobs.job import OPEN, Figures
from serving.jobs.tables import Tables, ended, jobs, now_ms, workers


def figures(tables: Tables) -> list[Figures]:
    """Of every model that ever had a job."""
    waiting = sa.select(jobs.c.model, jobs.c.state, sa.func.count(), sa.func.min(jobs.c.queued_ms))
    with tables.reading() as connection:
        now = connection.execute(waiting.where(jobs.c.state.in_(OPEN)).group_by(jobs.c.model, jobs.c.state)).all()
        past = connection.execute(sa.select(ended)).all()
    counts = {(model, state): (count, oldest) for model, state, count, oldest in now}
    return [
        Figures(
            model,
            counts.get((model, "queued"), (0, None))[0],
            counts.get((model, "running"), (0, None))[0],
            counts.get((model, "queued"), (0, None))[1],
            {row.state: row.jobs for row in past if row.model == model},
            sum(row.rows for row in past if row.model == model),
        )
        for model in sorted({model for model, _ in counts} | {row.model for row in past})
    ]


def heard_of(tables: Tables, silent_seconds: float) -> int:
    """Workers that were, since so long ago."""
    since = now_ms() - int(1000 * silent_seconds)
    with tables.reading() as connection:
        counted = sa.select(sa.func.count()).select_from(workers).where(workers.c.seen_ms >= since)
        return int(connection.execute(counted).scalar_one())
