"""Who may come in, and in an overload how many, before anything of a message is read.

A message can be as large as a body may be: who has no key must not make a server hold a hundred of them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc

from serving.access.guard import Guard
from serving.engine import Engine
from serving.errors import QueueFull
from serving.lag import Lag
from serving.rpc.exchange import Context, Exchange, credentials, route_of
from serving.rpc.status import OPEN, refuse

Handler = Any
"""gRPC's own: a message or a stream of them on either side."""
_HEALTH = "/grpc.health.v1.Health/"
_PREDICTIONS = frozenset({"ModelInfer", "ModelStreamInfer", "Predict", "PredictStream", "PredictCollect"})


class Entrance(grpc.aio.ServerInterceptor):
    def __init__(self, engine: Engine, guard: Guard | None, lag: Lag | None) -> None:
        """Without a `guard` everybody may come in, without `lag` always."""
        self._engine, self._guard, self._lag = engine, guard, lag

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]], details: grpc.HandlerCallDetails
    ) -> Handler:
        name = details.method.rpartition("/")[2]
        try:
            if self._guard is not None and name not in OPEN and not details.method.startswith(_HEALTH):
                shown = credentials(details.invocation_metadata)
                self._guard.known(shown) or await self._guard.caller(shown)
            if self._lag is not None and name in _PREDICTIONS and not self._lag.admits_call():
                raise QueueFull
        except Exception as error:  # noqa: BLE001 - the boundary: gRPC would tell the caller what Python says
            return self._refusing(name, error)
        return await continuation(details)

    def _refusing(self, name: str, error: Exception) -> Handler:
        async def refusing(_messages: object, context: Context) -> NoReturn:
            await refuse(Exchange(context, self._engine, route_of(name)), error)

        # As if it were a stream, also where it is one message: of a stream none is read unasked.
        return grpc.stream_unary_rpc_method_handler(refusing)
