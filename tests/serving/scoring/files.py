"""Files of rows for the tests, and what came of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from serving.protocol import Model, Version
from serving.scoring.asking import Task
from serving.scoring.here import overlapping
from serving.scoring.places import place
from serving.scoring.progress import Advance
from serving.scoring.reading import Source
from serving.scoring.summary import Done
from serving.scoring.work import Progress, score
from tests.fakes import a_version


def a_table(rows: int) -> Any:
    """Rows whose answer is 3 * x for a slope of 3."""
    return pa.table(
        {
            "id": [f"{row:04}" for row in range(rows)],
            "x": [row / 2 for row in range(rows)],
            "size": [1.0] * rows,
        }
    )


def parquet(file: Path, table: Any, *, group_rows: int = 1000) -> Path:
    pq.write_table(table, file, row_group_size=group_rows)
    return file


def comma_separated(file: Path, table: Any) -> Path:
    csv.write_csv(table, file)
    return file


def source(file: Path) -> Source:
    return Source(place(str(file)))


class Saying:
    """What a run tells; nothing of its progress is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.rows: list[int] = []

    @contextmanager
    def shown(self, *, total: int | None, done: int) -> Iterator[Advance]:
        yield self.rows.append

    @property
    def progress(self) -> Progress:
        return Progress(self.shown, self.lines.append)


def scored(
    given: Path,
    out: Path,
    model: Model,
    saying: Saying | None = None,
    *,
    version: Version | None = None,
    **options: Any,
) -> Done:
    task = Task(source(given), place(str(out)), **options)
    return score(task, version or a_version(7), model, overlapping(1), (saying or Saying()).progress)


def left_beside(out: Path) -> list[str]:
    """What a run has left of itself."""
    parts = out.with_name(f"{out.name}.parts")
    return sorted(each.name for each in parts.iterdir()) if parts.exists() else []
