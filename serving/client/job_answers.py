"""Read what serving answers about jobs. Pure.

Each raises the error that a refusal tells of, and UnreadableAnswer for what is no answer of serving's.
"""

import json
from http import HTTPStatus
from typing import Any, NamedTuple

from serving.client.errors import CallerError, NoJobs, Source
from serving.client.job import Job
from serving.client.problems import Response, check, retry_after, source_of, unreadable

_TAKES_NONE = "not-found"
"""What a server without jobs says: it has no such address."""


class Told(NamedTuple):
    job: Job
    source: Source
    retry_after: float
    """Seconds after which another look is worth it."""


class Page(NamedTuple):
    jobs: list[Job]
    next: int | None
    """What to ask for the following page with; None when this is the last."""


class Place(NamedTuple):
    """Of a result that is not in the answer itself."""

    url: str
    media_type: str


def told(response: Response) -> Told:
    """A job's status: when it was submitted, looked at, cancelled or queued again."""
    _check(response, HTTPStatus.OK, HTTPStatus.ACCEPTED)
    return Told(_job(_body(response), response), source_of(response), retry_after(response))


def page(response: Response) -> Page:
    _check(response, HTTPStatus.OK)
    body = _body(response)
    jobs, following = body.get("jobs"), body.get("next")
    if not isinstance(jobs, list) or not isinstance(following, int | None):
        raise unreadable(response)
    return Page([_job(each, response) for each in jobs], following)


def result(response: Response) -> list[Any] | Place:
    """The predictions, an entry a row, or where they are."""
    _check(response, HTTPStatus.OK, HTTPStatus.SEE_OTHER)
    body = _body(response)
    if response.status == HTTPStatus.OK:
        predictions = body.get("predictions")
        return predictions if isinstance(predictions, list) else [predictions]
    url = response.headers.get("location", "")
    if not url.startswith(("http://", "https://")):
        raise unreadable(response)
    return Place(url, str(body.get("media_type")))


def content(response: Response) -> bytes:
    """Of a result's place, which is no server of ours."""
    check(response)
    return response.body


def _check(response: Response, *fine: HTTPStatus) -> None:
    try:
        check(response, *fine)
    except CallerError as error:
        if error.code == _TAKES_NONE:
            raise NoJobs("this server takes no jobs", source=source_of(response)) from error
        raise


def _job(found: Any, response: Response) -> Job:
    try:
        return Job(
            id=str(found["id"]),
            model=str(found["model"]),
            state=str(found["state"]),
            version=found["version"],
            rows_done=found["rows_done"],
            rows_total=found["rows_total"],
            position=found.get("position"),
            accepted_ms=found["accepted_ms"],
            started_ms=found["started_ms"],
            ended_ms=found["ended_ms"],
            expires_ms=found["expires_ms"],
            code=found.get("code", ""),
            reason=found.get("reason", ""),
            callback=found.get("callback", ""),
        )
    except (KeyError, TypeError, AttributeError):
        raise unreadable(response) from None


def _body(response: Response) -> dict[str, Any]:
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise unreadable(response)
    return body
