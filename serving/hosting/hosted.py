"""A worker's side of hosts: start one for a version, and call the model in it as if it were here."""

import errno
import logging
import os
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import msgspec

from serving.admission.rules import STRICT, Rules
from serving.decoding import plan
from serving.errors import FollowFailed, NoLongerWanted, PredictionFailed, ServingError, VersionRefused
from serving.hosting import messages
from serving.hosting.messages import Began, Ended, Load, Loaded, Refused
from serving.lifeline import YIELDS
from serving.protocol import Answer, Decoder, Model, NotRows, Rows
from serving.runtimes import mlmodel, twin
from serving.runtimes.mlmodel import MlModel
from serving.settings import LOAD_SECONDS, Runtime
from serving.store import holds

log = logging.getLogger(__name__)

LONGEST_RETRY_SECONDS = 60
ASK_SECONDS = 0.25
"""Between two questions whether the version that is being tried is still wanted."""
ENDED_SECONDS = 1
"""For the news of a host's end to arrive after the end itself."""

T = TypeVar("T")
GONE = (EOFError, OSError, msgspec.DecodeError)
"""What a line to a host that is no more raises."""
_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Hosts:
    """How versions become models in this process: a twin here, anything else in a host."""

    def __init__(
        self,
        door: Path,
        runtime: Runtime = "auto",
        rules: Rules = STRICT,
        *,
        patience_seconds: float = LOAD_SECONDS,
    ) -> None:
        """`door`: the fork server's socket."""
        self._door, self._runtime, self._rules, self._patience_seconds = door, runtime, rules, patience_seconds

    def attempt(self, folder: Path, unwanted: Callable[[], bool] = lambda: False) -> None:
        """Load the version and predict its own example, away from here. VersionRefused with the reason.

        NoLongerWanted, and the process ended, soon after `unwanted` says so: it may hang.
        """
        self._start(folder, unwanted, YIELDS).close()

    def load(self, folder: Path, check: Callable[[], object] = lambda: None) -> Model:
        """VersionRefused, or what a twin raises.

        `check` raises VersionRefused where the files are not what they were: a host that dies is replaced from them.
        """
        about = mlmodel.read(folder)
        found = twin.usable(about, self._runtime)
        return found or HostedModel(about, lambda: self._start(folder), check)

    def _start(self, folder: Path, unwanted: Callable[[], bool] = lambda: False, nice: int = 0) -> "Host":
        began, wanted = Host(), Load(str(folder.resolve()), self._runtime, self._rules, nice)
        try:
            began.load(self._door, wanted, self._patience_seconds, unwanted)
        except FollowFailed:
            began.close()
            raise
        except GONE as error:
            began.close()
            raise VersionRefused("the process that tried it is gone, or was never there") from error
        return began


class Host:
    """A process that has a version loaded. It ends when this is closed or forgotten."""

    def __init__(self) -> None:
        self._control = socket.socket(socket.AF_UNIX)
        self._news = Connection(os.dup(self._control.fileno()), writable=False)
        self._idle: deque[Connection] = deque()
        self.pid = 0
        self.close: Callable[[], object] = weakref.finalize(self, _close, self._control, self._news, self._idle)

    def load(self, door: Path, wanted: Load, patience_seconds: float, unwanted: Callable[[], bool]) -> None:
        """VersionRefused, NoLongerWanted, or one of GONE."""
        until = time.monotonic() + patience_seconds
        self._control.connect(str(door))
        messages.ask_to_load(self._control, wanted)
        while (left := until - time.monotonic()) > 0:
            if unwanted():
                raise NoLongerWanted("another version is wanted by now")
            if not self._news.poll(min(left, ASK_SECONDS)):
                continue
            told = messages.about(self._news)
            match told:
                case Began():
                    self.pid = told.pid
                case Loaded():
                    self.loaded = told
                    return
                case Refused():
                    raise VersionRefused(told.reason)
                case Ended():
                    raise VersionRefused(f"it ended the process that tried it (status {told.status})")
        # Whoever is told so closes this, and the fork server then kills the process, wherever that is stuck.
        raise VersionRefused(f"it did not predict its own example within {patience_seconds:g} s")

    def call(self, work: Callable[[Connection], T]) -> T:
        """`work` on a line of its own to the model. What it raises, among them GONE."""
        channel = self._channel()
        try:
            done = work(channel)
        except GONE:
            channel.close()
            raise
        except ServingError:
            self._idle.append(channel)
            raise
        self._idle.append(channel)
        return done

    @property
    def ended(self) -> bool:
        """Has there been news since it was loaded? There is none but of its end."""
        try:
            self._control.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:  # closed here already
            return True
        return True

    def _channel(self) -> Connection:
        """EOFError when the host is gone; PredictionFailed when it is this process that has no room for one."""
        with suppress(IndexError):
            return self._idle.pop()
        try:
            return messages.give_channel(self._control)
        except OSError as error:
            if error.errno in _FULL:
                raise PredictionFailed from error
            raise EOFError from error

    def why_gone(self) -> str:
        """What the fork server says of its end, if it does."""
        with suppress(*GONE):
            if self._news.poll(ENDED_SECONDS) and isinstance(told := messages.about(self._news), Ended):
                return f"status {told.status}"
        return "unknown"


