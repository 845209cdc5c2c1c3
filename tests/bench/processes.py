"""What the processes of a server that is measured take: memory, and whether they still compute."""

from dataclasses import dataclass

import psutil

WORKER = "serving.worker"
FORK_SERVER = "serving.hosting.forkserver"
RESTING_PERCENT = 15
"""Of one core for a tenth of a second: one tick of the kernel's clock is 10 %, and what idles may have one."""


@dataclass(frozen=True)
class Memory:
    """Of the largest worker, and of the largest host if workers have any."""

    worker_mb: float
    """Resident (RSS)."""

    host_mb: float | None = None
    """Proportional (PSS): hosts are forked and share pages, and only so does the sum of all count no page twice."""


def family(first: list[int]) -> list[psutil.Process]:
    """These processes and all that they started."""
    parents = [psutil.Process(pid) for pid in first]
    return [*parents, *(child for parent in parents for child in parent.children(recursive=True))]


def memory(processes: list[psutil.Process]) -> Memory:
    """Where none is a worker of ours, the largest process is one."""
    workers = [each for each in processes if WORKER in each.cmdline()] or processes
    forks = [each for each in processes if FORK_SERVER in each.cmdline()]
    # A fork has its parent's command line: the parent is the fork server, its children are hosts.
    hosts = [each for each in forks if each.ppid() in {other.pid for other in forks}]
    return Memory(
        max(each.memory_info().rss for each in workers) / 1e6,
        max(each.memory_full_info().pss for each in hosts) / 1e6 if hosts else None,
    )


def resting(processes: list[psutil.Process]) -> bool:
    """Takes a tenth of a second to say."""
    first, *others = processes
    for each in others:
        each.cpu_percent()  # begins to count
    busy: float = first.cpu_percent(interval=0.1) + sum(each.cpu_percent() for each in others)
    return busy < RESTING_PERCENT
