"""Which types a skops file may hold. The list is serving's; what the version asks to be trusted is not looked at.

skops reads the file's schema here and makes none of the objects in it. A type beyond those skops trusts by itself is
made by MLflow's loader only if the version asks for it too, so that nothing but what is allowed here can come to be.
"""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from serving.errors import VersionRefused

FILE = Path(__file__).parent / "skops_types.txt"
NAMED = 5
"""Types in a message."""


def check(file: Path, extra: Iterable[str]) -> frozenset[str]:
    """The types that skops does not trust by itself.

    VersionRefused names those that are not allowed, or says that it is no skops file.
    """
    import skops.io

    try:
        found = skops.io.get_untrusted_types(file=file)
    except Exception as error:
        raise VersionRefused(
            f"{file.name!a} is called a skops file and is none ({type(error).__name__}); log it again"
        ) from error
    refused = sorted({*found} - allowed() - {*extra})
    if refused:
        raise VersionRefused(
            f"{file.name!a} holds types that serving does not read: {_named(refused)}; if making such objects from a "
            "file can run nothing, name them in SERVING_SKOPS_TYPES, or set SERVING_ALLOW_CODE=true"
        )
    return frozenset(found)


@cache
def allowed() -> frozenset[str]:
    """Those that come with serving, one a line of the file."""
    lines = FILE.read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _named(types: list[str]) -> str:
    named = ", ".join(json.dumps(each)[1:-1][:80] for each in types[:NAMED])
    return named if len(types) <= NAMED else f"{named} and {len(types) - NAMED} more"
