"""A registry whose every poll and download is counted."""

import time
from collections.abc import Callable
from pathlib import Path

from serving.errors import RegistryUnreachable
from serving.metrics.following import Following
from serving.protocol import Registry, Version, View


class Counted:
    """`registry`, as it is; `following` is told."""

    def __init__(
        self, registry: Registry, following: Following, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._registry, self._following, self._clock = registry, following, clock

    def read(self, name: str) -> View:
        self._following.began(name)
        try:
            view = self._registry.read(name)
        except RegistryUnreachable:
            self._following.polled(name, answered=False)
            raise
        self._following.polled(name, answered=True)
        return view

    def size(self, version: Version) -> int | None:
        return self._registry.size(version)

    def download(self, version: Version, folder: Path) -> Path:
        """Counted when it is whole."""
        began = self._clock()
        home = self._registry.download(version, folder)
        size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
        self._following.downloaded(version.name, seconds=self._clock() - began, size=size)
        return home
