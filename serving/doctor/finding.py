"""What a check has found, in one sentence that holds no secret."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from serving.doctor.declared import EVERYWHERE, NOT_KNOWN, TROUBLES, Mark
from serving.settings import Settings

_SECRET = re.compile(r"(SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|_KEY$|DATABASE$|HEADERS$)", re.IGNORECASE)
_PATHS = {"SERVING_TLS__KEY", "SLIPWAY_SIGNING_KEY"}
"""Of files that hold a secret: which file it is has to be said."""
_PASSWORD = re.compile(r"//[^/@\s]*@")
HIDDEN = "***"


@dataclass(frozen=True)
class Finding:
    check: str
    mark: Mark
    said: str
    code: str = ""
    """Of the trouble; empty where there is none."""
    remedy: str = ""


@dataclass(frozen=True)
class Scene:
    """What is looked at."""

    settings: Settings
    env: Mapping[str, str] = field(repr=False)
    write: bool = False
    """May an object be written to S3, and deleted?"""
    patience_seconds: float = 5
    """For one answer of a server."""


def fine(check: str, said: str) -> Finding:
    return Finding(check, "ok", said)


def skipped(check: str, said: str) -> Finding:
    return Finding(check, "skipped", said)


def trouble(code: str, said: str) -> Finding:
    found = TROUBLES[code]
    return Finding(found.check, found.mark, said, code, found.remedy)


def not_known(check: str, said: str) -> Finding:
    return Finding(check, EVERYWHERE.mark, said, NOT_KNOWN, EVERYWHERE.remedy)


def secrets_of(env: Mapping[str, str]) -> frozenset[str]:
    """Values that are nobody's to read."""
    found = {value for name, value in env.items() if _SECRET.search(name) and name not in _PATHS}
    return frozenset(value for value in found if len(value) >= 4)


def without(finding: Finding, secrets: Iterable[str]) -> Finding:
    """A last net: no check says one, but libraries' sentences are theirs."""
    said = _PASSWORD.sub(f"//{HIDDEN}@", finding.said)
    for each in sorted(secrets, key=len, reverse=True):
        said = said.replace(each, HIDDEN)
    return replace(finding, said=" ".join(said.split()))
