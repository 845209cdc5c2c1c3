"""Which worker of pytest-xdist gets which tests: each file goes to one, and all that look at `trained` to the same.

It is trained once then, and not once a worker.
"""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

TRAINED = "trained: Workspace"
"""What a test that asks for the fixture has in its head."""


class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist has types and does not say so
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return TRAINED if _looks_at_trained(self.config.rootpath / file) else file


@cache
def _looks_at_trained(file: Path) -> bool:
    return TRAINED in file.read_text()