def _close(control: socket.socket, news: Connection, idle: deque[Connection]) -> None:
    control.close()
    news.close()
    while idle:
        idle.pop().close()


class HostedModel:
    """A version that needs its own library, as `Model`. When its host dies, the next call starts another one."""

    def __init__(self, about: MlModel, start: Callable[[], Host], check: Callable[[], object]) -> None:
        self.signature, self.platform, self.example = about.signature, about.platform, about.example
        self.plan: Decoder | None = plan.compile(about.signature) if about.signature.inputs else plan.FreePlan()
        self._folder, self._start, self._check = about.folder, start, check
        self._place = f"{about.folder.parent.name}/{about.folder.name}"  # of the store: the model, and its version
        holds.hold(about.folder, self)  # the next host comes from these files, although others are Production by then
        self._host: Host | None = start()
        self._starting = threading.Lock()
        self._refusals, self._not_before = 0, 0.0
        self._calls: dict[object, float] = {}
        """When each that runs began."""
        loaded = self._host.loaded
        self.runtime, self.joins, self.probabilities = loaded.runtime, loaded.joins, loaded.probabilities

    def predict(self, rows: Rows) -> Answer:
        try:
            return self._call(lambda channel: messages.ask(channel, rows))
        except NotRows:
            self.plan = None  # from now on MLflow itself reads and writes
            raise

    def invoke(self, media_type: str, body: bytes, most_rows: int | None = None) -> bytes:
        return self._call(lambda channel: messages.invoke(channel, media_type, body, most_rows))

    def end(self) -> None:
        """Its host, now rather than when nobody holds this any more; another call would start another one."""
        with self._starting:
            running, self._host = self._host, None
        if running is not None:
            running.close()

    def _call(self, work: Callable[[Connection], T]) -> T:
        running = self._running()
        call = object()
        self._calls[call] = time.monotonic()
        try:
            return running.call(work)
        except GONE as error:
            self._lost(running)
            raise PredictionFailed from error
        finally:
            del self._calls[call]

    def _running(self) -> Host:
        running = self._host
        if running is not None and not running.ended:
            return running
        if running is not None:
            self._lost(running)
        with self._starting:
            if self._host is None:
                self._host = self._started()
            return self._host

    def _started(self) -> Host:
        """PredictionFailed, at once while the last refusal is fresh: every caller who waits would try again else."""
        if time.monotonic() < self._not_before:
            raise PredictionFailed
        try:
            self._check()
            started = self._start()
        except (VersionRefused, OSError) as refusal:
            self._refusals += 1
            wait = min(2**self._refusals, LONGEST_RETRY_SECONDS)
            self._not_before = time.monotonic() + wait
            extra = {"folder": self._place, "reason": str(refusal), "retry_seconds": wait}
            log.error("host not started", extra=extra)
            raise PredictionFailed from refusal
        self._refusals = 0
        return started

    def _lost(self, running: Host) -> None:
        with self._starting:
            if self._host is not running:  # another caller has seen it too
                return
            self._host = None
        log.error("host died", extra={"folder": self._place, "pid": running.pid, "status": running.why_gone()})
        running.close()

    def end_late_calls(self, seconds: float) -> float:
        """End the host when a call in it takes longer than that. Answers in how many seconds one may.

        Those calls raise PredictionFailed; what is asked later gets another host.
        """
        running, now = self._host, time.monotonic()
        oldest = min(list(self._calls.values()), default=now)
        if now - oldest < seconds:
            return oldest + seconds - now
        with self._starting:
            if running is None or self._host is not running:  # it has died meanwhile, and those calls with it
                return seconds
            self._host = None
        extra = {"folder": self._place, "pid": running.pid, "seconds": round(now - oldest, 1)}
        log.error("host ended: a request hung in it after its version was swapped out", extra=extra)
        running.close()
        return seconds
