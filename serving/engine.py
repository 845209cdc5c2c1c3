"""The one object between every transport and the models.

Picks the version from one snapshot of the lineup and keeps models, which block, off the event loop.
"""

import os
from functools import partial

from anyio import CapacityLimiter, to_thread

from serving.lineup import Lineup, Served

# More threads than cores only wait for each other; the extra ones cover models that release the GIL or wait for I/O.
THREADS = (os.cpu_count() or 1) + 4


class Engine:
    def __init__(self, lineup: Lineup) -> None:
        self.lineup = lineup
        self._threads = CapacityLimiter(THREADS)

    async def invoke(self, served: Served, media_type: str, body: bytes) -> bytes:
        """MLflow's JSON answer by exactly `served`, even when another version is swapped in meanwhile."""
        return await to_thread.run_sync(partial(served.model.invoke, media_type, body), limiter=self._threads)
