"""Versions that jobs want, each loaded once and kept for a while: jobs may want others than the one in Production."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from serving.protocol import Model, Version

Load = Callable[[Version], AbstractContextManager[Model]]


@dataclass
class _Kept:
    held: ExitStack = field(default_factory=ExitStack)
    model: Model | None = None
    users: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)


class Models:
    def __init__(self, load: Load, most: int) -> None:
        """`most`: how many are kept that nobody uses just now."""
        self._load, self._most = load, most
        self._kept: OrderedDict[tuple[str, int, int, str | None], _Kept] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def of(self, version: Version) -> Iterator[Model]:
        """Loaded now if it is not. What `load` raises, and then it is tried anew the next time."""
        key = (version.name, version.number, version.created_ms, version.manifest)
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            kept.users += 1
        try:
            with kept.loading:
                if kept.model is None:
                    kept.model = kept.held.enter_context(self._load(version))
            yield kept.model
        finally:
            with self._lock:
                kept.users -= 1
                given_up = self._given_up()
            for each in given_up:
                each.held.close()

    def close(self) -> None:
        with self._lock:
            kept = list(self._kept.values())
            self._kept.clear()
        for each in kept:
            each.held.close()

    def _given_up(self) -> list[_Kept]:
        """Those used longest ago, and those that could not be loaded; nobody finds them any more."""
        idle = [key for key, kept in self._kept.items() if not kept.users]
        unloaded = [key for key in idle if self._kept[key].model is None]
        loaded = [key for key in idle if self._kept[key].model is not None]
        return [self._kept.pop(key) for key in (*unloaded, *loaded[: max(len(loaded) - self._most, 0)])]
