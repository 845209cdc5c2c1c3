"""The head of an answer and its body in one write: for a small answer a second one costs as much as predicting it.

uvicorn writes them one after the other, and each write is a call of the kernel and, with TCP_NODELAY, a packet.
"""

import asyncio
from typing import Any

_HEAD, _END = b"HTTP/1.", b"\r\n\r\n"
_COPIED = 1 << 16
"""A body of more bytes is not copied behind its head."""


class Joined:
    """A transport that keeps a head until the body is here, or until the loop has called all that was to be called."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""
        # Asked for each request.
        self.is_closing = transport.is_closing
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading
        self.get_extra_info = transport.get_extra_info

    def write(self, data: bytes) -> None:
        head = self._head
        if head:
            self._head = b""
            if len(data) > _COPIED:
                self._transport.writelines((head, data))
            else:
                self._transport.write(head + data)
        elif data.startswith(_HEAD) and data.endswith(_END):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        """What is seldom asked."""
        return getattr(self._transport, name)
