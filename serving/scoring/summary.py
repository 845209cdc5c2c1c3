"""What a whole file was answered: counts of classes, or mean, least and greatest. Pure, and fed a part at a time."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import compute

MOST_CLASSES = 20
"""More different answers than these are numbers or texts like any, and are not counted one by one."""


class Answers:
    """Of one column."""

    def __init__(self) -> None:
        self._classes: Counter[object] | None = Counter()
        self._sum, self._rows, self._missing = 0.0, 0, 0
        self._least: float | None = None
        self._greatest: float | None = None
        self._is_number = False

    def add(self, column: Any) -> None:
        kind = column.type
        self._is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        known = compute.drop_null(column)
        if pa.types.is_floating(kind):
            self._classes = None
            known = known.filter(compute.invert(compute.is_nan(known)))
        self._missing += len(column) - len(known)
        self._rows += len(known)
        self._count(known)
        if self._is_number and len(known):
            bounds = compute.min_max(known).as_py()
            self._sum += compute.sum(known.cast(pa.float64())).as_py()
            self._least = bounds["min"] if self._least is None else min(self._least, bounds["min"])
            self._greatest = bounds["max"] if self._greatest is None else max(self._greatest, bounds["max"])

    def __str__(self) -> str:
        missing = f", {self._missing:,} missing" if self._missing else ""
        if self._classes:
            counts = sorted(self._classes.items(), key=lambda each: (-each[1], str(each[0])))
            return ", ".join(f"{value} {count:,} times" for value, count in counts) + missing
        if self._is_number and self._rows:
            mean = self._sum / self._rows
            return f"mean {mean:.6g}, min {self._least:.6g}, max {self._greatest:.6g}{missing}"
        return f"{self._rows:,} of more than {MOST_CLASSES} values{missing}" if self._rows else "none" + missing

    def _count(self, known: Any) -> None:
        if self._classes is None:
            return
        for each in compute.value_counts(known):
            self._classes[each["values"].as_py()] += each["counts"].as_py()
            if len(self._classes) > MOST_CLASSES:
                self._classes = None
                return


class Predictions:
    """Of all columns that are no keys."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = keys
        self.columns: dict[str, Answers] = {}

    def add(self, part: Any) -> None:
        """A table of answers."""
        for name in part.column_names:
            if name not in self._keys:
                self.columns.setdefault(name, Answers()).add(part.column(name))


@dataclass(frozen=True)
class Done:
    """A file that is scored. `seconds` are this run's; `rows_before` were answered by an earlier one."""

    rows: int
    rows_before: int
    seconds: float
    predictions: Predictions

    def lines(self, version: str, runtime: str, out: str) -> Iterator[str]:
        before = f", {self.rows_before:,} of them by an earlier run" if self.rows_before else ""
        yield f"rows      {self.rows:,}{before}"
        yield f"seconds   {self.seconds:.1f}"
        yield f"rows/s    {(self.rows - self.rows_before) / self.seconds:,.0f}"
        yield f"version   {version}"
        yield f"runtime   {runtime}"
        for name, found in self.predictions.columns.items():
            yield f"{name:<9} {found}"
        yield f"written   {out}"
