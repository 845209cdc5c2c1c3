"""A sign of life for health checks: a file that a worker touches whenever the jobs' database has heard of it."""

import tempfile
import time
from contextlib import suppress
from pathlib import Path

STALE_SECONDS = 30


def place() -> Path:
    """Of all workers of this machine that have the same TMPDIR: one that lives is enough."""
    return Path(tempfile.gettempdir()) / "slipway-jobs-alive"


def seen() -> bool:
    with suppress(OSError):
        return time.time() - place().stat().st_mtime < STALE_SECONDS
    return False
