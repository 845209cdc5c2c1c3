"""`python -m serving jobs`: keep the workers of jobs running. Imports nothing heavy."""

import argparse
import logging
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from dotenv import load_dotenv

from serving import logs, settings, supervisor
from serving.hosting import door
from serving.supervisor import Program
from serving.working import alive

log = logging.getLogger("serving")

ABOUT = "work at jobs: requests that are answered later"
MISCONFIGURED = 2


def describe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=int, metavar="N", help="processes; SERVING_JOBS__WORKERS if not given. More may run elsewhere"
    )
    parser.add_argument("--check", action="store_true", help="is there a worker here that lives? For health checks")


def run(words: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT; the exit status."""
    if words.check:
        return 0 if alive.seen() else _refuse("no worker of jobs was heard of here", status=1)
    load_dotenv(".env")
    try:
        chosen = settings.read()
    except settings.SettingsInvalid as error:
        return _refuse(*error.lines, status=MISCONFIGURED)
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)
    workers = chosen.jobs.workers if words.workers is None else words.workers
    if chosen.jobs.database is None:
        return _refuse("SERVING_JOBS__DATABASE: not set; jobs are kept there", status=MISCONFIGURED)
    if workers < 1:
        return _refuse("--workers: at least one", status=MISCONFIGURED)
    with ExitStack() as held:
        try:
            hosts = held.enter_context(door.made(Path(held.enter_context(TemporaryDirectory(prefix="slipway-")))))
        except OSError as error:
            return _refuse(f"cannot make a socket in a temporary folder: {error}; TMPDIR names a place", status=1)
        log.info("working at jobs", extra={"workers": workers, "models": ",".join(chosen.models)})
        return supervisor.supervise([supervisor.fork_server(hosts), *programs(hosts, workers)])


def programs(hosts: socket.socket, workers: int) -> list[Program]:
    """`hosts`: as of `supervisor.programs`."""
    at = "--hosts", hosts.getsockname()
    numbers = range(1, workers + 1)
    return [Program(f"job worker {each}", "serving.working.worker", (*at, "--name", f"job-{each}")) for each in numbers]


def _refuse(*lines: str, status: int) -> int:
    sys.stderr.writelines(f"serving: {line}\n" for line in lines)
    return status
