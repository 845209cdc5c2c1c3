"""What a load has met: every answer with its time, connection and version, and every request that had no right one."""

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLOSE = 1e-9


@dataclass(frozen=True)
class Question:
    """Rows that are asked in one request, and what each version answers to them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    answers: Mapping[int, Sequence[float]]

    @property
    def body(self) -> bytes:
        """As `/invocations` takes it."""
        return json.dumps({"dataframe_split": {"columns": self.columns, "data": self.rows}}).encode()

    def wrong(self, version: int, predictions: Sequence[Any]) -> str | None:
        """What is wrong with these predictions of `version`, if anything is."""
        wanted = self.answers.get(version)
        if wanted is None:
            return f"version {version} answered, of which nobody knows"
        if len(predictions) == len(wanted) and all(
            math.isclose(one, other, rel_tol=CLOSE) for one, other in zip(predictions, wanted, strict=True)
        ):
            return None
        return f"version {version} answered {list(predictions)[:5]} and not {list(wanted)[:5]}"


@dataclass(frozen=True)
class Failure:
    """A request that was refused, wrongly answered or not answered at all. `at`: of `time.monotonic()`."""

    at: float
    connection: int
    reason: str


@dataclass
class Record:
    """Written by whoever asks, read by whoever watches; times are those of `time.monotonic()`.

    A connection is named by its port on the caller's side: there `/proc` tells which process is at its other end.
    """

    failures: list[Failure] = field(default_factory=list)
    latest: dict[int, int] = field(default_factory=dict)
    """By connection that is open, the version of its last answer."""
    # Columns and not objects: half a million of those would keep the garbage collector busy beside the load.
    _began: "array[float]" = field(default_factory=lambda: array("d"))
    _seconds: "array[float]" = field(default_factory=lambda: array("d"))
    _connection: "array[int]" = field(default_factory=lambda: array("L"))
    _version: "array[int]" = field(default_factory=lambda: array("L"))

    def __len__(self) -> int:
        return len(self._version)

    def answered(self, began: float, ended: float, connection: int, version: int) -> None:
        self._began.append(began)
        self._seconds.append(ended - began)
        self._connection.append(connection)
        self._version.append(version)
        self.latest[connection] = version

    def answers(self) -> NDArray[Any]:
        """Of those so far, in the order in which they came: `began`, `seconds`, `connection`, `version`."""
        count = len(self._version)  # the last one that is written: the others have as many
        table = np.empty(count, [("began", "f8"), ("seconds", "f8"), ("connection", "i8"), ("version", "i8")])
        table["began"], table["seconds"] = self._began[:count], self._seconds[:count]
        table["connection"], table["version"] = self._connection[:count], self._version[:count]
        return table

    def all_answer(self, version: int, *, connections: int) -> bool:
        """Was this the version of the last answer on every connection, and are all of them open?"""
        return list(self.latest.values()) == [version] * connections

    def stories(self) -> dict[int, list[int]]:
        """By connection, the versions that answered on it, one after the other."""
        table = self.answers()
        return {
            connection: [
                version for version, _ in groupby(table["version"][table["connection"] == connection].tolist())
            ]
            for connection in np.unique(table["connection"]).tolist()
        }
