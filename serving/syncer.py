"""Follow the registry: one thread a model, so that a long download holds up nobody else.

What a thread does at each poll is in `follower.py`.
"""

import logging
import threading
from collections.abc import Callable

from serving.follower import Follower, Outage, Tools

log = logging.getLogger(__name__)


class Syncer:
    def __init__(self, tools: Tools, *, poll_seconds: float, prepare: Callable[[], None] = lambda: None) -> None:
        """`prepare` is called after the first poll: it may take a while to make later ones quick."""
        outage = Outage()
        self._followers = [Follower(name, tools, outage) for name in tools.lineup.names]
        self._poll_seconds = poll_seconds
        self._prepare = prepare
        self._stopping = threading.Event()
        self._told: dict[Callable[[], None], str] = {}

    def start(self) -> None:
        for follower in self._followers:
            # Daemons: a download that hangs must not keep the process from ending.
            threading.Thread(target=self._follow, args=[follower], name=f"follow {follower.name}", daemon=True).start()

    def stop(self) -> None:
        """No new poll begins; one that runs is not waited for."""
        self._stopping.set()

    def _follow(self, follower: Follower) -> None:
        self._guarded(follower.name, follower.poll)
        self._guarded(follower.name, self._prepare)
        while not self._stopping.wait(self._poll_seconds):
            self._guarded(follower.name, follower.poll)

    def _guarded(self, name: str, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if self._told.get(step) != told:  # once, not every second
                log.exception("following stumbled", extra={"model": name})
            self._told[step] = told
        else:
            self._told.pop(step, None)
