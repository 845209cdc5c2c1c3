"""Which version of each model answers now, in this worker. The watcher writes it, requests read it.

A `Standing` is never changed, only replaced by one assignment, so a request that holds one sees one version throughout.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from serving.errors import NotReady, UnknownModel
from serving.posted import Refusal
from serving.protocol import Model, Version
from serving.trust import Found


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

    def put(self, standing: Standing) -> None:
        self._standings[standing.name] = standing
