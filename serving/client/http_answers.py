"""Read what serving answers over HTTP. Pure.

Each raises the error that a refusal tells of, and UnreadableAnswer for what is no answer of serving's.
"""

import json
from typing import Any

from serving.client.errors import Busy, CallerError, ClientError, DeadlineExpired, kind_of
from serving.client.interface import Input, Interface
from serving.client.problems import Response, check, source_of, unreadable
from serving.client.replies import Reply


def first_model(response: Response) -> str:
    """Of the server's metadata."""
    names = _json(response).get("models")
    if not isinstance(names, list) or not names:
        raise unreadable(response)
    return str(names[0])


def interface(response: Response) -> Interface:
    told = _json(response)
    try:
        inputs = tuple(Input(each["name"], each["datatype"], tuple(each["shape"])) for each in told["inputs"])
        columns = all("type" in each.get("parameters", {}) for each in told["inputs"])
        return Interface(str(told["version"]), inputs, columns)
    except (KeyError, TypeError, AttributeError):
        raise unreadable(response) from None


def reply(response: Response) -> Reply:
    predictions = _json(response).get("predictions")
    return Reply(predictions if isinstance(predictions, list) else [predictions], source_of(response))


def outcomes(response: Response, count: int) -> list[Any | ClientError]:
    """Of `count` lines: a prediction each, or its error. Busy or DeadlineExpired when a line met that."""
    check(response)
    found = [_outcome(line, response) for line in response.body.splitlines()]
    for each in found:
        if isinstance(each, Busy | DeadlineExpired):
            raise each
    if len(found) != count:
        raise unreadable(response)
    return found


def _json(response: Response) -> dict[str, Any]:
    """The body of an answer. The error of a refusal; UnreadableAnswer."""
    check(response)
    try:
        told = json.loads(response.body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise unreadable(response)
    return told


def _outcome(text: bytes, response: Response) -> Any | ClientError:
    try:
        told = json.loads(text)
        if "prediction" in told:
            return told["prediction"]
        reason, code, row = str(told["error"]), str(told.get("code", "")), int(told["row"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise unreadable(response) from None
    return kind_of(code, CallerError)(reason, code=code, source=source_of(response), row=row)
