"""What a call over gRPC tells a trace: where it comes from, and what became of it. Not run without a tracer."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from grpc import StatusCode

from serving.metrics.declared import OK, ROUTES, Route
from serving.rpc.told import status_for
from serving.tracing.trace import Trace
from serving.tracing.tracer import Attributes, Done, Kind, Tracer

if TYPE_CHECKING:
    from serving.rpc.exchange import Question

_FAILURES = {
    StatusCode.UNKNOWN,
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.UNIMPLEMENTED,
    StatusCode.INTERNAL,
    StatusCode.UNAVAILABLE,
    StatusCode.DATA_LOSS,
}
"""Whose fault is not the caller's: https://opentelemetry.io/docs/specs/semconv/rpc/grpc/"""
_OURS = {Route.PREDICT, Route.PREDICT_STREAM, Route.PREDICT_COLLECT}


def begun(tracer: Tracer, metadata: Iterable[tuple[str, str | bytes]]) -> Trace:
    """The caller's, where its metadata name one."""
    parents = [value for name, value in metadata if name == "traceparent" and isinstance(value, str)]
    states = [value for name, value in metadata if name == "tracestate" and isinstance(value, str)]
    return tracer.begin(parents[0] if len(parents) == 1 else None, ",".join(states))


def ended(tracer: Tracer, question: "Question", code: str, status: StatusCode | None) -> None:
    """A call, or a message of one, in whose answer an error has no status."""
    if question.trace is None or not question.trace.sampled:
        return
    kind: Kind = "internal" if question.is_message else "server"
    status = status_for(code, status)
    failed = code != OK if question.is_message else status in _FAILURES
    attributes = _about(question, code, None if question.is_message else status)
    decode, encode = (question.call.decode, question.call.encode) if question.call is not None else (0.0, 0.0)
    name = "message" if question.is_message else _name(question.route)
    tracer.ended(question.trace, Done(name, question.began, attributes, decode, encode, kind, failed))


def _about(question: "Question", code: str, status: StatusCode | None) -> Attributes:
    """https://opentelemetry.io/docs/specs/semconv/rpc/grpc/, but for the caller's address."""
    found: dict[str, str | int] = {"slipway.code": code}
    if status is not None:
        service, _, method = _name(question.route).partition("/")
        found |= {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
        found |= {"rpc.grpc.status_code": int(status.value[0])}
        found |= {"slipway.request_id": question.request_id}
    if question.served is not None:
        version = question.served.version
        found |= {"slipway.model": version.name, "slipway.version": version.number}
    return found if code == OK else found | {"error.type": code}


def _name(route: Route) -> str:
    service = "slipway.v1.Predictions" if route in _OURS else "inference.GRPCInferenceService"
    return f"{service}/{ROUTES[route][1]}"
