"""Count how often processes start and die: the supervisor its children, the fork server its hosts.

Light, for both import little.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path

from serving.metrics import block, now
from serving.metrics.block import Values
from serving.metrics.declared import HOSTS, PROCESSES

SUPERVISOR = "supervisor"

_STARTS, _DEATHS = PROCESSES.starts["slipway_process_starts_total"], PROCESSES.starts["slipway_process_deaths_total"]
_PID, _SINCE = PROCESSES.starts["pid"], PROCESSES.starts["started"]
_STARTED, _DIED = HOSTS.starts["slipway_hosts_started_total"], HOSTS.starts["slipway_hosts_died_total"]


class Programs:
    """The supervisor's children. `root`: the folder that all processes share."""

    def __init__(self, root: Path | None) -> None:
        self._folder = None if root is None else block.process_folder(root, SUPERVISOR)
        self._values: dict[str, Values] = {}
        self.started(SUPERVISOR, os.getpid())

    def started(self, program: str, pid: int) -> None:
        values = self._of(program)
        values[_STARTS] += 1
        values[_SINCE] = time.time()  # once: what /proc says would move with the clock
        values[_PID] = pid

    def died(self, program: str) -> None:
        """One that could not be started too."""
        values = self._of(program)
        values[_DEATHS] += 1
        values[_PID] = 0

    def _of(self, program: str) -> Values:
        found = self._values.get(program)
        if found is None:
            labels = block.kind_of(program), program.replace(" ", "-")
            found = self._values[program] = block.opened(self._folder, PROCESSES.name, labels, PROCESSES.size)
        return found


class Hosts:
    """The fork server's. `folder`: its own."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._values = block.opened(folder, HOSTS.name, HOSTS.labels, HOSTS.size)

    def started(self, running: Iterable[int]) -> None:
        self._values[_STARTED] += 1
        self.run(running)

    def died(self) -> None:
        """Though somebody still held the other end of its line."""
        self._values[_DIED] += 1

    def run(self, running: Iterable[int]) -> None:
        """`running`: the pids of all that run now."""
        now.tell(self._folder, now.Now(os.getpid(), hosts=tuple(running)))
