"""Recognise a JSON Web Token of one issuer (RFC 7519, RFC 9068), by the issuer's public keys.

A token that was checked is remembered until it ends: checking a signature takes a tenth of a millisecond.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt

from serving.access.issuer import ALGORITHMS, IssuerKeys
from serving.access.scopes import Caller, Grant, grant
from serving.errors import Unauthenticated

LEEWAY_SECONDS = 30
REMEMBERED = 10_000
LONGEST = 16_384
SHOWN = 64
"""Characters of a subject, in logs."""
MOST_TRIED = 4
"""Keys, for a token that names none: whoever invents tokens must not make us check a hundred signatures."""
_REQUIRED = ["exp", "iss", "aud", "sub"]


@dataclass(frozen=True)
class Expected:
    issuer: str
    audience: str


class Tokens:
    def __init__(self, expected: Expected, keys: IssuerKeys, clock: Callable[[], float] = time.time) -> None:
        """`clock`: of what is remembered; PyJWT has its own."""
        self._expected, self._keys, self._clock = expected, keys, clock
        self._checked: dict[bytes, tuple[float, Caller]] = {}

    def remembered(self, token: bytes) -> Caller | None:
        found = self._checked.get(sha256(token).digest())
        return found[1] if found is not None and found[0] > self._clock() else None

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
        named = await self._keys.keys(header.get("kid"))
        # The algorithms are the keys', never merely the token's: a public key is no secret of HS256.
        signers = [each for each in named if each.algorithm_name == header.get("alg")][:MOST_TRIED]
        if not signers:
            raise Unauthenticated("the token is signed with no key of its issuer")
        return self._check(token, text, signers)

    def _check(self, token: bytes, text: str, signers: Sequence[jwt.PyJWK]) -> Caller:
        # Without their causes: the log would have a warning for whoever tries.
        try:
            claims = self._claims(text, signers)
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

    def _claims(self, text: str, signers: Sequence[jwt.PyJWK]) -> dict[str, Any]:
        """By the one that signed it. PyJWTError, and what odd claims make of it."""
        for each in signers:
            with suppress(jwt.InvalidSignatureError):
                return jwt.decode(
                    text,
                    each,
                    algorithms=ALGORITHMS,
                    audience=self._expected.audience,
                    issuer=self._expected.issuer,
                    leeway=LEEWAY_SECONDS,
                    options={"require": _REQUIRED},
                )
        raise jwt.InvalidSignatureError

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
