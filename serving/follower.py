"""Keep one model's place in the lineup true: notice a new Production version, fetch and try it, swap it in.

The only writer of the lineup. The old version answers until the new one has predicted its own input example.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from serving.errors import RegistryUnreachable, VersionRefused
from serving.lineup import Lineup, Refusal, Served
from serving.production import Decision, choose
from serving.protocol import Model, Registry, Version, View
from serving.store import Store

log = logging.getLogger(__name__)

PROMOTE = "promote one: python -m pipelines.promote"
LONGEST_RETRY_SECONDS = 60


@dataclass(frozen=True)
class Tools:
    """What a follower works with; `load` tries the model before it returns it."""

    registry: Registry
    store: Store
    lineup: Lineup
    load: Callable[[Path], Model]
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Attempt:
    """A refused version, and when to try it again: 2, 4, 8, ... seconds later."""

    version: Version
    failures: int
    not_before: float


@dataclass
class Outage:
    """Whether the registry answers; several followers notice at once, and the log should say it once."""

    since: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begins(self, now: float) -> bool:
        with self._lock:
            first, self.since = self.since is None, now if self.since is None else self.since
            return first

    def ends(self) -> float | None:
        """When it had begun, to the first who asks."""
        with self._lock:
            since, self.since = self.since, None
            return since


class Follower:
    """Keeps one model's standing in the lineup true."""

    def __init__(self, name: str, tools: Tools, outage: Outage) -> None:
        self.name = name
        self._tools = tools
        self._outage = outage
        self._decision: Decision | None = None
        self._reported: tuple[str, ...] = ()
        self._refused: Attempt | None = None

    def poll(self) -> None:
        """Read the registry once and do what it takes to serve what it says."""
        try:
            view = self._tools.registry.read(self.name)
        except RegistryUnreachable as error:
            self._registry_lost(error)
            return
        self._registry_found()
        self._decision = choose(self._decision, view)
        self._report((*self._decision.disagreements, *self._orphaned(view)))
        if self._decision.version is not None:
            self._serve(self._decision.version)
        else:
            self._put(waiting_for=f"{_missing(self.name, view)} yet; {PROMOTE}")

    def _registry_lost(self, error: RegistryUnreachable) -> None:
        if self._outage.begins(self._tools.clock()):
            log.warning("registry unreachable", extra={"reason": str(error)})
        self._put(registry_reachable=False)

    def _registry_found(self) -> None:
        since = self._outage.ends()
        if since is not None:
            log.info("registry is back", extra={"after_seconds": round(self._tools.clock() - since, 1)})
        self._put(registry_reachable=True)

    def _orphaned(self, view: View) -> Iterator[str]:
        served = self._tools.lineup.standing(self.name).served
        if served and self._decision and self._decision.version is None:
            # Somebody archived it before promoting the next one, perhaps; dropping requests would help nobody.
            yield f"{_missing(self.name, view)}; version {served.version.number} keeps answering; {PROMOTE}"

    def _report(self, sentences: tuple[str, ...]) -> None:
        """Log what a second poll still sees: `promote` changes stage and alias one after the other."""
        seen_before = self._tools.lineup.standing(self.name).disagreements
        if sentences == seen_before != self._reported:
            self._reported = sentences
            for sentence in sentences:
                log.warning("registry disagrees", extra={"model": self.name, "disagreement": sentence})
        self._put(disagreements=sentences)

    def _serve(self, wanted: Version) -> None:
        served = self._tools.lineup.standing(self.name).served
        if served and served.version == wanted:
            if served.version.tags != wanted.tags:
                self._put(served=replace(served, version=wanted))
            return
        if self._refused and self._refused.version == wanted and self._tools.clock() < self._refused.not_before:
            return
        began = self._tools.clock()
        try:
            model = self._prepare(wanted)
        except VersionRefused as error:
            self._refuse(wanted, str(error))
            return
        self._swap(Served(wanted, model), seconds=self._tools.clock() - began)

    def _prepare(self, wanted: Version) -> Model:
        log.info("version loading", extra={"model": self.name, "version": wanted.number})
        self._put(waiting_for=f"version {wanted.number} is being downloaded and tried")
        try:
            return self._tools.load(self._tools.store.fetch(wanted, self._tools.registry.download))
        except (Exception, SystemExit) as error:
            # Its files may be what is wrong, so the next attempt downloads them again.
            self._tools.store.forget(wanted)
            raise VersionRefused(f"{type(error).__name__}: {error}".splitlines()[0][:500]) from error

    def _refuse(self, wanted: Version, reason: str) -> None:
        failures = self._refused.failures + 1 if self._refused and self._refused.version == wanted else 1
        retry_seconds = min(2**failures, LONGEST_RETRY_SECONDS)
        self._refused = Attempt(wanted, failures, self._tools.clock() + retry_seconds)
        self._put(refusal=Refusal(wanted.number, reason), waiting_for=f"version {wanted.number} was refused: {reason}")
        extra = {"model": self.name, "version": wanted.number, "reason": reason, "retry_seconds": retry_seconds}
        log.error("version refused", extra=extra)

    def _swap(self, served: Served, *, seconds: float) -> None:
        standing = self._tools.lineup.standing(self.name)
        old = standing.served
        forgiven = standing.refusal and standing.refusal.number == served.version.number
        self._refused = None
        self._put(served=served, refusal=None if forgiven else standing.refusal)
        extra = {"model": self.name, "version": served.version.number, "seconds": round(seconds, 2)}
        log.info("model swapped", extra={**extra, "previous": old.version.number if old else None})
        # Requests may still run on the old one, and its model may read files as it predicts.
        self._tools.store.keep(self.name, {served.version, old.version} if old else {served.version})

    def _put(self, **changes: object) -> None:
        lineup = self._tools.lineup
        lineup.put(replace(lineup.standing(self.name), **changes))  # type: ignore[arg-type]  # fields of Standing


def _missing(name: str, view: View) -> str:
    return f"no version of '{name}' is Production" if view.registered else f"the registry has no model '{name}'"
