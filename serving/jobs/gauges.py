"""What there is to say of jobs, as metrics. Pure."""

from collections.abc import Iterable

from serving.jobs.job import Figures
from serving.metrics.declared import JOB_WORKERS, JOBS, JOBS_ENDED, JOBS_OLDEST, JOBS_REACHABLE, JOBS_ROWS
from serving.metrics.now import Gauge


def of(figures: Iterable[Figures], workers: int, now: float) -> list[Gauge]:
    """`now`: seconds since the epoch."""
    found: list[Gauge] = [(JOBS_REACHABLE.name, (), 1), (JOB_WORKERS.name, (), workers)]
    for each in figures:
        name = each.model
        waited = 0.0 if each.oldest_ms is None else max(now - each.oldest_ms / 1000, 0)
        found += [
            (JOBS.name, (name, "queued"), each.queued),
            (JOBS.name, (name, "running"), each.running),
            (JOBS_OLDEST.name, (name,), waited),
            (JOBS_ROWS.name, (name,), each.rows),
            *((JOBS_ENDED.name, (name, state), count) for state, count in each.ended.items()),
        ]
    return found


def unreached() -> list[Gauge]:
    return [(JOBS_REACHABLE.name, (), 0)]
