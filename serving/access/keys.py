"""Recognise an API key, by what its file last said.

The file is looked at again and again: a key that is made, rotated or revoked counts within seconds, without a restart.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serving.access import key_file, secret
from serving.access.key_file import KeysUnreadable, Record
from serving.access.scopes import Caller, grants

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
NEVER = float("inf")

_Mark = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    digest: bytes
    expires: float
    """Seconds since 1970."""
    caller: Caller


class Book:
    """What one reading of the file said, and whom it has recognised since: one is never taken for another's."""

    def __init__(self, known: Mapping[str, Known]) -> None:
        self._known = known
        self._recognised: dict[bytes, Known] = {}
        """By the key itself, so that it is hashed once and not for each request; at most as many as are known. A dict's
        own hash is a keyed one: how long a look at it takes tells nothing of a key."""

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: bytes) -> Known | None:
        found = self._recognised.get(key)
        if found is None:
            name = secret.id_of(key)
            found = self._known.get(name) if name is not None else None
            if found is None or not hmac.compare_digest(secret.digest(key).encode(), found.digest):
                return None
            self._recognised[key] = found
        return found


class Keys:
    def __init__(self, path: Path, look_seconds: float = LOOK_SECONDS) -> None:
        """KeysUnreadable."""
        self._path, self._look_seconds = path, look_seconds
        self._seen = _mark(path)
        """Of what was read last, and well."""
        self._told: tuple[_Mark | None, str] | None = None
        """What was wrong at the last look."""
        self._book = Book(known(key_file.read(path)))

    def caller(self, key: bytes) -> Caller | None:
        """None: there is no such key, or none any more."""
        found = self._book.find(key)
        return found.caller if found is not None and found.expires > time.time() else None

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._look_seconds)
            try:
                await asyncio.to_thread(self.look)
            except Exception:  # or no key could be revoked any more, and nobody would hear of it
                log.exception("looking at the keys stumbled")

    def look(self) -> None:
        """Read the file if it has changed. One that cannot be read changes nothing, and is told of once.

        It is tried again at each look: the next one may find a descriptor free, or other rights.
        """
        mark = _mark(self._path)  # before reading: what changes meanwhile has another one at the next look
        if mark is not None and mark == self._seen:
            return
        try:
            self._book = Book(known(key_file.read(self._path)))
        except KeysUnreadable as error:
            told = mark, str(error)
            if told != self._told:
                log.error("keys not read, the former ones count", extra={"reason": str(error)})
            self._told = told
        else:
            self._seen, self._told = mark, None
            log.info("keys read", extra={"keys": len(self._book)})


def known(records: Iterable[Record]) -> Mapping[str, Known]:
    return {
        each.id: Known(
            each.digest.encode(),
            NEVER if each.expires is None else each.expires.timestamp(),
            Caller(f"key {each.id}", grants(each.scopes), each.rate),
        )
        for each in records
    }


def _mark(path: Path) -> _Mark | None:
    """What tells one content of the file from the next, also where whoever copies it keeps its time and its size.

    Through links: Kubernetes changes those.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
