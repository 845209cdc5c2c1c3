"""The client for event loops. It takes the steps that `conversation.py` says, and waits as a coroutine waits."""

# ruff: noqa: ASYNC109 - a timeout is for the server too, which is told of it

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from functools import partial
from types import ModuleType
from typing import Any, Self, TypeVar, cast

from serving.client.connection import Connection, OnRefused, Params, heard, with_probabilities
from serving.client.conversation import Send, Steps, Wait
from serving.client.errors import ClientError
from serving.client.given import rows_of
from serving.client.interface import Interface
from serving.client.pieces import Piece, Pieces, cut
from serving.client.replies import Answer

T = TypeVar("T")


class AsyncClient(Connection):
    """For coroutines of one event loop, in which it is made; the verbs are those of `Client`."""

    async def predict(self, rows: Any, *, params: Params | None = None, timeout: float | None = None) -> Any:
        """As `Client.predict`."""
        return (await self.ask(rows, params=params, timeout=timeout)).predictions

    async def predict_proba(self, rows: Any, *, params: Params | None = None, timeout: float | None = None) -> Any:
        """As `Client.predict_proba`."""
        return await self.predict(rows, params=with_probabilities(params), timeout=timeout)

    async def ask(self, rows: Any, *, params: Params | None = None, timeout: float | None = None) -> Answer:
        """As `Client.ask`."""
        return await self._run(self._asks(rows, params, timeout))

    async def stream(
        self, rows: Iterable[Any] | AsyncIterable[Any], *, on_refused: OnRefused = "raise"
    ) -> AsyncGenerator[Any, None]:
        """As `Client.stream`; the rows may come from an asynchronous iterable."""
        async for piece in _pieces(rows):
            for prediction in heard(await self._run(self._asks_for(piece)), on_refused):
                yield prediction

    async def interface(self) -> Interface:
        """As `Client.interface`."""
        return await self._run(self._learns())

    async def close(self) -> None:
        await self._carrier.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    def _carrier_of(self, carriers: ModuleType) -> Any:
        return carriers.AsyncCarrier

    async def _run(self, steps: Steps[T]) -> T:
        take: Callable[[], Send | Wait] = partial(next, steps)
        while True:
            try:
                step = take()
            except StopIteration as end:
                return cast("T", end.value)
            try:
                take = partial(steps.send, await self._taken(step))
            except ClientError as error:
                take = partial(steps.throw, error)

    async def _taken(self, step: Send | Wait) -> Any:
        if isinstance(step, Send):
            return await self._carrier.send(step.request, step.seconds)
        return await asyncio.sleep(step.seconds)


async def _pieces(rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Piece]:
    if not isinstance(rows, AsyncIterable):
        for piece in cut(rows_of(rows)):
            yield piece
        return
    pieces = Pieces()
    async for row in rows:
        for piece in pieces.add(row):
            yield piece
    for piece in pieces.rest():
        yield piece
