"""The engine that Ray is, where it is installed."""

from collections.abc import Callable
from pathlib import Path

from serving.protocol import Version
from serving.scoring.asking import Engine
from serving.scoring.refusal import NotScored


def on_ray(version: Version, folder: Path, address: str | None, say: Callable[[str], None]) -> Engine:
    """As `OnRay`. NotScored where Ray is not installed."""
    try:
        from serving.scoring.on_ray.engine import OnRay
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise NotScored("--engine ray needs Ray, which is not installed: pip install --group ray") from error
    return OnRay(version, folder, address, say)
