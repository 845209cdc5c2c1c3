"""`python -m serving`: answer with whatever version the registry calls Production."""

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from types import FrameType

from dotenv import load_dotenv

from serving import logs, settings

log = logging.getLogger("serving")

MISCONFIGURED = 2
SHUTDOWN_SECONDS = 3
"""How long requests that run at SIGTERM may still take."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving", description=__doc__)
    parser.epilog = f"Settings are environment names, also read from ./.env: {', '.join(sorted(settings.env_names()))}"
    parser.parse_args()
    load_dotenv(".env")  # what is set already wins; boto3 and MLflow read their own names from it
    try:
        chosen = settings.read()
    except settings.SettingsInvalid as error:
        return _refuse(*error.lines, status=MISCONFIGURED)
    logs.configure(chosen.log_level, sys.stderr)
    try:
        chosen.store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _refuse(f"SERVING_STORE: {chosen.store}: {error.strerror}", status=MISCONFIGURED)
    try:
        listener = _listen(chosen.host, chosen.port)
    except OSError as error:
        return _refuse(
            f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}; SERVING_PORT moves it", status=1
        )
    return _serve(chosen, listener)


def _refuse(*lines: str, status: int) -> int:
    for line in lines:
        print(f"serving: {line}", file=sys.stderr)  # noqa: T201 - said to whoever typed the command, before there is a log
    return status


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    return listener


def _serve(chosen: settings.Settings, listener: socket.socket) -> int:
    import uvicorn

    from serving.app import create

    config = uvicorn.Config(
        create(chosen),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again once it has shut down; ending here with a status is what we want from it.
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGINT, _ended)
    log.info("serving", extra={"address": f"{chosen.host}:{chosen.port}", "models": ",".join(chosen.models)})
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _ended(_signal: int, _frame: FrameType | None) -> None:
    pass


def _exit(status: int) -> None:
    """End now. Python would wait for its threads, and one may be in a model or a download that hangs."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    _exit(main())
