"""Rows of the tables as what they say, and back. Pure."""

from typing import Any, Literal, cast

import msgspec

from serving.jobs.job import NO_ORIGIN, Body, Files, Inline, Order, Origin, Outcome, Result, Status, Stored, Terms
from serving.jobs.tables import now_ms
from serving.protocol import Version


def values(order: Order, name: str, terms: Terms) -> dict[str, Any]:
    """Of a job that is queued now."""
    now, asked = now_ms(), order.asked
    body, files = (asked, None) if isinstance(asked, Body) else (None, asked)
    return {
        "id": name,
        "model": order.model,
        "pinned": None if order.version is None else msgspec.json.encode(order.version).decode(),
        "version": None if order.version is None else order.version.number,
        "state": "queued",
        "media_type": body and body.media_type,
        "body": body and body.content,
        "body_uri": body and body.uri,
        "files": files and msgspec.json.encode(files).decode(),
        "key": order.key,
        "fingerprint": order.fingerprint,
        "rows_total": order.rows,
        "callback": order.callback,
        "origin": None if order.origin == NO_ORIGIN else msgspec.json.encode(order.origin).decode(),
        "called": None if order.callback is None else "waiting",
        "accepted_ms": now,
        "queued_ms": now,
        "expires_ms": now + int(1000 * terms.expire_seconds),
    }


def ending(outcome: Outcome) -> dict[str, Any]:
    """Of a job that has ended now."""
    result = outcome.result
    found: dict[str, Any] = {
        "state": outcome.state,
        "ended_ms": now_ms(),
        "code": outcome.code,
        "reason": outcome.reason,
        "result": result.content if isinstance(result, Inline) else None,
        "result_uri": result.uri if isinstance(result, Stored) else None,
        "result_type": result.media_type if isinstance(result, Stored) else None,
    }
    if result is not None:
        found |= {"rows_done": result.rows, "rows_total": result.rows}
    return found | ({} if outcome.version is None else {"version": outcome.version})


def order(row: Any) -> Order:
    asked: Body | Files = (
        msgspec.json.decode(row.files, type=Files) if row.files else Body(row.media_type, row.body, row.body_uri)
    )
    version = msgspec.json.decode(row.pinned, type=Version) if row.pinned else None
    origin = msgspec.json.decode(row.origin, type=Origin) if row.origin else NO_ORIGIN
    return Order(row.model, version, asked, row.rows_total, row.key, row.fingerprint, row.callback, origin)


def result(row: Any) -> Result:
    """Of one that has succeeded."""
    if row.result_uri is not None:
        return Stored(row.result_uri, row.result_type, row.rows_done)
    return Inline(row.result, row.rows_done)


def status(row: Any, position: int | None, terms: Terms) -> Status:
    until = row.expires_ms if row.ended_ms is None else row.ended_ms + int(1000 * terms.keep_seconds)
    return Status(
        row.id,
        row.model,
        row.version,
        row.state,
        row.rows_done,
        row.rows_total,
        position,
        row.starts,
        row.accepted_ms,
        row.started_ms,
        row.ended_ms,
        until,
        row.code,
        row.reason,
        cast(Literal["waiting", "delivered", "failed"] | None, row.called),
    )
