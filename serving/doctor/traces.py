"""Is there a collector for traces? Asked whether it listens, and told nothing."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from serving.doctor.finding import Finding, Scene, fine, skipped, trouble


def traces(scene: Scene) -> Iterator[Finding]:
    endpoint = scene.settings.tracing.endpoint
    if endpoint is None:
        yield skipped("traces", "SERVING_TRACING__ENDPOINT is not set: there are none")
        return
    parts = urlsplit(endpoint)
    where = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection(where, scene.patience_seconds):
            yield fine("traces", f"a collector listens at {where[0]}:{where[1]}")
    except OSError as error:
        yield trouble("collector-unreachable", f"{where[0]}:{where[1]}: {error.strerror or error}")
