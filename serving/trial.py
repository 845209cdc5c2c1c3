"""Try a version in a child process before any worker sees it: one that crashes or hangs is refused, not an outage.

The child stays for the next version, so that its imports are paid once; `python -m serving.trial` is the child.
"""

import logging
import os
import select
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from serving.errors import VersionRefused

PATIENCE_SECONDS = 120


class Said(msgspec.Struct):
    """The child's answer about one folder; no reason when it loads and predicts its example."""

    reason: str | None = None


class Trial:
    """Called with a version's folder; VersionRefused with the reason. One at a time."""

    def __init__(
        self, environment: dict[str, str] | None = None, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._environment = environment
        self._patience_seconds = patience_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __call__(self, folder: Path) -> None:
        with self._lock:
            child = self._child = self._running()
            reason = self._asked(child, folder)
        if reason is not None:
            raise VersionRefused(reason)

    def warm(self) -> None:
        """Start the child, so that it has its imports done before it is needed."""
        with self._lock:
            self._child = self._running()

    def close(self) -> None:
        if self._child is not None:
            with self._child:  # which waits for it, and closes its pipes
                self._child.kill()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._child is not None and self._child.poll() is None:
            return self._child
        self.close()
        command = [sys.executable, "-m", "serving.trial"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, env=self._environment)

    def _asked(self, child: "subprocess.Popen[bytes]", folder: Path) -> str | None:
        assert child.stdin is not None  # noqa: S101 - both are pipes, made in _running
        assert child.stdout is not None  # noqa: S101
        try:
            child.stdin.write(str(folder.resolve()).encode() + b"\n")
            line = _line(child.stdout, self._patience_seconds)
        except BrokenPipeError:
            line = b""
        if line is None:
            child.kill()
            child.wait()
            return f"it did not predict its own example within {self._patience_seconds:g} s"
        if not line:
            return f"it ended the process that tried it (status {child.wait()})"
        return msgspec.json.decode(line, type=Said).reason


def _line(pipe: IO[bytes], seconds: float) -> bytes | None:
    """None when nothing came in time; empty when the other side is gone."""
    with selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        return pipe.readline() if ready.select(seconds) else None


def _answer(load: Callable[[Path], object], folder: Path) -> Said:
    try:
        load(folder)
    except VersionRefused as error:
        return Said(str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a model may raise anything
        return Said(f"{type(error).__name__}: {error}".splitlines()[0][:500])
    return Said()


def _end_with_parent() -> None:
    """A model that hangs would not see that nobody waits for it any more."""
    gone = select.poll()
    gone.register(sys.stdin.fileno(), 0)  # nothing but that the other side is closed
    gone.poll()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    from serving import logs, model, settings

    chosen = settings.read()
    logs.configure(chosen.log_level, sys.stderr)
    logging.getLogger("serving").setLevel(logging.ERROR)  # the workers will say it again
    # A model may print: what it prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_parent, name="lifeline", daemon=True).start()
    if chosen.runtime != "onnx":
        model.preload()
    for line in sys.stdin.buffer:
        said = _answer(lambda folder: model.load(folder, chosen.runtime), Path(line.decode().rstrip("\n")))
        answers.write(msgspec.json.encode(said) + b"\n")
        answers.flush()


if __name__ == "__main__":
    main()
