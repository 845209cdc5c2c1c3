"""Fetch a version, check it and try it away from here; and remember which ones were refused, and when to try again.

The same for Production and for a candidate. Runs in the syncer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serving.errors import NoLongerWanted, VersionRefused
from serving.metrics.following import Following
from serving.protocol import Registry, Version
from serving.store.posted import Board
from serving.store.versions import Store
from serving.trust import Trust

LONGEST_RETRY_SECONDS = 60


@dataclass(frozen=True)
class Tools:
    """What a follower works with.

    `attempt` raises when the version in a folder cannot be served, and NoLongerWanted soon after it is told so.
    """

    registry: Registry
    store: Store
    board: Board
    attempt: Callable[[Path, Callable[[], bool]], None]
    trust: Trust
    clock: Callable[[], float] = time.monotonic
    counts: Following = field(default_factory=Following)


def prepare(tools: Tools, wanted: Version, unwanted: Callable[[], bool]) -> str:
    """Its folder, below the store, once it has predicted its own input example.

    VersionRefused with a reason; NoLongerWanted when `unwanted` says so before it has.
    """
    try:
        folder = tools.store.fetch(wanted, tools.registry.download, tools.registry.size)
        tools.trust.check(folder, wanted)
        tools.attempt(folder, unwanted)
    except NoLongerWanted:
        raise
    except (Exception, SystemExit) as error:
        # Its files may be what is wrong, so the next attempt downloads them again.
        tools.store.forget(wanted)
        said = str(error) if isinstance(error, VersionRefused) else f"{type(error).__name__}: {error}"
        raise VersionRefused(said.splitlines()[0][:500]) from error
    return str(folder.relative_to(tools.store.folder))


@dataclass(frozen=True)
class Attempt:
    """A refused version, and when to try it again: 2, 4, 8, ... seconds later."""

    version: Version
    failures: int
    not_before: float


class Attempts:
    """At one slot of one model."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._refused: Attempt | None = None

    def too_early(self, wanted: Version) -> bool:
        """Were these files refused a moment ago?"""
        before = self._before(wanted)
        return before is not None and self._clock() < before.not_before

    def refused(self, wanted: Version) -> int:
        """After how many seconds it is tried again."""
        before = self._before(wanted)
        failures = before.failures + 1 if before is not None else 1
        retry_seconds: int = min(2**failures, LONGEST_RETRY_SECONDS)
        self._refused = Attempt(wanted, failures, self._clock() + retry_seconds)
        return retry_seconds

    def forgive(self) -> None:
        self._refused = None

    def _before(self, wanted: Version) -> Attempt | None:
        return self._refused if self._refused and self._refused.version.has_files_of(wanted) else None
