"""What there is to say of jobs, as metrics. Pure."""

from collections.abc import Iterable

from serving.jobs.job import OPEN, STATES, Figures
from serving.metrics.declared import JOB_WORKERS, JOBS, JOBS_ENDED, JOBS_OLDEST, JOBS_REACHABLE, JOBS_ROWS
from serving.metrics.now import Gauge


def of(figures: Iterable[Figures], workers: int, now: float, models: Iterable[str] = ()) -> list[Gauge]:
    """`now`: seconds since the epoch. `models`: those to tell of though they never had a job."""
    found: list[Gauge] = [(JOBS_REACHABLE.name, (), 1), (JOB_WORKERS.name, (), workers)]
    nothing = {name: Figures(name, 0, 0, None, {}, rows=0) for name in models}
    for name, each in (nothing | {each.model: each for each in figures}).items():
        waited = 0.0 if each.oldest_ms is None else max(now - each.oldest_ms / 1000, 0)
        found += [
            (JOBS.name, (name, "queued"), each.queued),
            (JOBS.name, (name, "running"), each.running),
            (JOBS_OLDEST.name, (name,), waited),
            (JOBS_ROWS.name, (name,), each.rows),
            # Each from 0 on: Prometheus sees no increase in a series that begins at 1.
            *((JOBS_ENDED.name, (name, state), each.ended.get(state, 0)) for state in STATES if state not in OPEN),
        ]
    return found


def unreached() -> list[Gauge]:
    return [(JOBS_REACHABLE.name, (), 0)]
