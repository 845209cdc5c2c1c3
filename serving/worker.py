"""`python -m serving.worker`: one process that answers, over HTTP on an inherited socket and over gRPC.

Started by `supervisor.py`. Talks to no registry: what it serves is posted in the store.
"""

import argparse
import logging
import math
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from dotenv import load_dotenv

from serving import lifeline, logs, settings
from serving.access.key_file import KeysUnreadable
from serving.settings import Settings, SettingsInvalid
from serving.tls.certificates import CertificateInvalid
from serving.tls.latest import Latest, context_of

if TYPE_CHECKING:
    from serving.parting import Server

log = logging.getLogger(__name__)

STRICT = ("strict-transport-security", "max-age=31536000")
"""With TLS a browser is told to come with it for the year to come; https://www.rfc-editor.org/rfc/rfc6797"""


def main() -> int:
    words = _words()
    load_dotenv(".env")
    try:
        chosen = settings.read()
    except SettingsInvalid as error:  # they were good when serving was started; a file that they name may be gone
        logs.configure("info", sys.stderr)
        return _cannot_start("the settings are wrong", error)
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)
    lifeline.end_with_parent(sys.argv)

    try:
        certificates = Latest(chosen.tls) if chosen.tls.certificate else None
    except CertificateInvalid as error:  # they were good when serving was started
        return _cannot_start("no certificate to start with", error)
    try:
        server = _server(chosen, words, certificates)
    except KeysUnreadable as error:
        return _cannot_start("no keys to start with", error)

    def end(_signal: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # One that comes before the server listens for them must not be lost.
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    listener = socket.socket(fileno=words.listen)
    # Every connection inherits it: who does not take an answer is no longer waited for.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, math.ceil(chosen.limits.body_seconds * 1000))
    server.run(sockets=[listener])
    return 0 if server.started else 1


def _cannot_start(event: str, error: Exception) -> int:
    log.error(event, extra={"reason": str(error)})
    return 1


def _server(chosen: Settings, words: argparse.Namespace, certificates: Latest | None) -> "Server":
    import uvicorn

    from serving.app import Beside, create
    from serving.lag import Lag
    from serving.parting import Server, Watches
    from serving.rest import connections

    lag = Lag(chosen.limits.lag_seconds)
    beside = Beside(certificates, lag)
    app = create(chosen, words.hosts, words.counted, beside)
    config = uvicorn.Config(
        app,
        ssl_context_factory=(lambda *_: context_of(certificates)) if certificates else None,
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[STRICT] if certificates else None,
        lifespan="on",
        http=connections.limited(chosen.limits, lag, app.refused),
        timeout_keep_alive=math.ceil(chosen.limits.idle_seconds),
        ws="none",
        timeout_graceful_shutdown=math.ceil(chosen.finish_seconds),
    )
    watches = Watches(connections.Watch(chosen.limits), lag)
    return Server(config, app.leave, beside.ends, watches, linger_seconds=chosen.linger_seconds)


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.worker", description=__doc__)
    parser.add_argument("--listen", type=int, required=True, help="file descriptor of the listening socket")
    parser.add_argument("--hosts", type=Path, required=True, help="the fork server's socket")
    parser.add_argument("--counted", type=Path, help="folder of what this process counts")
    parser.add_argument(lifeline.FLAG, type=int, help="file descriptor of a pipe that ends with the parent")
    return parser.parse_args()


def _exit(status: int) -> None:
    """End now. Python would wait for its threads, and one may be in a model that hangs."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    _exit(main())
