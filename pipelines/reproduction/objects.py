"""Read what DVC keeps by its md5: on the remote, and in this checkout's cache. The one place that opens DVC's storage.

Read only, by the layout that DVC 3 gives both: files/md5/ab/cdef… DVC itself believes a remote's names; whoever calls
this checks the bytes.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import load_dotenv

from pipelines.data import without_secrets
from pipelines.errors import NotReproducible


@dataclass(frozen=True)
class Remote:
    """The default remote of a checkout, or what else DVC's storage is in; `where` has no secrets."""

    where: str
    _files: Any
    _path: str

    def has(self, md5: str) -> bool:
        """NotReproducible when it cannot be asked."""
        try:
            return bool(self._files.exists(self._object(md5)))
        except Exception as cause:  # every kind of storage fails in its own way
            raise self._unreachable(cause) from cause

    def fetch(self, md5: str, into: Path, *, at_most: int) -> bool:
        """Copy the object to `into`, whatever its bytes, to one byte beyond `at_most`; False where there is none."""
        try:
            with self._files.open(self._object(md5), "rb") as source, into.open("wb") as target:
                left = at_most + 1
                while left and (block := source.read(min(left, 1 << 20))):
                    target.write(block)
                    left -= len(block)
        except FileNotFoundError:
            return False
        except Exception as cause:  # the same
            raise self._unreachable(cause) from cause
        return True

    def _object(self, md5: str) -> str:
        return f"{self._path.rstrip('/')}/files/md5/{md5[:2]}/{md5[2:]}"

    def _unreachable(self, cause: Exception) -> NotReproducible:
        reason = (without_secrets(str(cause)).splitlines() or [""])[0][:200]
        return NotReproducible(f"DVC's remote {self.where} cannot be read: {type(cause).__name__}: {reason}")


def remote(folder: Path = Path()) -> Remote:
    """NotReproducible when the checkout at `folder` has none that can be used."""
    from dvc.config import ConfigError
    from dvc.fs import get_cloud_fs

    load_dotenv(folder / ".env")  # where s3:// is
    config = _config(folder)
    name = config["core"].get("remote")
    if not name:
        raise NotReproducible("DVC has no default remote here: `dvc remote add --default NAME URL`")
    try:
        kind, options, path = get_cloud_fs(config, name=name)
        return Remote(without_secrets(str(config["remote"][name]["url"])), kind(**options), path)
    except ConfigError as wrong:
        raise NotReproducible(f"DVC's remote cannot be used: {wrong}") from wrong


def cached(md5: str, folder: Path = Path()) -> Path | None:
    """The object in this checkout's cache; None where it has none."""
    place = Path(_config(folder)["cache"].get("dir") or folder / ".dvc/cache") / "files/md5" / md5[:2] / md5[2:]
    return place if place.is_file() else None


def _config(folder: Path) -> Any:
    from dvc.config import Config, ConfigError

    try:
        return Config(str((folder / ".dvc").absolute()))
    except ConfigError as wrong:
        raise NotReproducible(f"DVC's configuration cannot be used: {wrong}") from wrong


def copy(path: Path, into: Path) -> None:
    """Not a link: whoever works in the copy must not be able to change the cache."""
    shutil.copyfile(path, into)
