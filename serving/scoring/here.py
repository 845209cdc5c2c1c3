"""Answer a file's chunks in this process: some are with the model while the next one is read."""

import os
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from serving.protocol import Model
from serving.scoring.asking import Asking, Engine, Task
from serving.scoring.refusal import NotScored

MOST_CALLS = 4
"""Each has a chunk in memory."""


def calls_for(model: Model) -> int:
    """How many it may be given at once: what a PythonModel does with two, nobody knows."""
    return min(os.cpu_count() or 1, MOST_CALLS) if model.joins else 1


def overlapping(calls: int) -> Engine:
    """An engine that has so many chunks with the model at once. One more waits, and one is being read."""

    def engine(task: Task, asking: Asking, skip: int) -> Generator[Any, None, None]:
        pool = ThreadPoolExecutor(calls)
        asked: deque[Future[Any]] = deque()
        try:
            for chunk in _chunks(task, asking, skip):
                if isinstance(chunk, Exception):
                    yield from _answers(asked, leaving=0)  # one of them may be refused, and comes first
                    raise chunk
                asked.append(pool.submit(asking.answered, *chunk))
                yield from _answers(asked, leaving=calls)
            yield from _answers(asked, leaving=0)
        finally:
            pool.shutdown(cancel_futures=True)

    return engine


def _chunks(task: Task, asking: Asking, skip: int) -> Generator[tuple[Any, int] | Exception, None, None]:
    """Each with how many rows came before it; in the end what reading them raised, if it did."""
    before = skip
    try:
        for chunk in task.source.chunks(asking.columns, rows=task.chunk_rows, skip=skip):
            yield chunk, before
            before += len(chunk)
    except (NotScored, OSError) as error:
        yield error


def _answers(asked: deque[Future[Any]], *, leaving: int) -> Generator[Any, None, None]:
    while len(asked) > leaving:
        yield asked.popleft().result()
