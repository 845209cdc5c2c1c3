"""The file of API keys: a line of facts for each, and of the key itself only its digest.

Written whole and moved into place, so that who reads it meanwhile has the old one or the new one. It may be read by
anybody: nothing in it opens anything.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import msgspec

from serving.access.scopes import grants


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    name: str
    digest: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime | None = None
    rate: float | None = None
    """Requests a second; None: as the server has it."""
    rotated_to: str | None = None


class KeysUnreadable(Exception):
    """With a sentence that says why."""


def read(path: Path) -> tuple[Record, ...]:
    """KeysUnreadable, also where a scope is none: whoever misspelt one must hear of it."""
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise KeysUnreadable(f"there is no file {path}; `python -m serving keys create` makes it") from error
    except OSError as error:
        raise KeysUnreadable(f"{path}: {error.strerror}") from error
    try:
        found = msgspec.json.decode(text, type=tuple[Record, ...])
        for each in found:
            grants(each.scopes)
    except (msgspec.MsgspecError, ValueError) as error:
        cure = "put back a copy of what `python -m serving keys` wrote, or move it away and make keys anew"
        raise KeysUnreadable(f"{path} is no file of keys ({error}): {cure}") from error
    if any(each.expires is not None and each.expires.tzinfo is None for each in found):
        raise KeysUnreadable(f"{path}: an expiry without its time zone")
    return found


@contextmanager
def changing(path: Path) -> Iterator[dict[str, Record]]:
    """Records by id, written back after the block; one who changes the file waits for the other. KeysUnreadable."""
    path = path.resolve()  # through links: the file is replaced, and not a link to it
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o755)  # as the file: servers in containers are other users
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = {each.id: each for each in (read(path) if path.exists() else ())}
        yield records
        _write(path, tuple(records.values()))


def _write(path: Path, records: tuple[Record, ...]) -> None:
    text = msgspec.json.format(msgspec.json.encode(records), indent=1)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as new:
        try:
            new.write(text + b"\n")
            new.flush()
            os.fsync(new.fileno())
            os.fchmod(new.fileno(), 0o644)  # servers in containers are other users
            Path(new.name).replace(path)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
