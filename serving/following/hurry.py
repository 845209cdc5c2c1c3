"""How a worker tells the syncer beside it that a model is worth a look now: a datagram that names the model.

It may get lost: whoever sends one relies on the next poll all the same.
"""

import logging
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_SOCKET = "syncer"
LONGEST_NAME = 4096


class Line:
    """In the folder that only this serving's own processes may enter: that of the fork server's socket."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _SOCKET

    def send(self, name: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.setblocking(False)
            try:
                line.sendto(name.encode()[:LONGEST_NAME], str(self._path))
            except OSError as error:  # no syncer just now, or one that has not read the last hundred yet
                log.debug("syncer not hurried", extra={"reason": error.strerror})

    def names(self) -> Iterator[str]:
        """As they arrive, for ever. OSError when nobody can be listened to here."""
        with suppress(FileNotFoundError):  # of a syncer that died
            self._path.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(str(self._path))
            while True:
                yield line.recv(LONGEST_NAME).decode(errors="replace")
