"""Know a file again: its md5, its size, and two sums that tell a single changed byte without the original.

With the sums a = Σ bᵢ and b = Σ i·bᵢ over its bytes, one byte changed by d moves a by d and b by i·d, so i is their
quotient (the idea of Fletcher's checksum, without its modulus). The md5 with that byte put back proves it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

BLOCK = 1 << 20
"""Bytes; a block's weighted sum is at most 2^20 * 2^20 * 255 and fits 64 bits."""


class Fingerprint(BaseModel, frozen=True):
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """As DVC writes it."""
    size: int
    """Bytes."""
    sums: tuple[int, int]


@dataclass(frozen=True)
class ChangedByte:
    """The only difference between a file and what it was."""

    offset: int
    """From 0."""
    now: int
    was: int

    def __str__(self) -> str:
        return f"byte {self.offset} is 0x{self.now:02x} and was 0x{self.was:02x}"


def fingerprint(path: Path) -> Fingerprint:
    digest, size, plain, weighted = hashlib.md5(usedforsecurity=False), 0, 0, 0
    for block in _blocks(path):
        digest.update(block)
        values = np.frombuffer(block, np.uint8).astype(np.uint64)
        total = int(values.sum())
        plain += total
        weighted += size * total + int(values @ np.arange(len(values), dtype=np.uint64))
        size += len(block)
    return Fingerprint(md5=digest.hexdigest(), size=size, sums=(plain, weighted))


def changed_byte(path: Path, was: Fingerprint) -> ChangedByte | None:
    """The byte that makes `path` differ from `was`; None when it is not exactly one."""
    now = fingerprint(path)
    step = now.sums[0] - was.sums[0]
    if now.size != was.size or step == 0:
        return None
    offset, rest = divmod(now.sums[1] - was.sums[1], step)
    if rest or not 0 <= offset < now.size:
        return None
    found = _byte(path, offset)
    if not 0 <= found - step <= 255:
        return None
    change = ChangedByte(offset, found, found - step)
    return change if _md5_with(path, change) == was.md5 else None


def restored(path: Path, change: ChangedByte) -> bytes:
    """What the file was."""
    content = bytearray(path.read_bytes())
    content[change.offset] = change.was
    return bytes(content)


def _byte(path: Path, offset: int) -> int:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(1)[0]


def _md5_with(path: Path, change: ChangedByte) -> str:
    digest, start = hashlib.md5(usedforsecurity=False), 0
    for block in _blocks(path):
        if start <= change.offset < start + len(block):
            at = change.offset - start
            block = block[:at] + bytes([change.was]) + block[at + 1 :]  # noqa: PLW2901
        digest.update(block)
        start += len(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
