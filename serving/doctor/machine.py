"""What serving needs of the machine it runs on."""

import os
import resource
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serving.doctor.finding import Finding, Scene, fine, trouble
from serving.metrics import usage
from serving.store.room import shown

WORKER_BYTES = 200 << 20
"""Of one, before it has models of any size."""
BASE_BYTES = 600 << 20
"""Of supervisor, syncer and fork server."""
DESCRIPTORS = 4096
TEMPORARY_BYTES = 1 << 30
LONGEST_SOCKET = 107
_OURS = len("/slipway-12345678/hosts")


@dataclass(frozen=True)
class Machine:
    cores: int
    memory: int | None
    """Bytes that are free, and no more than the container may have; None: nobody says."""
    descriptors: int


def machine(scene: Scene) -> Iterator[Finding]:
    yield from of(measured(), scene.settings.workers)
    yield from temporary(Path(tempfile.gettempdir()) if "TMPDIR" not in scene.env else Path(scene.env["TMPDIR"]))


def measured() -> Machine:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Machine(len(os.sched_getaffinity(0)), _memory(), descriptors)


def of(found: Machine, workers: int) -> Iterator[Finding]:
    """Pure."""
    needed = BASE_BYTES + workers * WORKER_BYTES
    if workers > found.cores:
        yield trouble("workers-many", f"{workers} workers on {found.cores} core(s)")
    if found.memory is not None and found.memory < needed:
        yield trouble(
            "memory-short", f"{shown(found.memory)} to be had; {workers} workers take {shown(needed)}, models apart"
        )
    if 0 <= found.descriptors < DESCRIPTORS:
        yield trouble("descriptors-few", f"a process may have {found.descriptors} files and connections open")
    if workers <= found.cores and (found.memory is None or found.memory >= needed):
        memory = "" if found.memory is None else f", {shown(found.memory)} to be had"
        yield fine("machine", f"{found.cores} core(s) for {workers} worker(s){memory}")


def temporary(folder: Path) -> Iterator[Finding]:
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK) or is_read_only(folder):
        yield trouble("temporary-unusable", f"{folder}: not a folder that can be written to")
        return
    if len(str(folder)) + _OURS > LONGEST_SOCKET:
        yield trouble("temporary-long", f"{folder}: {len(str(folder))} characters")
    free = free_bytes(folder)
    if free < TEMPORARY_BYTES:
        yield trouble("temporary-full", f"{folder}: {shown(free)} free")


def is_read_only(folder: Path) -> bool:
    """Is its file system? Whatever the user is allowed."""
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _memory(limits: Iterable[Path] = usage.LIMITS) -> int:
    found = [usage.memory_limit(limits)]
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) << 10)
    return min(found)
