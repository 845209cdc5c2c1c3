"""The public keys of a token issuer: a JSON Web Key Set (RFC 7517), at an address or in a file.

Read when a token names a key that is not known yet, and now and then, so that an issuer may change its keys.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt

from serving.errors import AuthUnreachable

log = logging.getLogger(__name__)

FETCH_SECONDS = 5
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""With public keys, all of them: a token that names HS256 or none is refused."""
_OF_RSA = ALGORITHMS[:6]


@dataclass(frozen=True)
class Patience:
    fresh_seconds: float = 300
    """After so long they are read again; a key that its issuer took away counts as long."""
    pause_seconds: float = 5
    """From the end of one reading to the next one: whoever invents key ids must not make us flood the issuer."""


class IssuerKeys:
    def __init__(
        self, place: str, patience: Patience = Patience(), clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`place`: https://..., or a file's path."""
        self._place, self._patience, self._clock = place, patience, clock
        self._keys: Mapping[str | None, Sequence[jwt.PyJWK]] = {}
        self._read_at = self._tried_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        """The one that is under way, or the last one: all who wait share it."""

    async def follow(self) -> None:
        """Until cancelled. So nobody who asks has to wait for keys that are only old."""
        while True:
            await self._read_anew()
            await asyncio.sleep(self._patience.fresh_seconds)

    async def keys(self, name: str | None) -> Sequence[jwt.PyJWK]:
        """Those that are called so; without a name, all. A key that is good for several algorithms is there for each.

        AuthUnreachable.
        """
        if name not in self._keys:
            await self._read_anew()
        elif self._clock() - self._read_at > self._patience.fresh_seconds:
            self._begin()  # the issuer may hang, and this key is known
        if not self._keys:
            raise AuthUnreachable
        return self._keys.get(name, ())

    async def _read_anew(self) -> None:
        """Unless that was tried just now; no longer than a reading should take."""
        if (reading := self._begin()) is not None:
            await asyncio.wait({reading}, timeout=FETCH_SECONDS)

    def _begin(self) -> asyncio.Task[None] | None:
        if self._reading is not None and not self._reading.done():
            return self._reading
        if self._clock() - self._tried_at <= self._patience.pause_seconds:
            return None
        self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            found = await asyncio.to_thread(_fetched, self._place)
        except Exception as error:  # noqa: BLE001 - a background task; the keys of before count
            said = "the issuer's keys are not to be read; SERVING_AUTH__JWKS says where they are"
            log.error(said, extra={"place": _told(self._place), "reason": f"{type(error).__name__}: {error}"})
        else:
            self._keys, self._read_at = found, self._clock()
        finally:
            self._tried_at = self._clock()


def _told(place: str) -> str:
    """Without what may be secret in an address."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _fetched(place: str) -> Mapping[str | None, Sequence[jwt.PyJWK]]:
    """OSError; ValueError or PyJWTError for what is no set of keys."""
    if "://" in place:
        found = jwt.PyJWKClient(place, cache_jwk_set=False, timeout=FETCH_SECONDS).fetch_data()
    else:
        found = json.loads(Path(place).read_bytes())
    if not isinstance(found, dict):
        raise ValueError("no set of keys")
    return _named(found.get("keys"))


def _named(listed: object) -> Mapping[str | None, Sequence[jwt.PyJWK]]:
    """ValueError where nothing is of use."""
    named: dict[str | None, list[jwt.PyJWK]] = {}
    for key in (usable for each in listed for usable in _usable(each)) if isinstance(listed, list) else ():
        for name in {None, key.key_id if isinstance(key.key_id, str) else None}:
            named.setdefault(name, []).append(key)
    if not named:
        raise ValueError("no key in it that is of use")
    return named


def _usable(listed: Any) -> Iterator[jwt.PyJWK]:
    """One for each algorithm that the key is good for; none for a key of a kind that is not known here."""
    if not isinstance(listed, dict) or listed.get("use") not in (None, "sig"):
        return
    # RFC 7517, 4.4: a key need not name one. Of a curve there is only one; RSA PyJWT would take for RS256.
    several = listed.get("kty") == "RSA" and not listed.get("alg")
    for algorithm in _OF_RSA if several else (None,):
        with suppress(jwt.PyJWTError, TypeError):
            key = jwt.PyJWK(listed, algorithm)
            if key.algorithm_name in ALGORITHMS:
                yield key
