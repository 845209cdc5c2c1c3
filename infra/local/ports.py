"""Refuse to start on a port that somebody holds, and say who."""

import errno
import socket
from collections.abc import Iterable

import psutil

from infra.local.errors import StackError
from infra.local.programs import PROGRAMS, Program
from infra.local.settings import Settings


def check(settings: Settings, programs: Iterable[Program]) -> None:
    """StackError names each port that is taken, by whom if that can be known, and what to change."""
    _distinct(settings)
    taken = {
        name: f"port {port} is taken by {_holder(port)}, and {program.name} wants it"
        for program in programs
        for name, port in program.ports(settings).items()
        if _taken(program.host(settings), port)
    }
    if taken:
        free = "free it" if len(taken) == 1 else "free them"
        raise StackError(f"{'; '.join(taken.values())}: {free}, or change {', '.join(taken)} in .env")


def _distinct(settings: Settings) -> None:
    seen: dict[int, str] = {}
    for program in PROGRAMS.values():
        for name, port in program.ports(settings).items():
            if port in seen:
                raise StackError(f"{seen[port]} and {name} are both {port}: change one in .env")
            seen[port] = name


def _taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        # On macOS one may bind 127.0.0.1:5000 beside the system's *:5000, so ask first whether anybody answers.
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: a port closed just now is free
        try:
            probe.bind((host, port))
        except OSError as refused:
            if refused.errno == errno.EADDRINUSE:
                return True
            raise StackError(f"cannot listen on {host}:{port}: {refused.strerror}; change it in .env") from refused
    return False


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:  # macOS shows other people's sockets to root only
        pass
    return "another program"
