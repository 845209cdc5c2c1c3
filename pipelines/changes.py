"""Say where data differs from what it was: which byte, and in a table which row and column. Pure but for reading files.

The original may be at hand; when it is not and a single byte has changed, the fingerprint is enough to find it.
"""

from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa

from pipelines.fingerprint import Fingerprint, changed_byte, fingerprint, restored


def told(path: Path, was: Fingerprint, original: Path | None = None) -> str:
    """What of `path` is not as `was` says, as a sentence; empty when nothing is."""
    now = fingerprint(path)
    if now.md5 == was.md5:
        return ""
    said = [f"md5 {now.md5}, not {was.md5}"]
    if now.size != was.size:
        said.append(f"{now.size} bytes, not {was.size}")
    if change := changed_byte(path, was):
        said.append(str(change))
        said.append(cell(path.read_bytes(), restored(path, change)))
    elif original is not None and fingerprint(original).md5 == was.md5:
        said.append(_first_byte(path, original))
        said.append(cell(path.read_bytes(), original.read_bytes()))
    else:
        said.append("more than one byte has changed" if now.size == was.size else "")
    return "; ".join(filter(None, said))


def cell(now: bytes, was: bytes) -> str:
    """The first cell of a Parquet table that is another; empty for what is no table, or differs in no cell."""
    try:
        before = pd.read_parquet(BytesIO(was))
    except (pa.ArrowException, OSError):
        return ""
    try:
        after = pd.read_parquet(BytesIO(now))
    except (pa.ArrowException, OSError, ValueError):
        return "it can no longer be read as Parquet"
    if list(before.columns) != list(after.columns):
        return "its columns are others"
    if len(before) != len(after):
        return f"{len(after)} rows, not {len(before)}"
    return _first_cell(before, after)


def _first_cell(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """Rows as validate counts them, from 1."""
    other = ~((before == after) | (before.isna() & after.isna()))
    cells = int(other.to_numpy().sum())
    if not cells:
        return "every cell is the same"
    row = int(other.any(axis="columns").to_numpy().argmax())
    name = other.columns[other.iloc[row]][0]
    more = f", and {cells - 1} more cells" if cells > 1 else ""
    return f"column {name!r}, row {row + 1}: {after[name].iloc[row]!r} was {before[name].iloc[row]!r}{more}"


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
