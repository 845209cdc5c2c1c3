"""Take connections as uvicorn does, but that a hello of TLS has its time, and that a late loop takes many in a round.

uvloop takes one in each round of the loop. That divides them among the workers that share a socket while rounds are
short; in an overload they take 30 ms, and a new connection, a proxy's health check among them, waited for seconds.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

MOST_AT_ONCE = 64


class Listening:
    def __init__(self, made: Callable[[], Any], **tls: Any) -> None:
        """`made`: the protocol of a connection. `tls`: `ssl` and `ssl_handshake_timeout`, as a loop takes them."""
        self._made, self._tls = made, tls
        self._sockets: list[socket.socket] = []
        self._taking = set[asyncio.Task[object]]()

    async def start(self, given: socket.socket, backlog: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._made, sock=given, backlog=backlog, **self._tls)
        self._sockets.append(given)
        return server

    def take_more(self) -> None:
        """Of those that wait, in this round."""
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            for _ in range(MOST_AT_ONCE):
                try:
                    connection, _ = each.accept()
                except OSError:  # there is none, or no file to be had for one, or nobody listens any more
                    break
                task = loop.create_task(self._take(connection))
                self._taking.add(task)
                task.add_done_callback(self._taking.discard)

    async def _take(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._made, connection, **self._tls)
        except OSError:  # it has gone, or says no hello; ssl.SSLError is one
            connection.close()
