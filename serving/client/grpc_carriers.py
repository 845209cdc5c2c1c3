"""Carry one gRPC request and bring back its response, on a thread or in an event loop. Decides nothing."""

from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from serving.client.addresses import Address
from serving.client.certificates import Certificates
from serving.client.over_grpc import Request
from serving.client.statuses import Response
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.enable_retries", 0))
"""An answer may be large, and who asks again is decided by `retry.py`."""


class Carrier:
    def __init__(self, to: Address, headers: Mapping[str, str], shown: Certificates) -> None:
        if to.secure:
            self._channel = grpc.secure_channel(to.place, _credentials(shown), options=_OPTIONS)
        else:
            self._channel = grpc.insecure_channel(to.place, options=_OPTIONS)
        self._stub: Any = GRPCInferenceServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._headers = headers

    def send(self, request: Request, seconds: float | None) -> Response:
        method = getattr(self._stub, request.method)
        try:
            message = method(request.message, timeout=seconds, metadata=_metadata(self._headers, request))
        except grpc.RpcError as error:
            return _refusal(error)
        return Response("OK", "", {}, message)

    def close(self) -> None:
        self._channel.close()


class AsyncCarrier:
    def __init__(self, to: Address, headers: Mapping[str, str], shown: Certificates) -> None:
        if to.secure:
            self._channel = grpc.aio.secure_channel(to.place, _credentials(shown), options=_OPTIONS)
        else:
            self._channel = grpc.aio.insecure_channel(to.place, options=_OPTIONS)
        self._stub: Any = GRPCInferenceServiceStub(self._channel)  # type: ignore[no-untyped-call]  # generated
        self._headers = headers

    async def send(self, request: Request, seconds: float | None) -> Response:
        method = getattr(self._stub, request.method)
        try:
            message = await method(request.message, timeout=seconds, metadata=_metadata(self._headers, request))
        except grpc.RpcError as error:
            return _refusal(error)
        return Response("OK", "", {}, message)

    async def close(self) -> None:
        await self._channel.close()


def _credentials(shown: Certificates) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(*shown.read())


def _metadata(headers: Mapping[str, str], request: Request) -> tuple[tuple[str, str], ...]:
    return tuple({**{name.lower(): value for name, value in headers.items()}, **request.metadata}.items())


def _refusal(error: Any) -> Response:
    """Of an error that is a call as well, as all of gRPC's are."""
    trailers: Iterable[tuple[str, Any]] = error.trailing_metadata() or ()
    texts = {name: value for name, value in trailers if isinstance(value, str)}
    return Response(error.code().name, error.details() or "", texts, None)
