"""The standard reflection service, for callers who are known: it tells what there is to ask for.

https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
"""

# ruff: noqa: N802 - the method has the protocol's name

from collections.abc import AsyncIterable, AsyncIterator, Mapping

from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionServicer

from serving.access.guard import Guard, allow
from serving.access.needs import Need
from serving.errors import ServingError
from serving.rpc.exchange import Context, credentials
from serving.rpc.status import ERROR_CODE, status_of


class Reflection(ServerReflectionServicer):
    def __init__(self, own: reflection.aio.ReflectionServicer, guard: Guard | None) -> None:
        """`own`: gRPC's servicer, which answers."""
        self._own, self._guard = own, guard

    async def ServerReflectionInfo(
        self, requests: AsyncIterable[ServerReflectionRequest], context: Context
    ) -> AsyncIterator[ServerReflectionResponse]:
        shown = credentials(context.invocation_metadata() or ())
        try:
            if self._guard is not None:
                self._guard.admit(await self._guard.caller(shown), Need())
                requests = _while_known(requests, self._guard, shown)
            # The stubs take its generator for a coroutine.
            async for each in self._own.ServerReflectionInfo(requests, context):  # type: ignore[attr-defined]
                yield each
        except ServingError as error:
            await context.abort(status_of(type(error)), str(error), ((ERROR_CODE, error.code),))


async def _while_known(
    requests: AsyncIterable[ServerReflectionRequest], guard: Guard, shown: Mapping[bytes, bytes]
) -> AsyncIterator[ServerReflectionRequest]:
    """A stream may be open for long: a key may be revoked since. Unauthenticated, Forbidden, AuthUnreachable."""
    async for each in requests:
        allow(await guard.caller(shown), Need())
        yield each
