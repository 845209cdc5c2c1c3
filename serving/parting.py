"""How a worker ends: it says that it is not ready, answers for a while, finishes what it has, and stops.

Proxies and clients need that while: they notice only after it that nothing may be sent here any more.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any, NamedTuple

import uvicorn

from serving.lag import Lag
from serving.listening import Listening
from serving.rest.connections import Watch

LOOK_EVERY = 5
"""Of uvicorn's ticks, which are ten a second."""
CLOSE = (b"connection", b"close")


class Watches(NamedTuple):
    connections: Watch
    lag: Lag


Ends = Sequence[Callable[[], Awaitable[None]]]


class Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, leave: Callable[[], None], ends: Ends, watches: Watches, *, linger_seconds: float
    ) -> None:
        """`leave` is called at the first signal, `linger_seconds` before nothing is accepted any more; `ends` then.

        What these return is waited for, while what is under way over HTTP is. `watches` are started with it.
        """
        super().__init__(config)
        self._leave, self._ends, self._linger_seconds = leave, ends, linger_seconds
        self._until: float | None = None
        self._watches = watches

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        config = self.config
        protocol: Any = config.http_protocol_class
        made = partial(protocol, config=config, server_state=self.server_state, app_state=self.lifespan.state)
        seconds = self._watches.connections.head_seconds if config.ssl else None
        listening = Listening(made, ssl=config.ssl, ssl_handshake_timeout=seconds)
        for each in sockets or ():
            self.servers.append(await listening.start(each, config.backlog))
        self._watches.lag.start(listening.take_more)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ending = asyncio.gather(*(end() for end in self._ends))
        await super().shutdown(sockets)
        await ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._until is not None:  # a terminal's SIGINT is followed by the supervisor's SIGTERM
            return
        self._until = time.monotonic() + self._linger_seconds
        self._leave()
        # Each connection ends with its next answer, so that the next request looks for another server.
        self.config.encoded_headers.append(CLOSE)
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE]

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None and time.monotonic() >= self._until:
            self.should_exit = True
        if not counter % LOOK_EVERY:
            self._watches.connections.look(list(self.server_state.connections), time.monotonic())
        return await super().on_tick(counter)
