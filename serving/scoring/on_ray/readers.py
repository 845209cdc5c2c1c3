"""Tasks that read a file's chunks, one for each of its spans."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from ray.data import Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask

from serving.scoring import parcels
from serving.scoring.asking import Task
from serving.scoring.parcels import Parcel
from serving.scoring.places import is_here
from serving.scoring.refusal import NotScored
from serving.scoring.spans import Span

_UNKNOWN = BlockMetadata(num_rows=None, size_bytes=None, exec_stats=None)


class Reading(Datasource):  # type: ignore[misc]  # nobody types Ray for us
    def __init__(
        self, task: Task, columns: Sequence[str], parts: Sequence[Span], environment: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._is_here = is_here(task.source.place)
        self.tasks = [ReadTask(partial(_read, task, columns, span, environment), _UNKNOWN) for span in parts]

    @property
    def supports_distributed_reads(self) -> bool:
        """A file here is read by this node alone: others may not have it, or another one of that name."""
        return not self._is_here

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, *_: object, **__: object) -> list[ReadTask]:
        return self.tasks


def _read(task: Task, columns: Sequence[str], span: Span, environment: Mapping[str, str]) -> Iterator[Any]:
    os.environ.update(environment)
    before = span.before
    chunks = task.source.chunks(columns, rows=task.chunk_rows, skip=before)
    try:
        for chunk in islice(chunks, span.chunks):
            yield parcels.packed(Parcel(before, chunk))
            before += len(chunk)
    except NotScored as refusal:
        yield parcels.packed(Parcel(before, refusal))
    except OSError as error:
        yield parcels.packed(Parcel(before, NotScored(str(error))))
