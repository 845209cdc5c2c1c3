"""What a process says of itself at the moment: gauges that are worth nothing once it is dead."""

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)

_FILE = "now.json"

Gauge = tuple[str, tuple[str, ...], float]
"""Name, label values in the declared order, value."""


@dataclass(frozen=True)
class Now:
    pid: int
    gauges: tuple[Gauge, ...] = ()
    hosts: tuple[int, ...] = ()
    """Pids of the fork server's."""


def tell(folder: Path | None, now: Now) -> None:
    """To whoever reads the folder of this process. What cannot be told is told the next time."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{_FILE}.new"
        fresh.write_bytes(msgspec.json.encode(now))
        fresh.replace(folder / _FILE)
    except OSError as error:
        log.debug("gauges not told", extra={"reason": error.strerror})


def told(folder: Path, pid: int) -> Now:
    """By the process `pid`: what its predecessor said is nothing any more."""
    try:
        said = msgspec.json.decode((folder / _FILE).read_bytes(), type=Now)
    except (FileNotFoundError, msgspec.DecodeError):
        return Now(pid)
    return said if said.pid == pid else Now(pid)
