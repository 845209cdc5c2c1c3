"""The folder of downloaded versions. What is in it is whole: a version appears by one rename or not at all.

It is bounded: what is in use, and the last few versions that were.
"""

import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from serving.errors import VersionRefused
from serving.protocol import Version
from serving.store import holds, room

log = logging.getLogger(__name__)

_INCOMING = ".incoming-"
_HOME = re.compile(r"\d+-[0-9a-f]{8}")
"""Nothing else in the folder is ours to remove, whatever somebody has put there."""


@dataclass(frozen=True)
class Bounds:
    former: int = 2
    """Versions of a model that are kept after they were replaced, so that going back to one needs no download."""
    largest: int = 20 << 30
    """Bytes of one version."""
    spare: int = 4 << 20
    """Bytes that a download leaves free: for `lineup.json`, and for what else writes to that disk."""


class Store:
    def __init__(self, folder: Path, bounds: Bounds = Bounds()) -> None:
        """Makes `folder` when it is not there and clears what an interrupted process left in it. OSError."""
        self.folder, self._bounds = folder, bounds
        self._coming = 0
        """Bytes that downloads have been promised and may not have written yet."""
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for half in folder.glob(f"*/{_INCOMING}*"):
            shutil.rmtree(half, ignore_errors=True)

    def fetch(
        self,
        version: Version,
        download: Callable[[Version, Path], Path],
        size: Callable[[Version], int | None] = lambda _: None,
    ) -> Path:
        """The folder of `version`, downloaded first when it is not there.

        `size`: in bytes, as far as whoever has the files says. VersionRefused where it is too large, OutOfRoom where
        the disk is too full; else what `download` and `size` raise.
        """
        folder = home(self.folder, version)
        if folder.is_dir():
            return folder
        with self._room(size(version)), self._incoming(folder) as incoming:
            whole = incoming / "whole"
            whole.mkdir()
            found = download(version, whole)
            self._small_enough(sum(file.stat().st_size for file in _files(whole)))
            _flush(found)
            found.rename(folder)
            _sync(folder.parent)
        return folder

    def forget(self, version: Version) -> None:
        _remove(home(self.folder, version))

    def keep(self, name: str, used: Collection[Version]) -> bool:
        """Remove every version of `name` but those in use, the last few that were, and what workers still answer with.

        True when there is something to come back for: a version that has to go once nobody holds it.
        """
        kept = [home(self.folder, version) for version in used]
        for folder in kept:
            with suppress(OSError):  # when it was last in use
                os.utime(folder)
        former = [each for each in _newest(self.folder / _named(name)) if each not in kept]
        return _trim(former[self._bounds.former :])

    def keep_of_others(self, names: Collection[str]) -> None:
        """Of all models but `names`, which nobody follows now, keep the last few versions together."""
        followed = {_named(name) for name in names}
        others = [each for each in _folders(self.folder) if each.name not in followed]
        homes = sorted((home for each in others for home in _newest(each)), key=_used, reverse=True)
        beyond = homes[self._bounds.former :]
        _trim(beyond)
        for model in {home.parent for home in beyond}:
            with suppress(OSError):  # something is left in it
                model.rmdir()

    @contextmanager
    def _incoming(self, home: Path) -> Iterator[Path]:
        """A folder beside `home` that nobody takes for a version. OutOfRoom when the disk fills up meanwhile."""
        try:
            home.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=_INCOMING, dir=home.parent, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
        except Exception as error:
            if room.is_short(error):
                raise room.refusal(self.folder) from error
            raise

    @contextmanager
    def _room(self, size: int | None) -> Iterator[None]:
        """Promised to nobody else meanwhile."""
        if size is None:
            yield
            return
        self._small_enough(size)
        with self._lock:
            free = shutil.disk_usage(self.folder).free - self._coming
            if free < size + self._bounds.spare:
                raise room.refusal(self.folder, needed=size + self._bounds.spare, free=max(free, 0))
            self._coming += size
        try:
            yield
        finally:
            with self._lock:
                self._coming -= size

    def _small_enough(self, size: int) -> None:
        largest = self._bounds.largest
        if size > largest:
            raise VersionRefused(
                f"its files have {room.shown(size)}, and at most {room.shown(largest)} are taken; "
                "SERVING_LARGEST_VERSION (in bytes) takes larger ones"
            )


def home(store: Path, version: Version) -> Path:
    """The version's folder, whether it is there or not."""
    # A registry that was wiped counts from 1 again: the same number, but other files.
    # A manifest that was written again means other files too.
    files = " ".join([str(version.created_ms), version.source, *filter(None, [version.manifest])])
    identity = hashlib.sha256(files.encode()).hexdigest()[:8]
    return store / _named(version.name) / f"{version.number}-{identity}"


def _named(model: str) -> str:
    """One folder's name, whatever is in the model's."""
    # MLflow takes a path for an address, in which %20 is a space, and looks for another folder.
    return quote(model, safe="").replace("%", "=")


def _folders(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [each for each in folder.iterdir() if each.is_dir() and not each.is_symlink()]
    return []


def _newest(model: Path) -> list[Path]:
    """The versions in a model's folder, last used first."""
    return sorted((each for each in _folders(model) if _HOME.fullmatch(each.name)), key=_used, reverse=True)


def _used(home: Path) -> float:
    with suppress(OSError):
        return home.stat().st_mtime
    return 0


def _trim(homes: list[Path]) -> bool:
    """Was one of them held?"""
    still = [holds.held(home) for home in homes]
    for home, is_held in zip(homes, still, strict=True):
        if not is_held:
            log.info("version removed from the store", extra={"folder": f"{home.parent.name}/{home.name}"})
            _remove(home)
    return any(still)


def _remove(home: Path) -> None:
    """By one rename: when this process ends half-way, nothing is left that looks like a version."""
    leaving = home.with_name(f"{_INCOMING}{uuid4().hex}")  # no folder made for it: a full disk has no room for one
    with suppress(OSError):
        home.rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _flush(folder: Path) -> None:
    """To the disk: a rename may outlive a power cut that the files before it do not."""
    for file in _files(folder):
        _sync(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
