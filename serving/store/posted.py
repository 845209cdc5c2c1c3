"""What the syncer tells the workers: `lineup.json` in the store, replaced atomically.

The syncer's `Board` writes it, each worker's `Watcher` reads it; neither needs the other to be there.
"""

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from serving.protocol import Trial, Version

log = logging.getLogger(__name__)

FILE = "lineup.json"


@dataclass(frozen=True)
class Refusal:
    """A version that could not be downloaded, loaded or tried, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class Candidate:
    """The version to try beside the one that is served."""

    trial: Trial
    folder: str = ""
    """Of the version, below the store; empty until its files are there and were tried."""
    refusal: str = ""
    """Why they could not be; it is tried again."""
    out: str = ""
    """Why it was taken out of traffic; another trial begins anew."""


@dataclass(frozen=True)
class Posting:
    """One model: the version to serve and where its files are, or why there is none."""

    name: str
    version: Version | None = None
    folder: str = ""
    """Of the version, below the store."""
    waiting_for: str = "the registry has not been read yet"
    """Why nothing answers; only means something without `version`."""
    disagreements: tuple[str, ...] = ()
    refusal: Refusal | None = None
    registry_reachable: bool = True
    candidate: Candidate | None = None


class Board:
    """The postings of all models, and their file. Several threads may put."""

    def __init__(self, names: tuple[str, ...], store: Path) -> None:
        """Goes on with what an earlier syncer has posted, where its files are still there."""
        self.names = names
        self._file = store / FILE
        known = {each.name: _present(each, store) for each in _before(store) if _whole(each, store)}
        # Models that are not followed now stay posted: the next start may name them again.
        self._postings = {name: known.pop(name, Posting(name)) for name in names} | known
        self._lock = threading.Lock()
        self._written = b""

    def posting(self, name: str) -> Posting:
        return self._postings[name]

    def put(self, posting: Posting) -> None:
        """As `change`."""
        self.change(posting.name, lambda _before: posting)

    def change(self, name: str, change: Callable[[Posting], Posting]) -> None:
        """Post what `change` makes of what is posted; nobody else posts between.

        OSError when the file cannot be written: the one before stays, here as well as there.
        """
        with self._lock:
            postings = {**self._postings, name: change(self._postings[name])}
            text = msgspec.json.encode(list(postings.values()))
            if text != self._written:
                _replace(self._file, text)
                self._written = text
            self._postings = postings


def _replace(file: Path, text: bytes) -> None:
    fresh = file.with_suffix(".new")
    try:
        with fresh.open("wb") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())  # the last known good is in it: a power cut must not leave it empty
        fresh.replace(file)
    except OSError:
        with suppress(OSError):  # what there is of it takes up room that may be what is missing
            fresh.unlink()
        raise


def _whole(posting: Posting, store: Path) -> bool:
    return posting.version is None or (store / posting.folder).is_dir()


def _present(posting: Posting, store: Path) -> Posting:
    """Without the files of a candidate that are gone."""
    candidate = posting.candidate
    if candidate is None or not candidate.folder or (store / candidate.folder).is_dir():
        return posting
    return replace(posting, candidate=replace(candidate, folder=""))


def _before(store: Path) -> tuple[Posting, ...]:
    try:
        return read(store)
    except ValueError as error:  # what the registry says will be posted anew
        log.warning("lineup not readable", extra={"reason": str(error)})
        return ()


def read(store: Path) -> tuple[Posting, ...]:
    """None are posted while there is no file; ValueError when it is not one of ours."""
    try:
        return msgspec.json.decode((store / FILE).read_bytes(), type=tuple[Posting, ...])
    except FileNotFoundError:
        return ()
    except msgspec.DecodeError as error:
        raise ValueError(f"{store / FILE}: {error}") from error
