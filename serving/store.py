"""The folder of downloaded versions. What is in it is whole: a version appears by one rename or not at all."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import quote

from serving.protocol import Version

_INCOMING = ".incoming-"


class Store:
    def __init__(self, folder: Path) -> None:
        """Makes `folder` when it is not there and clears what an interrupted download left in it. OSError."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for half in folder.glob(f"*/{_INCOMING}*"):
            shutil.rmtree(half, ignore_errors=True)

    def fetch(self, version: Version, download: Callable[[Version, Path], Path]) -> Path:
        """The folder of `version`, downloaded first when it is not there."""
        home = self._home(version)
        if home.is_dir():
            return home
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_INCOMING, dir=home.parent, ignore_cleanup_errors=True) as incoming:
            whole = Path(incoming) / "whole"
            whole.mkdir()
            download(version, whole).rename(home)
        return home

    def forget(self, version: Version) -> None:
        shutil.rmtree(self._home(version), ignore_errors=True)

    def keep(self, name: str, versions: Collection[Version]) -> None:
        """Remove every version of `name` but these."""
        kept = {self._home(version) for version in versions}
        for home in (self.folder / quote(name, safe="")).iterdir():
            if home not in kept and not home.name.startswith(_INCOMING):
                shutil.rmtree(home, ignore_errors=True)

    def _home(self, version: Version) -> Path:
        # A registry that was wiped counts from 1 again: the same number, but other files.
        # A manifest that was written again means other files too.
        files = " ".join([str(version.created_ms), version.source, *filter(None, [version.manifest])])
        identity = hashlib.sha256(files.encode()).hexdigest()[:8]
        return self.folder / quote(version.name, safe="") / f"{version.number}-{identity}"
