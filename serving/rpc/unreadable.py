"""Bytes that are no message of their method: the caller's fault, which gRPC by itself answers as a fault of ours."""

from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from serving.errors import InvalidInput


class Unreadable:
    """Stands for the message. Whoever looks into it gets InvalidInput, and so its caller does."""

    def __getattr__(self, _name: str) -> NoReturn:
        raise InvalidInput("the bytes are no message of this method")


class Forgiving:
    """The server, as services are added to it: their methods get such a message instead of nothing at all."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
        self._server.add_generic_rpc_handlers(tuple(_Service(each) for each in handlers))

    def add_registered_method_handlers(self, _service: str, _handlers: dict[str, Any]) -> None:
        """gRPC's asynchronous server has no use for them."""


class _Service(grpc.GenericRpcHandler):
    def __init__(self, handlers: grpc.GenericRpcHandler) -> None:
        self._handlers = handlers
        self._known: dict[str, Any] = {}

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        handler: Any = self._known.get(details.method)
        if handler is None:
            handler = self._handlers.service(details)
            if handler is not None:
                self._known[details.method] = handler = _forgiving(handler)
        return handler


def _forgiving(handler: Any) -> Any:
    """`handler` is gRPC's named tuple, whose type does not say so."""
    read: Callable[[bytes], Any] = handler.request_deserializer

    def forgiving(message: bytes) -> Any:
        try:
            return read(message)
        except DecodeError:
            return Unreadable()

    return handler._replace(request_deserializer=forgiving)
