"""Put readers and actors together, and take the answers as they come."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.exceptions import SystemException
from ray.exceptions import RayError

from serving.protocol import Version
from serving.scoring import parcels
from serving.scoring.asking import Asking, Task
from serving.scoring.on_ray import cluster, luggage
from serving.scoring.on_ray.actors import Answering
from serving.scoring.on_ray.luggage import Luggage
from serving.scoring.on_ray.readers import Reading
from serving.scoring.refusal import NotScored
from serving.scoring.spans import spans

ACTORS_A_READER = 4
MOST_READERS = 4
"""All on one node where the file is on it."""
TRIES = 3
"""More for a chunk whose actor was lost; one that ends its process would be tried for ever else."""


@dataclass(frozen=True)
class OnRay:
    """An engine. `folder`: of the version's files, here. `address`: of a cluster; None: a Ray of our own, here."""

    version: Version
    folder: Path
    address: str | None
    say: Callable[[str], None]

    def __call__(self, task: Task, asking: Asking, skip: int) -> Generator[Any, None, None]:
        """As `Engine`; NotScored, too, where Ray cannot go on."""
        parts = spans(task.source.groups, chunk_rows=task.chunk_rows, skip=skip)
        if not parts:
            return
        answered: Counter[str] = Counter()
        with cluster.running(self.address), _told():
            taken = luggage.packed(self.version, self.folder, is_shared=self.address is not None)
            reading = Reading(task, asking.columns, parts, taken.environment)
            for parcel in _answers(reading, task, taken):
                if isinstance(parcel.content, NotScored):
                    raise parcel.content
                answered[parcel.by] += 1
                yield parcel.content
        self.say(f"Ray answered {', '.join(f'{chunks} chunks on {node}' for node, chunks in sorted(answered.items()))}")


def _answers(reading: Reading, task: Task, taken: Luggage) -> Iterator[parcels.Parcel]:
    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # each chunk goes on its way as soon as it is there
    processors = max(1, int(ray.cluster_resources().get("CPU", 1)))
    readers = min(MOST_READERS, -(-processors // ACTORS_A_READER))
    # Of no processor: they mostly wait for room, and must find a place where actors have all processors.
    read = ray.data.read_datasource(reading, override_num_blocks=len(reading.tasks), num_cpus=0, concurrency=readers)
    answered = read.map_batches(
        Answering,
        fn_constructor_args=(task, taken),
        # One is enough to begin with: others may have the processors for a while.
        compute=ActorPoolStrategy(min_size=1, max_size=processors, initial_size=processors),
        batch_size=1,
        batch_format="pyarrow",
        num_cpus=1,
        max_restarts=TRIES,
        max_task_retries=TRIES,
    )
    for table in answered.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from parcels.opened(table)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (RayError, SystemException) as error:
        raise NotScored(f"Ray gave up: {cluster.sentence(error)}") from error
