"""`python -m serving.hosting.forkserver`: imports once what versions without a twin need, and forks a host for each.

Started by `supervisor.py`. A connection to its socket gets a host of its own; when that ends, the connection is told
how. It runs no thread and no model, so that a fork is as good as a fresh process, and quicker by the imports' seconds.
"""

import argparse
import gc
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from dotenv import load_dotenv

from serving import lifeline, logs, settings
from serving.hosting import messages
from serving.hosting.messages import Ended
from serving.metrics.processes import Hosts

log = logging.getLogger(__name__)

END_SECONDS = 7
"""For hosts whose workers are about to end; more than a worker's own grace, less than the supervisor's."""
PAUSE_SECONDS = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.hosting.forkserver")
    parser.add_argument("--hosts", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--counted", type=Path, help="folder of what this process counts")
    parser.add_argument(lifeline.FLAG, type=int, help="file descriptor of a pipe that ends with the parent")
    words = parser.parse_args()
    load_dotenv(".env")
    chosen = settings.read()
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)

    from serving.hosting import host
    from serving.runtimes import choice

    if chosen.runtime != "onnx":
        choice.preload()
    # What is here now is shared with every host for as long as nobody writes to it; collecting would.
    gc.collect()
    gc.freeze()
    ForkServer(socket.socket(fileno=words.hosts), words.lifeline, host.run, Hosts(words.counted)).serve()
    return 0


class ForkServer:
    def __init__(
        self, listener: socket.socket, parent: int | None, run: Callable[[socket.socket], None], counts: Hosts
    ) -> None:
        """`run` is a host's whole life, on its connection; `parent` a pipe that ends with whoever started us."""
        self._listener, self._run, self._counts = listener, run, counts
        self._hosts: dict[int, socket.socket] = {}
        self._ending = False
        # Signals write into it, so that one wait sees them as well.
        self._signalled, self._wake = os.pipe()
        for each in (self._signalled, self._wake):
            os.set_blocking(each, False)
        self._waiting = select.poll()
        for each in (listener.fileno(), self._signalled, *([] if parent is None else [parent])):
            self._waiting.register(each, select.POLLIN)
        self._parent = parent

    def serve(self) -> None:
        """Until SIGTERM or the parent's end; hosts then have a moment to end with their workers."""
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the supervisor sends what is meant
        signal.signal(signal.SIGTERM, self._end)
        while not self._ending:
            for ready, _ in self._waiting.poll():
                if ready == self._listener.fileno():
                    self._welcome()
                elif ready == self._signalled:
                    self._reap()
                elif ready == self._parent:
                    self._ending = True
                else:
                    self._forget(ready)
        self._listener.close()
        self._end_hosts()

    def _end(self, _signal: int, _frame: object) -> None:
        self._ending = True

    def _welcome(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # no descriptor for it just now: it waits where it is
            log.error("nobody welcomed", extra={"reason": error.strerror})
            time.sleep(PAUSE_SECONDS)  # noqa: TID251 - nothing tells when there is one again, and poll would not wait
            return
        try:
            self._fork(connection)
        except OSError as error:  # no memory or no process: who asked is told by the line's end
            log.error("no host forked", extra={"reason": error.strerror})
            connection.close()

    def _fork(self, connection: socket.socket) -> None:
        pid = os.fork()
        if pid:
            with suppress(OSError):  # it has done so itself, and gone on
                os.setpgid(pid, pid)
            self._hosts[pid] = connection
            self._waiting.register(connection, 0)  # nothing but that the other side is closed
            self._counts.started(self._hosts)
            return
        try:
            # A group of its own: what the model starts ends with it, and a signal to ours is none to it.
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (self._listener, *self._hosts.values()):
                other.close()
            os.close(self._signalled)
            os.close(self._wake)
            self._run(connection)
        except BaseException:
            log.exception("host stumbled")
        finally:
            os._exit(1)

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._signalled, 4096)
        while self._hosts:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _kill(pid)
            connection = self._hosts.pop(pid)
            if status and not _closed(connection):
                self._counts.died()
            self._counts.run(self._hosts)
            with suppress(KeyError):  # nobody was there any more
                self._waiting.unregister(connection)
            with connection, suppress(OSError):  # nobody may be listening any more
                messages.send(Connection(os.dup(connection.fileno())), Ended(os.waitstatus_to_exitcode(status)))

    def _forget(self, handle: int) -> None:
        """End the host at the other end of which nobody is any more; stuck in C, it would not see that itself."""
        for pid, connection in self._hosts.items():
            if connection.fileno() == handle:
                self._waiting.unregister(connection)
                _kill(pid)

    def _end_hosts(self) -> None:
        until = time.monotonic() + END_SECONDS
        ended = select.poll()
        ended.register(self._signalled, select.POLLIN)
        while self._hosts and (left := until - time.monotonic()) > 0:
            ended.poll(left * 1000)
            self._reap()
        for pid in self._hosts:
            _kill(pid)


def _closed(connection: socket.socket) -> bool:
    """Is nobody at its other end any more?"""
    looking = select.poll()
    looking.register(connection, 0)
    return bool(looking.poll(0))


def _kill(host: int) -> None:
    """With all that its model has started."""
    with suppress(ProcessLookupError):
        os.killpg(host, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
