"""Decide whether what is installed here fits what a version requires.

Its `requirements.txt` says what was there when it was logged, mostly pinned to the patch release and mostly more than
it needs: MLflow writes down whatever was imported. Pins and ranges are PEP 440's; options, addresses and lines that are
no requirement by name say nothing about what is installed.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from serving.errors import VersionRefused
from serving.settings import Packages

FILE = "requirements.txt"
LARGEST_BYTES = 1 << 20
NAMED = 5
SHOWN = 50
"""Packages, and characters of each, in a message: the advice behind them must not be cut off."""

_BY_MINOR = frozenset({"scikit-learn"})
"""Saved attribute by attribute, and minor releases rename those. Formats of the others outlive a minor release."""
_OUR_OWN = frozenset({"mlflow", "mlflow-skinny"})
"""Serving's own MLflow reads what any MLflow has written."""

Installed = Callable[[str], str | None]
"""The version of a package by its canonical name; None where it is not installed."""


def check(folder: Path, mode: Packages, *, needs: frozenset[str] | None, python: str = "") -> None:
    """VersionRefused names every package that does not fit.

    `needs`: the packages that count; None for a version that may need any. `python` it was logged with, where that
    counts too.
    """
    if mode == "off":
        return
    found = [*_python(python), *misfits(_lines(folder), mode, needs, installed)]
    if found:
        raise VersionRefused(
            f"what it requires is not what is installed here: {_named(found)}; install that, or log it again with what "
            "is here, or let it try with SERVING_PACKAGES=off"
        )


def misfits(lines: Iterable[str], mode: Packages, needs: frozenset[str] | None, installed: Installed) -> Iterator[str]:
    """Each requirement that does not fit, with what is here instead. `exact` counts every line."""
    for wanted, name in _requirements(lines):
        if mode != "exact" and needs is not None and name not in needs:
            continue
        here = installed(name)
        if here is None:
            if mode == "exact" or needs is not None:  # else nobody knows before it is tried: see `absent`
                yield f"{wanted.name}{wanted.specifier} (not here)"
        elif not all(_fits(each, name, here, mode) for each in wanted.specifier):
            yield f"{wanted.name}{wanted.specifier} ({here} here)"


def absent(folder: Path) -> str:
    """What it requires and is not here, as the end of a sentence: for a version that could not import something."""
    found = [
        f"{wanted.name}{wanted.specifier}" for wanted, name in _requirements(_lines(folder)) if not installed(name)
    ]
    return f"; of what it requires, this is not installed here: {_named(found)}" if found else ""


def installed(name: str) -> str | None:
    """By its own name, or as another package that brings the module of that name (xgboost-cpu brings xgboost)."""
    with suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    others = metadata.packages_distributions().get(name.replace("-", "_"), [])
    return metadata.version(others[0]) if others else None


def _fits(wanted: Specifier, name: str, here: str, mode: Packages) -> bool:
    pinned = wanted.operator == "==" and not wanted.version.endswith(".*")
    if mode == "exact" or not pinned:
        return wanted.contains(here, prereleases=True)
    length = 2 if name in _BY_MINOR else 1
    try:
        return _first(wanted.version, length) == _first(here, length)
    except InvalidVersion:  # what is installed may call itself anything
        return wanted.version == here


def _first(version: str, length: int) -> tuple[int, ...]:
    return (*Version(version).release, 0)[:length]


def _python(logged_with: str) -> Iterator[str]:
    here = ".".join(map(str, sys.version_info[:2]))
    wanted = ".".join(logged_with.split(".")[:2])
    if wanted and wanted != here:
        yield f"Python {ascii(wanted)[1:-1]} ({here} here)"


def _requirements(lines: Iterable[str]) -> Iterator[tuple[Requirement, str]]:
    """Those for this Python and system, each with its canonical name."""
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        name = canonicalize_name(wanted.name)
        if name not in _OUR_OWN and (wanted.marker is None or wanted.marker.evaluate({"extra": ""})):
            yield wanted, name


def _lines(folder: Path) -> Iterator[str]:
    """Of the version's requirements, without options, comments and hashes."""
    file = folder / FILE
    if not file.is_file():
        return
    if file.stat().st_size > LARGEST_BYTES:
        raise VersionRefused(f"{FILE} has more than {LARGEST_BYTES} bytes, as none has")
    for line in file.read_text(errors="replace").replace("\\\n", " ").splitlines():
        requirement = line.partition(" #")[0].partition(" --")[0].strip()
        if requirement and requirement[0] not in "-#":
            yield requirement


def _named(found: list[str]) -> str:
    named = ", ".join(each[:SHOWN] for each in found[:NAMED])
    return named if len(found) <= NAMED else f"{named} and {len(found) - NAMED} more"
