"""A job's status as JSON: what its address answers, and what a callback brings."""

from typing import Any
from urllib.parse import quote

from serving.jobs.job import OPEN, Status


def path(status: Status) -> str:
    """Of the job, on this server."""
    return f"/v1/models/{quote(status.model, safe='')}/jobs/{status.id}"


def told(status: Status) -> dict[str, Any]:
    """Times are milliseconds since the epoch."""
    job: dict[str, Any] = {
        "id": status.id,
        "model": status.model,
        "version": status.version,
        "state": status.state,
        "rows_done": status.rows_done,
        "rows_total": status.rows_total,
        "starts": status.starts,
        "accepted_ms": status.accepted_ms,
        "started_ms": status.started_ms,
        "ended_ms": status.ended_ms,
        "expires_ms": status.expires_ms,
        "href": path(status),
    }
    if status.state == "queued":
        job["position"] = status.position
    if status.state == "succeeded":
        job["result"] = f"{path(status)}/result"
    elif status.state not in OPEN and status.code:
        job["code"], job["reason"] = status.code, status.reason
    if status.callback is not None:
        job["callback"] = status.callback
    return job
