"""Recognise a JSON Web Token of one issuer (RFC 7519, RFC 9068), by the issuer's public keys.

A token that was checked is remembered until it ends: checking a signature takes a tenth of a millisecond.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt

from serving.access.issuer import IssuerKeys
from serving.access.scopes import Caller, Grant, grant
from serving.errors import Unauthenticated

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""With public keys, all of them: a token that names HS256 or none is refused."""
LEEWAY_SECONDS = 30
REMEMBERED = 10_000
LONGEST = 16_384
SHOWN = 64
"""Characters of a subject, in logs."""
_REQUIRED = ["exp", "iss", "aud", "sub"]


@dataclass(frozen=True)
class Expected:
    issuer: str
    audience: str


class Tokens:
    def __init__(self, expected: Expected, keys: IssuerKeys) -> None:
        self._expected, self._keys = expected, keys
        self._checked: dict[bytes, tuple[float, Caller]] = {}

    def remembered(self, token: bytes) -> Caller | None:
        found = self._checked.get(sha256(token).digest())
        return found[1] if found is not None and found[0] > time.time() else None

    async def follow(self) -> None:
        """The issuer's keys, until cancelled."""
        await self._keys.follow()

    async def caller(self, token: bytes) -> Caller:
        """Unauthenticated; AuthUnreachable where the issuer's keys cannot be had."""
        if len(token) > LONGEST:
            raise Unauthenticated("the token is too long to be one")
        try:
            text = token.decode("ascii")
            header = jwt.get_unverified_header(text)
        except (UnicodeDecodeError, jwt.PyJWTError):
            raise Unauthenticated("it is neither a key of this server nor a token") from None
        key = await self._keys.key(header.get("kid"))
        if key is None:
            raise Unauthenticated("the token is signed with no key of its issuer")
        return self._check(token, text, key)

    def _check(self, token: bytes, text: str, key: jwt.PyJWK) -> Caller:
        # Without their causes: the log would have a warning for whoever tries.
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=ALGORITHMS,
                audience=self._expected.audience,
                issuer=self._expected.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": _REQUIRED},
            )
            until = float(claims["exp"]) + LEEWAY_SECONDS  # PyJWT takes it as text, too
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the token has expired") from None
        except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
            raise Unauthenticated("the token is not from this server's issuer, or not for this server") from None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            raise Unauthenticated("the token is not valid") from None
        subject: str = claims["sub"]
        whole = sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
        caller = Caller(f"token {subject[:SHOWN]!a}", _granted(claims), bucket=f"token {whole}")
        self._remember(sha256(token).digest(), until, caller)
        return caller

    def _remember(self, digest: bytes, until: float, caller: Caller) -> None:
        if len(self._checked) >= REMEMBERED:
            self._checked.clear()
        self._checked[digest] = until, caller


def _granted(claims: Mapping[str, Any]) -> frozenset[Grant]:
    """Of `scope`, a text with spaces (RFC 8693), or the list `scp`; an issuer's other scopes are nothing to us."""
    scope, listed = claims.get("scope"), claims.get("scp")
    words = scope.split() if isinstance(scope, str) else listed if isinstance(listed, list) else []
    return frozenset(each for word in words if (each := _known(word)) is not None)


def _known(word: object) -> Grant | None:
    try:
        return grant(word) if isinstance(word, str) else None
    except ValueError:
        return None
