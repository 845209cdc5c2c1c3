"""Stage `ingest`: the source, as it is, becomes data/raw, which DVC versions.

Nothing is cleaned here: raw data stays what it was.
"""

from bisect import bisect_left
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
from dotenv import load_dotenv

from pipelines import data
from pipelines.cli import stage_params
from pipelines.errors import BadData, run
from pipelines.progress import say


def main() -> None:
    load_dotenv(".env")  # where s3:// is
    params = stage_params(__doc__).ingest
    frame, about = data.read(params.source)
    write(frame, data.RAW, source=about.source)
    data.write_json(data.ABOUT, about.model_dump(mode="json"))
    say(f"ingest: {about.rows} rows, {len(about.columns)} columns from {about.source}")


def write(frame: pd.DataFrame, path: Path, *, source: str) -> None:
    """As Parquet; BadData names the column and the row of what cannot be kept in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        frame.to_parquet(path, index=False)
    except (pa.ArrowException, OverflowError) as cause:
        raise BadData(f"{source}: {_misfit(frame) or cause}") from cause


def _misfit(frame: pd.DataFrame) -> str:
    """The first value that does not go into one column with those above it; empty when it is something else."""
    for name, values in frame.items():
        row = bisect_left(range(1, len(values) + 1), True, key=partial(_is_no_column, values))
        if row < len(values):
            return f"column {name!r}, row {row + 1}: {values.iloc[row]!r} is too large, or no value like those above it"
    return ""


def _is_no_column(values: pd.Series, rows: int) -> bool:
    """Can the first `rows` values not be one column?"""
    try:
        pa.array(values[:rows], from_pandas=True)
    except (pa.ArrowException, OverflowError):
        return True
    return False


if __name__ == "__main__":
    run(main)
