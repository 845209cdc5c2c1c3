"""Bring a run's raw files into a worktree, byte for byte, and say what is not as it was.

From DVC's remote, whose bytes are checked; this checkout's cache stands in where the remote has none, and shows what an
object was where the remote's has changed.
"""

from collections.abc import Mapping
from pathlib import Path

from pipelines.errors import NotReproducible
from pipelines.fingerprint import Fingerprint
from pipelines.lineage import file_md5
from pipelines.progress import say
from pipelines.reproduction import changes, objects
from pipelines.reproduction.comparison import Row, identity
from pipelines.reproduction.objects import Remote


def bring(raw: Mapping[str, Fingerprint], project: Path) -> list[Row]:
    """A row for each file; one that differs is named with its first changed byte and cell.

    NotReproducible when a file is neither on the remote nor in the cache.
    """
    try:
        remote, missing = objects.remote(), ""
    except NotReproducible as reason:
        remote, missing = None, str(reason)
    rows = []
    for name, was in raw.items():
        target = project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        original = _good(was, Path(name))
        where = _fetch(remote, was, target) or _copy(original, target)
        if where is None:
            raise NotReproducible(_nowhere(name, was, remote, missing))
        rows.append(_row(name, was, target, original, where))
    return rows


def notes(raw: Mapping[str, Fingerprint]) -> list[str]:
    """What of this checkout is not that data. It was not used, but whoever looks at it would be misled."""
    found = []
    for name, was in raw.items():
        copies = {f"{name} in this checkout": Path(name), f"the cache's copy of {name}": objects.cached(was.md5)}
        original = _good(was, Path(name))
        for what, path in copies.items():
            if path is not None and path.is_file() and (change := changes.told(path, was, original)):
                found.append(f"{what} is other data: {change}")
    return found


def _good(was: Fingerprint, here: Path) -> Path | None:
    """A copy in this checkout with the right bytes."""
    copies = (objects.cached(was.md5), here)
    return next((path for path in copies if path and path.is_file() and file_md5(path) == was.md5), None)


def _fetch(remote: Remote | None, was: Fingerprint, target: Path) -> str | None:
    if remote is None:
        return None
    try:
        return remote.where if remote.fetch(was.md5, target, at_most=was.size) else None
    except NotReproducible as reason:
        say(f"reproduce: {reason}")
        return None


def _copy(original: Path | None, target: Path) -> str | None:
    if original is None:
        return None
    objects.copy(original, target)
    return "this checkout, for the remote has it not"


def _row(name: str, was: Fingerprint, target: Path, original: Path | None, where: str) -> Row:
    change = changes.told(target, was, original)
    if not change:
        say(f"reproduce: {name} from {where}")
    return identity(name, was.md5, file_md5(target), how=f"from {where}: {change}")


def _nowhere(name: str, was: Fingerprint, remote: Remote | None, missing: str) -> str:
    what = f"{name} (md5 {was.md5}, {was.size} bytes) is not in this checkout"
    if remote is None:
        return f"{what}, and {missing}"
    return f"{what}, nor could it be had from DVC's remote {remote.where}: `dvc push` where it was made"
