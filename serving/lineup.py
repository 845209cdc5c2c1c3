"""Which version of each model answers now, in this worker. Watcher and freshness write it, requests read it.

A `Standing` is never changed, only replaced by one assignment, so a request that holds one sees one version throughout.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from serving.errors import NotReady, UnknownModel
from serving.protocol import Model, Trial, Version
from serving.store.posted import Refusal
from serving.trials.shadow import Shadow
from serving.trials.tally import Counter, Tally
from serving.trust import Found

State = Literal["loading", "running", "out", "refused"]


@dataclass(frozen=True)
class Served:
    """A version and its loaded model."""

    version: Version
    model: Model
    inline_rows: int = 0
    """Up to so many rows it answers quicker than a queue would let it; measured when it was loaded."""
    trust: Found = "none"
    """What vouches for its files."""

    def at_once(self, rows: int) -> bool:
        """Is it quicker to ask the model here and now? Never for no rows: of those nothing was measured."""
        return 0 < rows <= self.inline_rows


@dataclass(frozen=True)
class Candidate:
    """What this worker does with the version beside Production."""

    trial: Trial
    state: State
    reason: str = ""
    """Why it is out, or refused."""
    served: Served | None = None
    """While it is running."""
    shadow: Shadow | None = None
    """As long as `served`."""
    counter: Counter | None = None
    """From its first moment on; what was counted is told afterwards, too."""

    def tally(self) -> Tally | None:
        """What was counted in this worker."""
        late = self.shadow.late() if self.shadow is not None else 0
        return self.counter.tally(late) if self.counter is not None else None


@dataclass(frozen=True)
class Standing:
    name: str
    served: Served | None = None
    waiting_for: str = "the registry has not been read yet"
    """Why nothing answers; only means something without `served`."""
    disagreements: tuple[str, ...] = ()
    refusal: Refusal | None = None
    registry_reachable: bool = True
    coming: bool = False
    """Is the first version being loaded, so that a moment's patience will help?"""
    candidate: Candidate | None = None
    read_ms: int | None = field(default=None, compare=False)
    """When the registry was last read for this model, since the epoch; None: never. Kept by `Lineup.put`."""
    stale: bool = field(default=False, compare=False)
    """Is that too long ago for anybody to know whether this is still what the registry says? Kept by `Lineup.put`."""

    @property
    def reaches_registry(self) -> bool:
        return self.registry_reachable and not self.stale

    def read_seconds_ago(self, now: float) -> float | None:
        """`now` as `time.time()` tells it."""
        return None if self.read_ms is None else max(round(now - self.read_ms / 1000, 1), 0)

    @property
    def why_not(self) -> str:
        """What a caller is told while nothing answers."""
        lost = "" if self.registry_reachable else "the registry is unreachable; last known: "
        return f"model '{self.name}' does not answer yet: {lost}{self.waiting_for}"


class Lineup:
    def __init__(self, names: tuple[str, ...], *, coming: bool = False, offline: bool = False) -> None:
        """`coming`: somebody is about to put what is known; until then it is worth waiting.

        `offline`: nobody asks the registry, whatever was known of it when the versions were posted.
        """
        self.names, self.offline = names, offline
        self._standings = {name: Standing(name, coming=coming) for name in names}
        self._putting = threading.Lock()
        self.leaving = False
        """Is this process about to stop? It answers still, and wants nothing more."""

    def __iter__(self) -> Iterator[Standing]:
        return iter(self._standings.values())

    def standing(self, name: str | None = None) -> Standing:
        """Of `name`, or of the model that answers /invocations. UnknownModel."""
        standing = self._standings.get(self.names[0] if name is None else name)
        if standing is None:
            raise UnknownModel(self.names)
        return standing

    def served(self, name: str | None = None) -> Served:
        """UnknownModel or NotReady, which says why."""
        standing = self.standing(name)
        if standing.served is None:
            raise NotReady(standing.why_not)
        return standing.served

    def why_not_ready(self) -> str:
        """Why nothing should be sent here; empty when every model answers."""
        if self.leaving:
            return "this server is about to stop; others take what comes"
        return "; ".join(standing.why_not for standing in self if standing.served is None)

    def tallies(self) -> list[Tally]:
        """What was counted in this worker, of every trial."""
        found = [each.candidate.tally() for each in self if each.candidate is not None]
        return [each for each in found if each is not None]

    def put(self, standing: Standing) -> None:
        """All of it but when the registry was read."""
        with self._putting:
            old = self._standings[standing.name]
            self._standings[standing.name] = replace(standing, read_ms=old.read_ms, stale=old.stale)

    def note_read(self, name: str, read_ms: int | None, *, stale: bool) -> None:
        """Nothing but that."""
        with self._putting:
            self._standings[name] = replace(self._standings[name], read_ms=read_ms, stale=stale)
