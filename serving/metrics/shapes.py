"""What a metric is, and where in a block its numbers are. Names none of ours: those are in `declared.py`.

A block is a row of doubles. Every label value inside of it is known beforehand, so a place in it needs no name.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True)
class Axis:
    """Labels that go together, and all the values they can have."""

    labels: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]


def axis(label: str, values: Iterable[str]) -> Axis:
    return Axis((label,), tuple((value,) for value in values))


@dataclass(frozen=True)
class Metric:
    """A counter or a histogram in a block. `bounds`: the upper ends of a histogram's buckets, without infinity."""

    name: str
    kind: Kind
    question: str
    axes: tuple[Axis, ...] = ()
    bounds: tuple[float, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Those inside of the block."""
        return tuple(label for axis in self.axes for label in axis.labels)

    @property
    def width(self) -> int:
        """Doubles of one series: a count, or the counts of all buckets and then the sum."""
        return len(self.bounds) + 2 if self.kind == "histogram" else 1

    @property
    def size(self) -> int:
        return prod(len(axis.values) for axis in self.axes) * self.width

    def series(self) -> Iterator[tuple[str, ...]]:
        """The label values of each series, in the order they have in a block."""
        for values in product(*(axis.values for axis in self.axes)):
            yield tuple(value for each in values for value in each)


@dataclass(frozen=True)
class Group:
    """The metrics of one kind of block."""

    name: str
    labels: tuple[str, ...]
    """Of the whole block."""
    metrics: tuple[Metric, ...]
    kept: tuple[str, ...] = ()
    """Doubles that others read but nobody is shown."""

    @cached_property
    def starts(self) -> dict[str, int]:
        """Where each metric, and what is only kept, begins."""
        found, at = {}, 0
        for metric in self.metrics:
            found[metric.name] = at
            at += metric.size
        return found | {name: at + place for place, name in enumerate(self.kept)}

    @property
    def size(self) -> int:
        return sum(metric.size for metric in self.metrics) + len(self.kept)


@dataclass(frozen=True)
class Computed:
    """A metric that is in no block: worked out anew each time. `merge`: what the values of several workers become."""

    name: str
    kind: Kind
    question: str
    labels: tuple[str, ...] = ()
    merge: Literal["sum", "max"] = "sum"
