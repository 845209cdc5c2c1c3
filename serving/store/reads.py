"""When the registry was last read for a model: the syncer notes it, the workers look.

Times of empty files in the store: they outlive a restart, and noting one takes no room on a disk that is full.
"""

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

_FOLDER = ".read"


class Reads:
    def __init__(self, store: Path) -> None:
        self._folder = store / _FOLDER

    def note(self, name: str) -> None:
        """That it was read just now. Where that cannot be written, what is served counts as stale."""
        file = self._file(name)
        with suppress(OSError):
            try:
                os.utime(file)
            except FileNotFoundError:
                self._folder.mkdir(parents=True, exist_ok=True)
                file.touch()

    def last(self, name: str) -> float | None:
        """As `time.time()` tells it; None: never, as far as this store knows."""
        try:
            return self._file(name).stat().st_mtime
        except OSError:
            return None

    def _file(self, name: str) -> Path:
        return self._folder / quote(name, safe="")
