"""Is the clock right? Against those of the registry and of S3, which answer with theirs whatever they are asked."""

from collections.abc import Iterator

from serving.doctor.finding import Finding, Scene, fine, skipped, trouble
from serving.doctor.http import Silent, look
from serving.doctor.registry import address
from serving.doctor.s3 import endpoint_of

OFF_SECONDS = 30
WRONG_SECONDS = 14 * 60
"""S3 refuses signatures from 15 minutes on."""


def clock(scene: Scene) -> Iterator[Finding]:
    found = 0
    for what, url in _clocks(scene):
        try:
            seen = look(url, scene.patience_seconds)
        except Silent:  # which other checks tell of
            continue
        if seen.skew_seconds is not None:
            found += 1
            yield of(what, seen.skew_seconds)
    if not found:
        yield skipped("clock", "nobody answers whose clock this machine's could be compared with")


def of(what: str, skew_seconds: float) -> Finding:
    """Pure."""
    off = abs(skew_seconds)
    if off < OFF_SECONDS:
        return fine("clock", f"{what} has the same time")
    way = "ahead of" if skew_seconds > 0 else "behind"
    said = f"{what}'s clock is {_shown(off)} {way} this machine's"
    return trouble("clock-wrong" if off >= WRONG_SECONDS else "clock-off", said)


def _clocks(scene: Scene) -> Iterator[tuple[str, str]]:
    uri = scene.settings.tracking_uri
    if not scene.settings.offline and uri.startswith(("http://", "https://")):
        yield "the registry", f"{address(uri, {})[0]}/health"
    if endpoint := endpoint_of(scene.env):
        yield "S3", endpoint


def _shown(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"
