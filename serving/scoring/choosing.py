"""Find the version to score with: by its number, or the one that the registry calls Production.

While the registry is away, the store that a server follows it into says what was Production, and has its files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.errors import RegistryUnreachable
from serving.following.production import choose
from serving.protocol import Registry, Version
from serving.scoring.refusal import NotScored
from serving.store import posted
from serving.store.posted import Posting
from serving.store.versions import home


class Catalogue(Registry, Protocol):
    def find(self, name: str, number: int) -> Version | None:
        """None where there is no such version. RegistryUnreachable."""


@dataclass(frozen=True)
class Choice:
    version: Version
    folder: Path | None
    """Of its files, where the store has them."""
    notes: tuple[str, ...] = ()
    """Sentences for whoever typed the command."""


def chosen(name: str, number: int | None, registry: Catalogue | None, store: Path) -> Choice:
    """`registry`: None when there is none to ask. NotScored where there is no such version."""
    posting = _posting(name, store)
    if registry is None:
        return _from_store(name, number, posting, store, ())
    try:
        version, notes = _registered(name, number, registry)
    except RegistryUnreachable as error:
        away = f"the registry is not reachable ({error}); the version is what {store} has"
        return _from_store(name, number, posting, store, (away,))
    return Choice(version, _folder(version, posting, store), notes)


def _registered(name: str, number: int | None, registry: Catalogue) -> tuple[Version, tuple[str, ...]]:
    if number is not None:
        found = registry.find(name, number)
        if found is None:
            raise NotScored(f"the registry has no version {number} of {name!r}")
        return found, ()
    view = registry.read(name)
    decision = choose(None, view)
    if decision.version is None:
        what = f"no version of {name!r} is Production yet" if view.registered else f"the registry has no model {name!r}"
        raise NotScored(f"{what}; --version names one")
    return decision.version, decision.disagreements


def _from_store(name: str, number: int | None, posting: Posting | None, store: Path, notes: tuple[str, ...]) -> Choice:
    for version, folder in _posted(posting, store):
        if number in {None, version.number}:
            return Choice(version, folder, notes)
    which = f"version {number}" if number is not None else "Production version"
    raise NotScored("; ".join([*notes, f"{store} has no {which} of {name!r}"]))


def folder_of(version: Version, store: Path) -> Path | None:
    """Where a server's store has its files, of a former version too; None where it has not."""
    found = _folder(version, _posting(version.name, store), store) or home(store, version)
    return found if found.is_dir() else None


def _folder(version: Version, posting: Posting | None, store: Path) -> Path | None:
    return next((folder for known, folder in _posted(posting, store) if known.has_files_of(version)), None)


def _posted(posting: Posting | None, store: Path) -> list[tuple[Version, Path]]:
    """Versions whose files are there, Production first; a candidate is one that has a number to be asked for by."""
    if posting is None:
        return []
    pairs = [(posting.version, posting.folder)]
    if posting.candidate is not None and posting.candidate.folder:
        pairs.append((posting.candidate.trial.version, posting.candidate.folder))
    return [(version, store / folder) for version, folder in pairs if version is not None and (store / folder).is_dir()]


def _posting(name: str, store: Path) -> Posting | None:
    try:
        return next((each for each in posted.read(store) if each.name == name), None)
    except (OSError, ValueError):  # the server that owns it says what is wrong with it
        return None
