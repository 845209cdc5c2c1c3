"""Keep fork server, syncer and workers running: start them, start again what dies, stop them together.

Holds the listening sockets, so that a child that dies takes no waiting connection with it. Imports nothing heavy.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from serving.lifeline import FLAG
from serving.metrics.block import process_folder
from serving.metrics.processes import Programs

log = logging.getLogger(__name__)

STOP_SECONDS = 8
"""For what is in flight; then the children are killed."""
STEADY_SECONDS = 10
"""A child that lived so long starts again at once; one that dies young waits longer each time."""
LONGEST_WAIT_SECONDS = 30


ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Hosts are as many as workers already: more threads than cores, each spinning as it waits, only slow each other."""


@dataclass(frozen=True)
class Program:
    """A child: `python -m MODULE`, with the file descriptors it inherits."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    inherits: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Names it gets unless they are set."""
    last: bool = False
    """Do others need it for what they have yet to finish?"""

    def command(self, lifeline: int) -> list[str]:
        """It ends with the pipe `lifeline`."""
        return [sys.executable, "-m", self.module, *self.arguments, FLAG, str(lifeline)]


def fork_server(hosts: socket.socket, counted: Path | None = None) -> Program:
    """`hosts`: the socket, bound to a path and listening, that leads to it. `counted`: as of `programs`."""
    door, name = hosts.fileno(), "fork server"
    arguments = ("--hosts", str(door), *_counting(counted, name))
    return Program(name, "serving.hosting.forkserver", arguments, (door,), ONE_THREAD, last=True)


def programs(
    listener: socket.socket, hosts: socket.socket, workers: int, counted: Path | None = None, *, offline: bool = False
) -> list[Program]:
    """`hosts`: as for `fork_server`. `counted`: the folder in which each process has one for what it counts.

    `offline`: nobody follows the registry.
    """
    shared, path = listener.fileno(), hosts.getsockname()
    names = [f"worker {number}" for number in range(1, workers + 1)]
    answering = ("--listen", str(shared), "--hosts", path)
    each = [Program(name, "serving.worker", (*answering, *_counting(counted, name)), (shared,)) for name in names]
    following = ("--hosts", path, *_counting(counted, "syncer"))
    syncers = [] if offline else [Program("syncer", "serving.syncer", following)]
    return [fork_server(hosts, counted), *syncers, *each]  # the fork server first, for it imports longest


def _counting(counted: Path | None, name: str) -> tuple[str, ...]:
    return () if counted is None else ("--counted", str(process_folder(counted, name)))


def supervise(
    children: list[Program],
    counted: Path | None = None,
    *,
    patience_seconds: float = STOP_SECONDS,
    let_go: Callable[[], None] = lambda: None,
) -> int:
    """Until SIGTERM or SIGINT; 0 when every child ended by itself then, within `patience_seconds`.

    `counted`: as of `programs`. `let_go` is called at the signal.
    """
    supervisor = _Supervisor(children, Programs(counted), patience_seconds)
    return asyncio.run(supervisor.run(let_go))


class _Supervisor:
    def __init__(self, children: list[Program], counts: Programs, patience_seconds: float) -> None:
        self._programs, self._counts, self._patience_seconds = children, counts, patience_seconds
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._lifeline, self._held = os.pipe()

    async def run(self, let_go: Callable[[], None]) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        tasks = {each.name: asyncio.create_task(self._keep(each)) for each in self._programs}
        await self._stopping.wait()
        let_go()
        last = {each.name for each in self._programs if each.last}
        late = [await self._end({name: tasks[name] for name in names}) for names in (tasks.keys() - last, last)]
        return 1 if any(late) else 0

    async def _end(self, tasks: dict[str, asyncio.Task[None]]) -> bool:
        """Was one of them late, and so was killed?"""
        if not tasks:
            return False
        for process in self._those(tasks):
            with suppress(ProcessLookupError):  # it ended by itself just now
                process.terminate()
        _, late = await asyncio.wait(tasks.values(), timeout=self._patience_seconds)
        for name in tasks.keys() & self._running.keys():
            log.warning("killed", extra={"program": name})
            with suppress(ProcessLookupError):
                self._running[name].kill()
        if late:
            await asyncio.wait(late)
        return bool(late)

    def _those(self, names: Iterable[str]) -> list[asyncio.subprocess.Process]:
        return [self._running[name] for name in names if name in self._running]

    async def _keep(self, program: Program) -> None:
        deaths = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                process = await self._start(program)
                status: int | str = await process.wait()
            except OSError as error:  # no memory for another process, perhaps: not for ever
                status = f"not started: {error.strerror}"
            self._running.pop(program.name, None)
            if self._stopping.is_set():
                return
            self._counts.died(program.name)
            deaths = 1 if time.monotonic() - began > STEADY_SECONDS else deaths + 1
            wait = 0 if deaths == 1 else min(2 ** (deaths - 2), LONGEST_WAIT_SECONDS)
            extra = {"program": program.name, "status": status, "again_in_seconds": wait}
            log.error("died", extra=extra)
            await self._pause(wait)

    async def _start(self, program: Program) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *program.command(self._lifeline),
            pass_fds=(*program.inherits, self._lifeline),
            env={**program.environment, **os.environ},
        )
        self._running[program.name] = process
        self._counts.started(program.name, process.pid)
        log.debug("started", extra={"program": program.name, "pid": process.pid})
        if self._stopping.is_set():  # it was asked to stop while this one was being started: nobody waits for it
            with suppress(ProcessLookupError):
                process.terminate()
        return process

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
