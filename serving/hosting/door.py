"""The socket that leads to the fork server."""

import socket
from pathlib import Path


def made(folder: Path) -> socket.socket:
    """Listening, in `folder`, which only this user may enter. OSError."""
    door = socket.socket(socket.AF_UNIX)
    try:
        door.bind(str(folder / "hosts"))
        door.listen(128)
    except OSError:
        door.close()
        raise
    return door
