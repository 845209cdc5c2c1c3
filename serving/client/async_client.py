"""The client for event loops. It takes the steps that `conversation.py` says, and waits as a coroutine waits."""

# ruff: noqa: ASYNC109 - a timeout is for the server too, which is told of it

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, Literal, Self, TypeVar, cast

from serving.client.attempts import Send, Steps, Wait
from serving.client.connection import Connection, OnRefused, Params, heard, ordered, with_probabilities
from serving.client.errors import ClientError
from serving.client.given import rows_of
from serving.client.interface import Interface
from serving.client.job import Job
from serving.client.job_conversation import Seen
from serving.client.over_jobs import Files, Wanted
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

    async def submit(  # noqa: PLR0913 - as there
        self,
        rows: Any,
        *,
        model: str | None = None,
        version: int | Literal["latest"] | None = None,
        key: str | None = None,
        callback: str | None = None,
        params: Params | None = None,
        proba: bool = False,
        timeout: float | None = None,
    ) -> Job:
        """As `Client.submit`."""
        order = ordered(version, key, callback)
        wanted = with_probabilities(params) if proba else params or {}
        return await self._run(self._about_jobs(model).submit(rows, wanted, order, self._seconds(timeout)))

    async def submit_file(  # noqa: PLR0913 - as there
        self,
        input_uri: str,
        output_uri: str,
        keys: Sequence[str] = (),
        *,
        model: str | None = None,
        version: int | Literal["latest"] | None = None,
        key: str | None = None,
        callback: str | None = None,
        proba: bool = False,
        timeout: float | None = None,
    ) -> Job:
        """As `Client.submit_file`."""
        files = Files(input_uri, output_uri, tuple(keys), proba)
        order = ordered(version, key, callback)
        return await self._run(self._about_jobs(model).submit_file(files, order, self._seconds(timeout)))

    async def job(self, job: Job | str, *, model: str | None = None) -> Job:
        """As `Client.job`."""
        return await self._run(self._about_jobs(model).look(job, self._timeout))

    async def wait(
        self, job: Job | str, *, timeout: float | None = None, seen: Seen | None = None, model: str | None = None
    ) -> Job:
        """As `Client.wait`."""
        return await self._run(self._about_jobs(model).wait(job, timeout, self._timeout, seen))

    async def result(self, job: Job | str, *, model: str | None = None, timeout: float | None = None) -> Any:
        """As `Client.result`."""
        return await self._run(self._about_jobs(model).result(job, self._seconds(timeout)))

    async def cancel(self, job: Job | str, *, model: str | None = None) -> Job:
        """As `Client.cancel`."""
        return await self._run(self._about_jobs(model).cancel(job, self._timeout))

    async def retry(self, job: Job | str, *, model: str | None = None) -> Job:
        """As `Client.retry`."""
        return await self._run(self._about_jobs(model).retry(job, self._timeout))

    async def jobs(
        self, *, state: str | None = None, version: int | None = None, model: str | None = None
    ) -> AsyncGenerator[Job, None]:
        """As `Client.jobs`."""
        about, wanted = self._about_jobs(model), Wanted(state, version)
        while True:
            page = await self._run(about.page(wanted, self._timeout))
            for each in page.jobs:
                yield each
            if page.next is None:
                return
            wanted = replace(wanted, before=page.next)

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
