"""Count what it takes to follow the registry: in the syncer by the thread of each model, in workers by the watcher."""

import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from serving.metrics import block
from serving.metrics.block import Found, Values
from serving.metrics.declared import FOLLOWING, LONG_SECONDS, SLOTS

_AT = FOLLOWING.starts
_POLLS = {True: _AT["slipway_registry_polls_total"], False: _AT["slipway_registry_polls_total"] + 1}
_REFUSALS = {"syncer": _AT["slipway_refusals_total"], "worker": _AT["slipway_refusals_total"] + 1}
_SWAPS = {slot: _AT["slipway_swaps_total"] + place for place, slot in enumerate(SLOTS)}


class Following:
    """`folder`: the process's own; without one nobody else reads what is counted.

    Any thread may count: one follows a model, another one prepares its candidate.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._models: dict[str, Values] = {}
        self._counting = threading.Lock()

    def began(self, name: str) -> None:
        """The registry is asked from now on: until it answers, its age counts from here."""
        with self._counting:
            values = self._of(name)
            values[_AT["read"]] = values[_AT["read"]] or time.monotonic()

    def polled(self, name: str, *, answered: bool) -> None:
        with self._counting:
            values = self._of(name)
            values[_POLLS[answered]] += 1
            if answered:
                values[_AT["read"]] = time.monotonic()

    def downloaded(self, name: str, *, seconds: float, size: int) -> None:
        """`size`: bytes."""
        with self._counting:
            values = self._of(name)
            _observe(values, _AT["slipway_download_seconds"], seconds)
            values[_AT["slipway_download_bytes_total"]] += size

    def refused(self, name: str, by: str) -> None:
        """`by`: syncer or worker."""
        with self._counting:
            self._of(name)[_REFUSALS[by]] += 1

    def swapped(self, name: str, slot: str, *, seconds: float) -> None:
        """`slot`: production or candidate."""
        with self._counting:
            values = self._of(name)
            values[_SWAPS[slot]] += 1
            _observe(values, _AT["slipway_load_seconds"], seconds)

    def blocks(self) -> Iterator[Found]:
        for name, values in list(self._models.items()):
            yield Found(FOLLOWING.name, (name,), values.tobytes())

    def _of(self, name: str) -> Values:
        found = self._models.get(name)
        if found is None:
            found = self._models[name] = block.opened(self._folder, FOLLOWING.name, (name,), FOLLOWING.size)
        return found


def _observe(values: Values, at: int, seconds: float) -> None:
    values[at + bisect_left(LONG_SECONDS, seconds)] += 1
    values[at + len(LONG_SECONDS) + 1] += seconds
