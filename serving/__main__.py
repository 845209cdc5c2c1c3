"""`python -m serving`: answer with whatever version the registry calls Production. With `score`: score a file by it;
with `jobs`: answer what was queued; with `keys`: make and list the API keys of its callers; with `doctor`: say what is
wrong.
"""

import argparse
import logging
import math
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dotenv import load_dotenv

from serving import logs, settings, supervisor
from serving.access import command_line as keys
from serving.access import opening
from serving.doctor import command_line as doctor
from serving.hosting import door
from serving.scoring import command_line
from serving.settings import Settings
from serving.working import command_line as working

log = logging.getLogger("serving")

COMMANDS: dict[str, Any] = {"score": command_line, "jobs": working, "keys": keys, "doctor": doctor}
"""Each a module that says what it is ABOUT, can `describe` its words and `run` them."""
MISCONFIGURED = 2
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - only a folder of our own in it is used # nosec B108


def main() -> int:
    words = _words().parse_args()
    words = _words().parse_args()
    return COMMANDS[words.command].run(words) if words.command else _serve(words)


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.epilog = f"Settings are environment names, also read from ./.env: {', '.join(sorted(settings.env_names()))}"
    parser.add_argument("--jobs", action="store_true", help="work at jobs, too: on one machine one command is enough")
    commands = parser.add_subparsers(title="instead of serving", dest="command", metavar=" | ".join(COMMANDS))
    for name, command in COMMANDS.items():
        command.describe(commands.add_parser(name, help=command.ABOUT, description=command.ABOUT))
    return parser


def _serve(words: argparse.Namespace) -> int:
    load_dotenv(".env")  # what is set already wins; boto3 and MLflow read their own names from it
    try:
        chosen = settings.read()
    except settings.SettingsInvalid as error:
        return _refuse(*error.lines, status=MISCONFIGURED)
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)
    access = opening.lacking(chosen.auth, chosen.host)
    if wrong := [*_wrong_with_store(chosen), *_wrong_with_certificates(chosen), *access]:
        return _refuse(*wrong, status=MISCONFIGURED)
    with ExitStack() as held:
        try:
            listener = held.enter_context(_listen(chosen.host, chosen.port))
        except OSError as error:
            return _refuse(_taken(chosen.at(chosen.port), error, "SERVING_PORT"), status=1)
        try:
            # Held, never listened on: every worker binds it for itself; this says early that somebody else has it.
            if chosen.grpc_port:
                held.enter_context(_bind(chosen.host, chosen.grpc_port, socket.SO_REUSEPORT))
        except OSError as error:
            return _refuse(_taken(chosen.at(chosen.grpc_port), error, "SERVING_GRPC_PORT"), status=1)
        try:
            hosts = held.enter_context(door.made(Path(held.enter_context(TemporaryDirectory(prefix="slipway-")))))
            counted = Path(held.enter_context(_in_memory()))
        except OSError as error:
            return _refuse(f"cannot make a socket in a temporary folder: {error}; TMPDIR names a place", status=1)
        extra = {"address": chosen.at(chosen.port), "grpc_port": chosen.grpc_port, "models": ",".join(chosen.models)}
        log.info("serving", extra={**extra, "workers": chosen.workers, "offline": chosen.offline})
        programs = supervisor.programs(listener, hosts, chosen.workers, counted, offline=chosen.offline)
        if words.jobs and chosen.jobs.database is not None:
            programs += working.programs(hosts, chosen.jobs.workers)
        patience = chosen.linger_seconds + math.ceil(chosen.finish_seconds) + supervisor.STOP_SECONDS
        # From then on only workers hold it: once the last one has let go, callers are refused and not kept waiting.
        return supervisor.supervise(programs, counted, patience_seconds=patience, let_go=listener.close)


def _wrong_with_store(chosen: Settings) -> list[str]:
    """A line for each thing; none when it is there, made just now or filled by somebody else."""
    if chosen.offline:
        from serving.store import offline  # it brings numpy along, which is nothing to start a syncer with

        return offline.lacking(chosen.store, chosen.models)
    try:
        chosen.store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return [f"SERVING_STORE: {chosen.store}: {error.strerror}"]
    return []


def _wrong_with_certificates(chosen: Settings) -> list[str]:
    if chosen.tls.certificate is None:
        return []
    from serving.tls import certificates  # cryptography takes a while to import

    try:
        until = certificates.read(chosen.tls).until
    except certificates.CertificateInvalid as error:
        return [str(error)]
    mutual = chosen.tls.client_ca is not None
    log.info("with TLS", extra={"certificate_until": until.isoformat(), "clients_show_one": mutual})
    return []


def _refuse(*lines: str, status: int) -> int:
    for line in lines:
        print(f"serving: {line}", file=sys.stderr)  # noqa: T201 - said to whoever typed the command, before there is a log
    return status


def _taken(address: str, error: OSError, setting: str) -> str:
    return f"cannot listen on {address}: {error.strerror}; {setting} moves it"


def _listen(host: str, port: int) -> socket.socket:
    listener = _bind(host, port, socket.SO_REUSEADDR)
    listener.listen(2048)
    return listener


def _in_memory() -> "TemporaryDirectory[str]":
    """Of files in memory where there is such a place: to count in a mapped file may else wait for a disk."""
    with suppress(OSError):
        return TemporaryDirectory(prefix="slipway-", dir=SHARED_MEMORY)
    return TemporaryDirectory(prefix="slipway-")


def _bind(host: str, port: int, option: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


if __name__ == "__main__":
    sys.exit(main())
