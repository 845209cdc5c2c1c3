"""Lines of the log about calls, and the messages of one."""

from typing import TYPE_CHECKING

from grpc import StatusCode

from serving.errors import DeadlineExpired
from serving.metrics.declared import GONE, OK, ROUTES
from serving.request_log import RequestLog

if TYPE_CHECKING:
    from serving.rpc.exchange import Question

_STATUS = {OK: StatusCode.OK, GONE: StatusCode.CANCELLED, DeadlineExpired.code: StatusCode.DEADLINE_EXCEEDED}


def status_for(code: str, status: StatusCode | None) -> StatusCode:
    """Of a call whose answer was not refused with one."""
    return status or _STATUS.get(code, StatusCode.INTERNAL)


def about(question: "Question") -> dict[str, object]:
    """Whose it is."""
    found: dict[str, object] = {"request_id": question.request_id}
    if question.trace is not None:
        found["trace_id"] = question.trace.name
    if question.caller is not None:
        found["caller"] = question.caller.name
    if question.served is not None:
        found |= {"model": question.served.version.name, "version": question.served.version.number}
    return found


def tell(log: RequestLog, question: "Question", code: str, status: StatusCode | None) -> None:
    """How it ended. A message that is refused has no status: its call goes on."""
    line: dict[str, object] = {"protocol": "grpc", "route": ROUTES[question.route][1]}
    line |= {} if question.is_message else {"status": status_for(code, status).name}
    seconds = question.seconds
    if code == OK:
        log.answered(seconds, **line, **about(question))
    else:
        log.refused(seconds, code, **line, **about(question))
