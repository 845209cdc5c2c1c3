"""Add up what all processes have counted, and what those that live say of themselves. Only reads."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.metrics import answers, block, now, usage
from serving.metrics.block import Found
from serving.metrics.declared import (
    AGE,
    ANSWERS,
    CPU,
    FOLLOWING,
    GROUPS,
    MEMORY,
    MEMORY_LIMIT,
    OF_WORKERS,
    PROCESSES,
    RUNNING,
    STARTED,
)
from serving.metrics.now import Gauge, Now
from serving.metrics.usage import Usage

SHOWN_VERSIONS = 4
"""Of one model: those in the lineup, and the last ones that were. Each has some hundred series."""
FORK_SERVER = "fork-server"

Doubles = NDArray[np.float64]
Labels = tuple[str, ...]


@dataclass(frozen=True)
class Merged:
    """`blocks`: by group and labels. `gauges`: by name and label values."""

    blocks: Mapping[tuple[str, Labels], Doubles]
    gauges: Mapping[str, Mapping[Labels, float]] = field(default_factory=dict)


def of_one(found: Iterable[Found], gauges: Iterable[Gauge]) -> Merged:
    """Of a process that has no folder to share."""
    found = list(found)
    return Merged(_summed(found), _merged([*gauges, *_ages(found)]))


def of_all(root: Path, more: Iterable[Gauge] = ()) -> Merged:
    """Of every process below `root`: what the dead have counted stays, what they said of themselves does not.

    `more`: gauges that are no process's own.
    """
    found = list(block.read(root))
    living = [
        Process(kind, name, since, used, now.told(root / name, pid))
        for (kind, name), pid, since in _started(found)
        # The supervisor may not have noticed yet that one has ended.
        if pid and (used := usage.of(pid)) and not used.ended
    ]
    said = [gauge for each in living for gauge in each.now.gauges]
    return Merged(_summed(found), _merged([*said, *_ages(found), *_used(living), *more]))


@dataclass(frozen=True)
class Process:
    kind: str
    name: str
    since: float
    used: Usage
    now: Now


def _started(found: Iterable[Found]) -> Iterator[tuple[Labels, int, float]]:
    """Labels, pid and start of whatever the supervisor has started."""
    at = PROCESSES.starts
    for each in found:
        if each.group == PROCESSES.name and len(each.values) == 8 * PROCESSES.size:
            values = _doubles(each)
            yield each.labels, int(values[at["pid"]]), float(values[at["started"]])


def _doubles(found: Found) -> Doubles:
    return np.frombuffer(found.values, np.float64)


def _summed(found: list[Found]) -> dict[tuple[str, Labels], Doubles]:
    blocks: dict[tuple[str, Labels], Doubles] = {}
    shown = _shown(found)
    for each in found:
        group = GROUPS[each.group]
        if (group is ANSWERS and each.labels not in shown) or len(each.values) != 8 * group.size:
            continue
        key = each.group, each.labels
        values = _doubles(each)
        blocks[key] = blocks[key] + values if key in blocks else values
    return blocks


def _shown(found: Iterable[Found]) -> set[Labels]:
    """Model and version, the latest ones of each model; chosen here, so that all workers' shares go at once."""
    seen: dict[str, dict[Labels, float]] = defaultdict(dict)
    for each in found:
        if each.group == ANSWERS.name:
            of_model = seen[each.labels[0]]
            of_model[each.labels] = max(of_model.get(each.labels, 0), answers.last_seen(each))
    return {
        labels
        for of_model in seen.values()
        for labels in sorted(of_model, key=of_model.__getitem__, reverse=True)[:SHOWN_VERSIONS]
    }


def _ages(found: Iterable[Found]) -> Iterator[Gauge]:
    for each in found:
        if each.group == FOLLOWING.name and (read := _doubles(each)[FOLLOWING.starts["read"]]):
            yield AGE.name, each.labels, max(time.monotonic() - float(read), 0)


def _used(living: Iterable[Process]) -> Iterator[Gauge]:
    yield MEMORY_LIMIT.name, (), usage.memory_limit()
    for each in living:
        yield STARTED.name, (each.kind, each.name), each.since
        yield from _one(each.kind, each.name, each.used)
        if each.kind == FORK_SERVER and (hosts := usage.of_hosts(each.now.pid, each.now.hosts)):
            yield from _one("host", "hosts", hosts, running=len(each.now.hosts))


def _one(kind: str, name: str, used: Usage, *, running: int = 1) -> Iterator[Gauge]:
    yield RUNNING.name, (kind,), running
    yield CPU.name, (kind, name), used.cpu_seconds
    yield MEMORY.name, (kind, name), used.resident_bytes


def _merged(gauges: Iterable[Gauge]) -> dict[str, dict[Labels, float]]:
    found: dict[str, dict[Labels, float]] = defaultdict(dict)
    for name, labels, value in gauges:
        of_name = found[name]
        known = of_name.get(tuple(labels))
        highest = name in OF_WORKERS and OF_WORKERS[name].merge == "max"
        of_name[tuple(labels)] = value if known is None else max(known, value) if highest else known + value
    return found
