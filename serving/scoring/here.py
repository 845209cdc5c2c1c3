"""Answer a file's chunks in this process, one after the other; at most about one is in memory."""

from collections.abc import Generator
from typing import Any

from serving.scoring.asking import Asking, Task


def in_turn(task: Task, asking: Asking, skip: int) -> Generator[Any, None, None]:
    """As `Engine`."""
    before = skip
    for chunk in task.source.chunks(asking.columns, rows=task.chunk_rows, skip=skip):
        yield asking.answered(chunk, before)
        before += len(chunk)
