"""Bring the local stack up and take it down.

`up` and `down` are safe to call in any state the stack may be in, also after a kill -9, a reboot or a wiped folder.
"""

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from infra.local import control, dvc_remote, leftovers, ports, s3
from infra.local.arrivals import Arrivals
from infra.local.interrupts import undisturbed
from infra.local.programs import PROGRAMS, Program
from infra.local.settings import Settings
from infra.local.vanished import files_vanished

STUCK_SECONDS = 60
"""A program that has run for this long and still does not answer is started again by `up`."""

STOP_SECONDS = 40
"""More than any stopwaitsecs in supervisord.conf."""


def up(settings: Settings, programs: Sequence[Program], console: Console) -> None:
    """Returns when every program answers. StackError when one does not; then nothing that this call started is left."""
    settings.refuse_placeholders()
    with _alone(settings, console):
        programs = _restart_on_new_settings(settings, programs, console)
        missing = [program for program in programs if not _well(settings, program)]
        if missing:
            _start(settings, missing, console)
        else:
            console.print(f"already up: {', '.join(program.name for program in programs)}")
        dvc_remote.write(settings)


def down(settings: Settings, console: Console) -> None:
    """Returns when every process is gone and every port free."""
    with _alone(settings, console):
        if not leftovers.processes(settings.state):
            console.print("nothing is running")
            return
        with console.status("stopping"):
            _stop(settings)
        console.print("stopped")


@contextmanager
def _alone(settings: Settings, console: Console) -> Iterator[None]:
    """One `up` or `down` at a time; the next one waits."""
    settings.state.mkdir(parents=True, exist_ok=True)
    with (settings.state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("waiting for another up or down to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _restart_on_new_settings(settings: Settings, programs: Sequence[Program], console: Console) -> Sequence[Program]:
    """What there is to bring up: with new settings also what ran on the old ones."""
    known = control.identity(settings)
    if known == settings.fingerprint:
        return programs
    old = [name for name, info in control.processes(settings).items() if info["statename"] != "STOPPED"]
    if known is not None:
        console.print("the settings have changed: starting again")
    _stop(settings)
    return [program for program in PROGRAMS.values() if program in programs or program.name in old]


def _well(settings: Settings, program: Program) -> bool:
    """Kept up, and its files are where it left them. Still on its way counts too if it answers in time."""
    info = control.processes(settings).get(program.name)
    if info is None or info["statename"] not in ("STARTING", "RUNNING"):
        return False
    return program.answers(settings) and not files_vanished(settings, program)


def _start(settings: Settings, programs: Sequence[Program], console: Console) -> None:
    running = control.identity(settings) is not None
    fresh = [program for program in programs if not _on_its_way(settings, program)]
    for program in fresh:
        if running:
            control.stop_program(settings, program.name)
        leftovers.end(leftovers.processes(settings.state, program.name))
    s3.command(settings.env)
    ports.check(settings, fresh)
    try:
        waiting = Arrivals(settings, programs, console)
        if not running:
            control.start(settings)
        for program in fresh:
            control.start_program(settings, program.name)
        waiting.wait()
    except BaseException:  # Ctrl-C too
        with undisturbed(), console.status("stopping what was started"):
            _take_back(settings, fresh, everything=not running)
        raise


def _on_its_way(settings: Settings, program: Program) -> bool:
    info = control.processes(settings).get(program.name)
    young = (
        info is not None
        and info["statename"] in ("STARTING", "RUNNING")
        and time.time() - info["start"] < STUCK_SECONDS
    )
    return young and not program.answers(settings)


def _take_back(settings: Settings, programs: Sequence[Program], *, everything: bool) -> None:
    if everything or control.identity(settings) is None:
        _stop(settings)
        return
    for program in programs:
        control.stop_program(settings, program.name)


def _stop(settings: Settings) -> None:
    if control.identity(settings) is not None:
        control.shut_down(settings)
        leftovers.wait(leftovers.processes(settings.state), seconds=STOP_SECONDS)
    leftovers.end(leftovers.processes(settings.state))
    (settings.state / control.SOCKET).unlink(missing_ok=True)
