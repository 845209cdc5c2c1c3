"""Say where data differs from what it was: which byte, and in a table which row and column. Pure but for reading files.

The original may be at hand; when it is not and a single byte has changed, the fingerprint is enough to find it.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.fingerprint import Fingerprint, changed_byte, fingerprint, restored

LARGEST_TABLE = 500_000_000
"""Bytes. Two tables are held in memory to be compared; of larger ones only the byte is named."""


def told(path: Path, was: Fingerprint, original: Path | None = None) -> str:
    """What of `path` is not as `was` says, as a sentence; empty when nothing is."""
    now = fingerprint(path)
    if now.md5 == was.md5:
        return ""
    said = [f"md5 {now.md5}, not {was.md5}"]
    if now.size != was.size:
        said.append(f"{now.size} bytes, not {was.size}")
    small = max(now.size, was.size) <= LARGEST_TABLE
    if change := changed_byte(path, was):
        said += [str(change), _cell(path.read_bytes(), restored(path, change)) if small else ""]
    elif original is not None and fingerprint(original).md5 == was.md5:
        said += [_first_byte(path, original), _cell(path.read_bytes(), original.read_bytes()) if small else ""]
    elif now.size == was.size:
        said.append("more than one byte has changed")
    return "; ".join(filter(None, said))


def _cell(now: bytes, was: bytes) -> str:
    """The first cell of a Parquet table that is another; empty for what is no table."""
    try:
        before = pd.read_parquet(BytesIO(was))
    except (pa.ArrowException, OSError):
        return ""
    try:
        return _first_cell(before, pd.read_parquet(BytesIO(now)))
    except (pa.ArrowException, OSError, ValueError):
        return "it can no longer be read as Parquet"


def _first_cell(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """Rows as `validate` counts them, from 1."""
    if list(before.columns) != list(after.columns):
        return "its columns are others"
    if len(before) != len(after):
        return f"{len(after)} rows, not {len(before)}"
    # As texts, for a damaged table may hold anything.
    ours, theirs = (frame.map(str).to_numpy(object) for frame in (before, after))
    other = ours != theirs
    if not other.any():
        return "every cell is the same"
    row, column = (int(at) for at in np.argwhere(other)[0])
    more = f", and {other.sum() - 1} more" if other.sum() > 1 else ""
    return f"column {before.columns[column]!r}, row {row + 1}: {theirs[row, column]!r} was {ours[row, column]!r}{more}"


def _first_byte(path: Path, original: Path) -> str:
    with path.open("rb") as now, original.open("rb") as was:
        start = 0
        while True:
            ours, theirs = now.read(1 << 20), was.read(1 << 20)
            if ours != theirs:
                same = next(
                    (at for at, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other), None
                )
                return f"the first other byte is {start + (min(len(ours), len(theirs)) if same is None else same)}"
            start += len(ours)
