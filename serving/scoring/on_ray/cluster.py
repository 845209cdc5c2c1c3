"""Be connected to a Ray cluster, or have a Ray of our own on this machine for as long as it is needed."""

import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray.exceptions import RayError

import serving
from serving.scoring.refusal import NotScored

STORE_BYTES = 512 << 20
"""Of memory for chunks on their way in a Ray of our own; it reads no further ahead."""
REACH_SECONDS = 5
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no reports to Ray's makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # no advice about GPUs
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what goes wrong is told by whoever meets it
}


@contextmanager
def running(address: str | None) -> Iterator[None]:
    """NotScored where there is none, with the reason."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    stopping = signal.getsignal(signal.SIGTERM)
    with ExitStack() as held:
        at = "" if address is None else f" at {address}"
        try:
            options = _own(held) if address is None else _shared(address)
            with _silence():
                ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            raise NotScored(f"Ray{at} cannot be used: {sentence(error)}") from error
        held.callback(ray.shutdown)
        signal.signal(signal.SIGTERM, stopping)  # Ray has taken it for itself
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield


def sentence(error: Exception) -> str:
    """What an error of Ray's says, without the traceback that comes with it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if "Traceback" in str(error) else 0][:300] if lines else type(error).__name__


@contextmanager
def _silence() -> Iterator[None]:
    """Ray's C++ part says on standard error that it was told to say nothing there."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _own(held: ExitStack) -> dict[str, Any]:
    # Nobody else is let in; without a word from us Ray would keep the word in the home folder.
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex())
    folder = held.enter_context(TemporaryDirectory(prefix="slipway-", ignore_cleanup_errors=True))
    return {
        "address": "local",
        "include_dashboard": False,
        "object_store_memory": STORE_BYTES,
        "_temp_dir": folder,
    }


def _shared(address: str) -> dict[str, Any]:
    """OSError where nobody listens: Ray itself would try for a minute, and then end this process."""
    if "://" in address:
        raise ValueError("its client (ray://) is not spoken here; give HOST:PORT of the head, on a node of the cluster")
    if address != "auto":
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), REACH_SECONDS).close()
    # This package goes along, for nodes that do not have it.
    return {"address": address, "runtime_env": {"py_modules": [str(Path(serving.__file__).parent)]}}
