"""Numbers that one process writes and others read at any moment, its death included: doubles in a mapped file.

A process has a folder of its own below the one that all of them share, and one file a block in it. Who is started again
goes on in its predecessor's files. To write costs what writing to a list costs; nobody locks anything, for a double is
written at once and has one writer.
"""

import hashlib
import json
import logging
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

log = logging.getLogger(__name__)

HEADER = 4096
"""Bytes before the numbers, which hold the labels: a page, so that the numbers are aligned."""
_SUFFIX = ".block"

Values: TypeAlias = "memoryview[float]"
"""Doubles."""


@dataclass(frozen=True)
class Found:
    """A block as it was a moment ago. `values`: doubles."""

    group: str
    labels: tuple[str, ...]
    values: bytes


def path(folder: Path, group: str, labels: tuple[str, ...]) -> Path:
    return folder / f"{group}-{hashlib.sha256(json.dumps(labels).encode()).hexdigest()[:16]}{_SUFFIX}"


def opened(folder: Path | None, group: str, labels: tuple[str, ...], size: int) -> Values:
    """`size` doubles, as they were left or 0. Where `folder` is None or has no room they are only this process's."""
    if folder is not None:
        try:
            return _mapped(path(folder, group, labels), labels, size)
        except OSError as error:  # an answer that is not counted is better than none
            log.error("nothing counted", extra={"group": group, "reason": error.strerror})
    return memoryview(bytearray(8 * size)).cast("d")


def _mapped(file: Path, labels: tuple[str, ...], size: int) -> Values:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        # Zeros and not a hole: no room for them is an error here, but would be a SIGBUS at some later count.
        fresh.write_bytes(json.dumps(labels).encode().ljust(HEADER, b"\0") + bytes(8 * size))
        fresh.replace(file)  # whole for whoever reads it, or not there
    with file.open("r+b") as opening:
        return memoryview(mmap.mmap(opening.fileno(), 0))[HEADER:].cast("d")


def read(root: Path, pattern: str = "*/*") -> Iterator[Found]:
    """The blocks of all processes below `root`."""
    for file in root.glob(pattern + _SUFFIX):
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # a version that was forgotten just now
            continue
        labels = tuple(json.loads(content[:HEADER].rstrip(b"\0")))
        yield Found(file.name.partition("-")[0], labels, content[HEADER:])


def process_folder(root: Path, program: str) -> Path:
    return root / program.replace(" ", "-")


def kind_of(program: str) -> str:
    """`worker` of `worker 2`."""
    return program.rstrip("0123456789").rstrip().replace(" ", "-")
