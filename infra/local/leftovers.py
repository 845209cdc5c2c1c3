"""Find and end what belongs to a stack, by the mark that supervisord hands down to whatever it starts.

A killed supervisord leaves its programs running, a killed program its children, each holding a port.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from infra.local.patience import until

MARK = "LOCAL_STACK"
"""In the environment of supervisord and below: the stack's state folder."""


def processes(state: Path, program: str | None = None) -> list[psutil.Process]:
    """Everything alive that this stack started, this process aside; with a name, only that program's."""
    return [
        process
        for process, env in _environments()
        if env.get(MARK) == str(state) and program in (None, env.get("SUPERVISOR_PROCESS_NAME"))
    ]


def end(found: Sequence[psutil.Process], *, patience_seconds: float = 5) -> None:
    """Ask, then insist. Returns when all are gone, and their ports free."""
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    if not wait(found, seconds=patience_seconds):
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        wait(found, seconds=patience_seconds)


def wait(found: Sequence[psutil.Process], *, seconds: float) -> bool:
    """Whether all were gone in time."""
    return until(lambda: not any(_alive(process) for process in found), seconds=seconds)


def _alive(process: psutil.Process) -> bool:
    try:
        # Where process 1 is no real init, as in many containers, a dead process stays a zombie for ever.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _environments() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid():
                yield process, process.environ()
        except (psutil.Error, OSError):  # gone meanwhile, or somebody else's
            continue
