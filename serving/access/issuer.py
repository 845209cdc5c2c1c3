"""The public keys of a token issuer: a JSON Web Key Set (RFC 7517), at an address or in a file.

Read when a token names a key that is not known yet, and now and then, so that an issuer may change its keys.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import jwt

from serving.errors import AuthUnreachable

log = logging.getLogger(__name__)

FETCH_SECONDS = 5


@dataclass(frozen=True)
class Patience:
    fresh_seconds: float = 300
    """After so long they are read again; a key that its issuer took away counts as long."""
    pause_seconds: float = 5
    """From the end of one reading to the next one: whoever invents key ids must not make us flood the issuer."""


class IssuerKeys:
    def __init__(self, place: str, patience: Patience = Patience()) -> None:
        """`place`: https://..., or a file's path."""
        self._place, self._patience = place, patience
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._read_at = self._tried_at = -math.inf
        self._reading: asyncio.Task[None] | None = None
        """The one that is under way, or the last one: all who wait share it."""

    async def follow(self) -> None:
        """Until cancelled. So nobody who asks has to wait for keys that are only old."""
        while True:
            await self._read_anew()
            await asyncio.sleep(self._patience.fresh_seconds)

    async def key(self, name: str | None) -> jwt.PyJWK | None:
        """The one that is called so; without a name, the only one. None: the issuer has none such. AuthUnreachable."""
        if name not in self._keys:
            await self._read_anew()
        elif time.monotonic() - self._read_at > self._patience.fresh_seconds:
            self._begin()  # the issuer may hang, and this key is known
        if not self._keys:
            raise AuthUnreachable
        return self._keys.get(name)

    async def _read_anew(self) -> None:
        """Unless that was tried just now; no longer than a reading should take."""
        if (reading := self._begin()) is not None:
            await asyncio.wait({reading}, timeout=FETCH_SECONDS)

    def _begin(self) -> asyncio.Task[None] | None:
        if self._reading is not None and not self._reading.done():
            return self._reading
        if time.monotonic() - self._tried_at <= self._patience.pause_seconds:
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
            self._keys, self._read_at = found, time.monotonic()
        finally:
            self._tried_at = time.monotonic()


def _told(place: str) -> str:
    """Without what may be secret in an address."""
    if "://" not in place:
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.hostname}{parts.path}"


def _fetched(place: str) -> Mapping[str | None, jwt.PyJWK]:
    """OSError; ValueError or PyJWTError for what is no set of keys."""
    if "://" in place:
        found = jwt.PyJWKClient(place, cache_jwk_set=False, timeout=FETCH_SECONDS).fetch_data()
    else:
        found = json.loads(Path(place).read_bytes())
    if not isinstance(found, dict):
        raise ValueError("no set of keys")
    keys = [each for each in jwt.PyJWKSet.from_dict(found).keys if each.public_key_use in (None, "sig")]
    named: dict[str | None, jwt.PyJWK] = {each.key_id: each for each in keys}
    return named | ({None: keys[0]} if len(keys) == 1 else {})
