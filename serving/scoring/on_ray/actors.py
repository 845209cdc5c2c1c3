"""An actor loads the version once and answers chunks by it.

What it cannot do it says in its answers, which keep the file's order: of two bad rows the first one is told.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from serving import settings
from serving.errors import ServingError
from serving.scoring import parcels
from serving.scoring.asking import Asking, Task
from serving.scoring.loading import loaded
from serving.scoring.on_ray import luggage
from serving.scoring.on_ray.luggage import Luggage
from serving.scoring.parcels import Parcel
from serving.scoring.refusal import NotScored


class Answering:
    def __init__(self, task: Task, taken: Luggage) -> None:
        os.environ.update(taken.environment)
        self._node = f"node {luggage.here()[:8]}"
        self._held = ExitStack()
        self._asking: Asking | NotScored
        try:
            folder = self._held.enter_context(luggage.unpacked(taken))
            chosen = settings.read((taken.version.name,))
            model, _ = self._held.enter_context(loaded(folder, taken.version, chosen))
            self._asking = Asking(task, model)
        except (NotScored, ServingError, OSError) as error:
            self._asking = NotScored(f"{self._node}: {error}")

    def __del__(self) -> None:
        """Ray has an actor end so. Its host ends with it, and what it has unpacked goes."""
        self._held.close()

    def __call__(self, batch: Any) -> Iterator[Any]:
        for parcel in parcels.opened(batch):
            yield parcels.packed(Parcel(parcel.before, self._answered(parcel), self._node))

    def _answered(self, parcel: Parcel) -> Any:
        if isinstance(parcel.content, NotScored):
            return parcel.content
        if isinstance(self._asking, NotScored):
            return self._asking
        try:
            return self._asking.answered(parcel.content, parcel.before)
        except NotScored as refusal:
            return refusal
