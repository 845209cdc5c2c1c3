"""CPU time and memory of a process, from /proc. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
TRIES = 3
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of a container, as it sees them: cgroup's version 2, and 1. `max`, or an absurd number, where there is none."""


@dataclass(frozen=True)
class Usage:
    cpu_seconds: float
    children_cpu_seconds: float
    """Of those that have ended and that it has noticed."""
    resident_bytes: int
    ended: bool = False
    """Has it ended, and its parent not noticed yet?"""


def of(pid: int) -> Usage | None:
    """None when there is no such process, or no /proc."""
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    field = told.rpartition(b")")[2].split()  # the name before it may hold anything; the next field is the third one
    user, system, waited_user, waited_system = map(int, field[11:15])
    waited = (waited_user + waited_system) / _TICKS
    return Usage((user + system) / _TICKS, waited, int(field[21]) * _PAGE, ended=field[0] in b"ZX")


def of_hosts(fork_server: int, hosts: Iterable[int]) -> Usage | None:
    """Of all hosts together, those that have ended among them: a sum that only grows while the fork server lives."""
    parent = of(fork_server)
    for _ in range(TRIES):
        running = [usage for pid in hosts if (usage := of(pid))]
        before, parent = parent, of(fork_server)
        if before is None or parent is None:
            return None
        if parent.children_cpu_seconds == before.children_cpu_seconds:
            cpu = sum(each.cpu_seconds + each.children_cpu_seconds for each in running)
            return Usage(cpu + parent.children_cpu_seconds, 0, sum(each.resident_bytes for each in running))
    return None  # each time one had ended meanwhile, and was in one sum or in both: rather no number than a wrong one


def memory_limit(limits: Iterable[Path] = LIMITS) -> int:
    """Bytes that all processes here may have: a container's limit, or all there are."""
    found = [os.sysconf("SC_PHYS_PAGES") * _PAGE]
    for each in limits:
        with suppress(OSError, ValueError):
            found.append(int(each.read_text()))
    return min(found)
