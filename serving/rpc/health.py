"""The standard health service: a model's name asks for that model, the empty name and our services for all of them.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

# ruff: noqa: N802 - the methods have the protocol's names

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from grpc import StatusCode
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer

from serving.errors import InvalidInput, UnknownModel
from serving.lineup import Lineup
from serving.rpc.exchange import Context


class Health(HealthServicer):
    def __init__(self, lineup: Lineup, services: frozenset[str], *, poll_seconds: float) -> None:
        """`poll_seconds`: how soon a watcher hears of a change."""
        self._lineup, self._services, self._poll_seconds = lineup, services, poll_seconds
        self._watchers = 0
        self._changed = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def Check(self, request: HealthCheckRequest, context: Context) -> HealthCheckResponse:
        try:
            status = self._status(request.service)
        except InvalidInput as error:
            await context.abort(StatusCode.INVALID_ARGUMENT, str(error))
        if status == HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(StatusCode.NOT_FOUND, "no such service or model here")
        return HealthCheckResponse(status=status)

    async def Watch(self, request: HealthCheckRequest, context: Context) -> AsyncIterator[HealthCheckResponse]:
        try:
            service = request.service
        except InvalidInput as error:
            await context.abort(StatusCode.INVALID_ARGUMENT, str(error))
        told = None
        with self._watched():
            while True:
                changed, status = self._changed, self._status(service)
                if status != told:
                    told = status
                    yield HealthCheckResponse(status=status)
                await changed.wait()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """One looks for all who watch, whom nothing wakes until there is something to tell; nobody looks for nobody."""
        self._watchers += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(self._all()))
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self, before: tuple[int, ...]) -> None:
        while True:
            await asyncio.sleep(self._poll_seconds)
            now = self._all()
            if now != before:
                before, changed, self._changed = now, self._changed, asyncio.Event()
                changed.set()

    def _all(self) -> tuple[int, ...]:
        """All that anybody may ask for and that may change."""
        return tuple(self._status(each) for each in ("", *self._lineup.names))

    def _status(self, service: str) -> int:
        if not service or service in self._services:
            return _told(not self._lineup.why_not_ready())
        try:
            served = self._lineup.standing(service).served
        except UnknownModel:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return _told(served is not None and not self._lineup.leaving)


def _told(ready: bool) -> int:
    return HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING
