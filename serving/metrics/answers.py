"""Count requests and calls of models in one worker. On the way of every request: a few additions and no lock.

To be called in the worker's event loop only.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from struct import unpack_from

from serving.metrics import block
from serving.metrics.block import Found, Values
from serving.metrics.declared import ANSWERS, CODES, COUNTS, OK, OTHER, PHASES, ROUTES, SECONDS

KEPT_VERSIONS = 6
"""Of one model, here: more than are shown (`merged.py`), so that all workers stop showing one at the same moment."""

_REQUESTS = ANSWERS.starts["slipway_requests_total"]
_PHASES = ANSWERS.starts["slipway_request_seconds"]
_ROWS = ANSWERS.starts["slipway_batch_rows"]
_JOINED = ANSWERS.starts["slipway_batch_requests"]
_SEEN = ANSWERS.starts["seen"]
_CODE = {code: place for place, code in enumerate(CODES)}
_SUM = len(SECONDS) + 1
_PHASE_WIDTH = len(SECONDS) + 2
_ROUTE_WIDTH = _PHASE_WIDTH * len(PHASES)
_COUNT_SUM = len(COUNTS) + 1
_OK_OF = tuple(_REQUESTS + place * len(CODES) + _CODE[OK] for place in range(len(ROUTES)))
_PHASES_OF = tuple(_PHASES + place * _ROUTE_WIDTH for place in range(len(ROUTES)))


class VersionCounts:
    """Of one version."""

    __slots__ = ("_values",)

    def __init__(self, values: Values) -> None:
        self._values = values

    def answered(self, route: int, phases: tuple[float, float, float, float, float]) -> None:
        """A request, and the seconds of each of PHASES."""
        values = self._values
        values[_OK_OF[route]] += 1
        at = _PHASES_OF[route]
        for seconds in phases:
            values[at + bisect_left(SECONDS, seconds)] += 1
            values[at + _SUM] += seconds
            at += _PHASE_WIDTH

    def ended(self, route: int, code: str = OK) -> None:
        """A request without phases: one that was refused, or a stream."""
        place = _CODE.get(code)
        self._values[_REQUESTS + route * len(CODES) + (_CODE[OTHER] if place is None else place)] += 1

    def called(self, rows: int, requests: int) -> None:
        """The model, once."""
        values = self._values
        values[_ROWS + bisect_left(COUNTS, rows)] += 1
        values[_ROWS + _COUNT_SUM] += rows
        values[_JOINED + bisect_left(COUNTS, requests)] += 1
        values[_JOINED + _COUNT_SUM] += requests

    def seen(self) -> None:
        """It is in the lineup now."""
        self._values[_SEEN] = time.monotonic()

    @property
    def last_seen(self) -> float:
        return float(self._values[_SEEN])

    def found(self, name: str, number: str) -> Found:
        return Found(ANSWERS.name, (name, number), self._values.tobytes())


class Counts:
    """Of all versions in one worker. `folder`: its own; without one nobody else reads them."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._versions: dict[tuple[str, int], VersionCounts] = {}
        self.nobody = VersionCounts(block.opened(folder, ANSWERS.name, ("", ""), ANSWERS.size))
        """Of requests that no version was found for; whatever they ask for is not a label."""

    def of(self, name: str, number: int) -> VersionCounts:
        """`name`: of a model in the lineup."""
        return self._versions.get((name, number)) or self._begun(name, number)

    def blocks(self) -> Iterator[Found]:
        yield self.nobody.found("", "")
        for (name, number), counts in list(self._versions.items()):
            yield counts.found(name, str(number))

    def _begun(self, name: str, number: int) -> VersionCounts:
        values = block.opened(self.folder, ANSWERS.name, (name, str(number)), ANSWERS.size)
        counts = self._versions[name, number] = VersionCounts(values)
        counts.seen()
        if self.folder is not None:
            self._adopt(self.folder, name)
        self._forget(name)
        return counts

    def _adopt(self, folder: Path, name: str) -> None:
        """What this worker's predecessor has counted for other versions is this one's to forget."""
        for found in block.read(folder, f"{ANSWERS.name}-*"):
            if found.labels[0] == name and (name, int(found.labels[1])) not in self._versions:
                values = block.opened(folder, ANSWERS.name, found.labels, ANSWERS.size)
                self._versions[name, int(found.labels[1])] = VersionCounts(values)

    def _forget(self, name: str) -> None:
        mine = [key for key in self._versions if key[0] == name]
        mine.sort(key=lambda key: self._versions[key].last_seen, reverse=True)
        for model, number in mine[KEPT_VERSIONS:]:
            del self._versions[model, number]
            if self.folder is not None:
                block.path(self.folder, ANSWERS.name, (model, str(number))).unlink(missing_ok=True)


def last_seen(found: Found) -> float:
    seen: float = unpack_from("d", found.values, 8 * _SEEN)[0]
    return seen
