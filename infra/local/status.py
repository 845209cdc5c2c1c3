"""Show what each program is doing, and whether all is well."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.local import control, leftovers, readiness
from infra.local.programs import PROGRAMS, Program
from infra.local.settings import Settings
from infra.local.vanished import files_vanished


def show(settings: Settings, programs: Sequence[Program], console: Console) -> bool:
    """Whether every program is kept up, answers, and has its files, and serving has something to answer by."""
    states = control.processes(settings)
    table = Table(
        "program", "state", "since", "pid", "address", "answers", box=None, pad_edge=False, header_style="bold"
    )
    verdicts = {program: _verdict(settings, program, states.get(program.name)) for program in programs}
    waiting_for = readiness.why_not(settings) if verdicts.get(PROGRAMS["serving"]) == "yes" else ""
    if waiting_for:
        verdicts[PROGRAMS["serving"]] = "up, not ready"
    for program, verdict in verdicts.items():
        info = states.get(program.name, {})
        table.add_row(program.name, _state(info), *_since(info), program.url(settings), verdict)
    console.print(table, soft_wrap=True)
    if waiting_for:
        console.print(f"{readiness.SAID}{waiting_for}", markup=False)
    if not states and leftovers.processes(settings.state):
        console.print("supervisord was killed and left programs behind: `make up` or `make down` tidies up")
    if control.identity(settings) not in (None, settings.fingerprint):
        console.print("the settings have changed since it started: `make up` starts it again with the new ones")
    return set(verdicts.values()) == {"yes"}


def _verdict(settings: Settings, program: Program, info: Mapping[str, Any] | None) -> str:
    if info is None or info["statename"] not in ("STARTING", "RUNNING") or not program.answers(settings):
        return "no"
    if files_vanished(settings, program):
        return "no, its files are gone"
    return "yes"


def _state(info: Mapping[str, Any]) -> str:
    return str(info.get("statename", "down")).lower()


def _since(info: Mapping[str, Any]) -> tuple[str, str]:
    """Start time with the time run for, and the process id; dashes for what does not run."""
    if not info.get("pid"):
        return "-", "-"
    ran = timedelta(seconds=info["now"] - info["start"])
    return f"{datetime.fromtimestamp(info['start']):%H:%M:%S} ({ran})", str(info["pid"])
