"""One version in a process of its own: load it, say so, then answer whoever holds the other end.

Ends when that end is closed, however busy or stuck its model is: the fork server sees to it, and where that is gone, a
thread of its own.
"""

import os
import select
import signal
import socket
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from serving.errors import VersionRefused
from serving.hosting import messages
from serving.hosting.messages import Began, Loaded, Refused
from serving.protocol import Answer, Model
from serving.runtimes import choice


def run(control: socket.socket) -> None:
    """The life of a host, in a process that was just forked. Does not return."""
    # Sent to everybody at once; what is being predicted may end, and then the worker ends us. Not SIG_IGN: what the
    # model starts would inherit that.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    np.random.seed()
    sys.dont_write_bytecode = True  # beside a version's own code: a file more than its manifest has
    line = control.makefile("rb").readline()
    if not line:
        os._exit(0)
    asked = messages.load(line)
    os.nice(asked.nice)
    threading.Thread(target=_end_with, args=[control], name="lifeline", daemon=True).start()
    said = Connection(os.dup(control.fileno()), readable=False)
    messages.send(said, Began(os.getpid()))
    try:
        model = choice.load(Path(asked.folder), asked.runtime, asked.rules)
    except VersionRefused as error:
        messages.send(said, Refused(str(error)))
    except BaseException as error:  # noqa: BLE001 - a model may raise anything, SystemExit too
        messages.send(said, Refused(f"{type(error).__name__}: {error}".splitlines()[0][:500]))
    else:
        messages.send(said, Loaded(model.runtime, model.joins, model.probabilities))
        for channel in messages.channels(control):
            threading.Thread(target=_answer, args=[channel, model], name="channel", daemon=True).start()
    os._exit(0)


def _answer(channel: Connection, model: Model) -> None:
    with channel:
        while True:
            try:
                method, given = messages.question(channel)
            except (EOFError, OSError):
                return
            try:
                done: Answer | bytes = getattr(model, method)(*given)
                result = messages.encoded(
                    messages.Written(done) if isinstance(done, bytes) else messages.answered(done)
                )
            except BaseException as error:  # noqa: BLE001 - a model may raise anything; its caller alone is told
                result = messages.encoded(messages.failed(error))
            try:
                channel.send_bytes(result)
            except OSError:
                return


def _end_with(control: socket.socket) -> None:
    """A model that hangs would not see that nobody waits for it any more."""
    gone = select.poll()
    gone.register(control.fileno(), 0)  # nothing but that the other side is closed
    gone.poll()
    os._exit(0)
