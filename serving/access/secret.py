"""API keys: how they look, and what is kept of them.

Pure but for the randomness. A key is 256 random bits, so that one SHA-256 is as good as any slow hash: there is nothing
to guess. The id before it is not secret; it finds the record, and is what logs and lists say.
"""

import hashlib
import secrets
from dataclasses import dataclass

PREFIX = "slipway_"
"""So that scanners for leaked secrets can know one."""
_ID_BYTES, _SECRET_BYTES = 6, 32
LONGEST = 200
"""Characters; more is no key."""


@dataclass(frozen=True)
class Made:
    id: str
    key: str
    """Shown once, and kept nowhere."""
    digest: str


def made() -> Made:
    name = secrets.token_hex(_ID_BYTES)
    key = f"{PREFIX}{name}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return Made(name, key, digest(key.encode()))


def digest(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()


def id_of(key: bytes) -> str | None:
    """None: it does not look like a key of ours."""
    if not key.startswith(PREFIX.encode()) or len(key) > LONGEST:
        return None
    name, mark, _ = key[len(PREFIX) :].partition(b"_")
    return name.decode("ascii", "replace") if mark else None
