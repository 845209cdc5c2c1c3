"""End a child process when its parent is gone, however the parent ended.

The parent holds the writing end of a pipe and writes nothing; the child sees the end of it.
"""

import os
import signal
import threading

YIELDS = 5
"""Nice value of what prepares a version: requests come first, but on full cores it must be there within seconds."""
FLAG = "--lifeline"


def end_with_parent(argv: list[str]) -> None:
    """SIGTERM to this process when the pipe named by `--lifeline N` in `argv` ends; nothing without one."""
    if FLAG in argv:
        pipe = int(argv[argv.index(FLAG) + 1])
        threading.Thread(target=_wait, args=[pipe], name="lifeline", daemon=True).start()


def _wait(pipe: int) -> None:
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
