"""Where serving listens, and where it keeps versions."""

import errno
import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from serving.doctor.finding import Finding, Scene, fine, trouble
from serving.doctor.http import Silent, look
from serving.doctor.machine import free_bytes, is_read_only
from serving.settings import Settings
from serving.store import offline
from serving.store.room import shown

FULL_BYTES = 64 << 20
NEARLY_FULL_BYTES = 1 << 30


def ports(scene: Scene) -> Iterator[Finding]:
    chosen = scene.settings
    for name, port in (("SERVING_PORT", chosen.port), ("SERVING_GRPC_PORT", chosen.grpc_port)):
        if not port:
            continue
        reason = _refused(chosen.host, port)
        if reason is None:
            yield fine("ports", f"{name}: {chosen.at(port)} is free")
        elif _is_serving(chosen, scene.patience_seconds):
            yield fine("ports", f"{name}: {chosen.at(port)} is taken by serving, which runs")
        else:
            yield trouble("port-taken", f"{name}: cannot listen on {chosen.at(port)}: {reason}")


def _refused(host: str, port: int) -> str | None:
    """Why nobody can listen there now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _is_serving(chosen: Settings, seconds: float) -> bool:
    """Of ours: by what it says of itself, or to who has no key; with TLS, by the certificate that it shows."""
    host = "127.0.0.1" if chosen.host in {"0.0.0.0", "::"} else chosen.host  # noqa: S104 - compared, not bound  # nosec B104
    try:
        if chosen.tls.certificate is not None:
            shown = ssl.get_server_certificate((host, chosen.port), timeout=seconds)
            return shown.strip() in chosen.tls.certificate.read_text()
        named = f"[{host}]" if ":" in host else host
        told = json.loads(look(f"http://{named}:{chosen.port}/v2", seconds).text)
    except (Silent, OSError, ValueError):
        return False
    if not isinstance(told, dict):
        return False
    return told.get("name") == "slipway" or str(told.get("type")).startswith("urn:slipway:problem:")


def store(scene: Scene) -> Iterator[Finding]:
    chosen = scene.settings
    if chosen.offline:
        lines = offline.lacking(chosen.store, chosen.models)
        yield from (trouble("store-lacks", line.partition(";")[0]) for line in lines)
        if not lines:
            yield fine("store", f"{chosen.store} has every model, and is asked offline")
        return
    try:
        found = _nearest(chosen.store)
    except OSError as error:
        code = "store-not-a-folder" if error.errno == errno.ENOTDIR else "store-read-only"
        yield trouble(code, f"{chosen.store}: {error.strerror}")
        return
    if not os.access(found, os.W_OK | os.X_OK) or is_read_only(found):
        yield trouble("store-read-only", f"{found}: cannot be written to")
        return
    free = free_bytes(found)
    if free < NEARLY_FULL_BYTES:
        yield trouble("store-full" if free < FULL_BYTES else "store-nearly-full", f"{chosen.store}: {shown(free)} free")
        return
    yield fine("store", f"{chosen.store}: {shown(free)} free{'' if found == chosen.store else ', and is to be made'}")


def _nearest(folder: Path) -> Path:
    """It, or the closest folder above it that is there. OSError."""
    for each in (folder, *folder.absolute().parents):
        if each.exists():
            if not each.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return each
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
