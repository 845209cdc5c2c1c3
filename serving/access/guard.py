"""Whether a request may be answered: who asks, may they, and not too often. The same for REST and gRPC."""

import asyncio
import time
from collections.abc import Mapping

from serving.access.keys import Keys
from serving.access.needs import Need
from serving.access.rates import Rates
from serving.access.scopes import Caller
from serving.access.tokens import Tokens
from serving.errors import DeadlineExpired, Forbidden, RateExceeded, Unauthenticated

AUTHORIZATION, API_KEY = b"authorization", b"x-api-key"
"""Also names of gRPC's metadata."""
_BEARER = b"bearer "
LOOK_SECONDS = 1.0
"""Who waits for his rate is looked at as often: his key may be revoked meanwhile."""


class Guard:
    def __init__(self, keys: Keys | None, tokens: Tokens | None, rates: Rates) -> None:
        self.keys = keys
        self._tokens, self._rates = tokens, rates

    async def follow(self) -> None:
        """What is known of callers changes: until cancelled."""
        await asyncio.gather(*(each.follow() for each in (self.keys, self._tokens) if each is not None))

    def known(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Who asks, where that needs no waiting; None: ask `caller`."""
        given = credential(headers)
        if given is None:
            return None
        found = self.keys.caller(given) if self.keys is not None else None
        return found or (self._tokens.remembered(given) if self._tokens is not None else None)

    async def caller(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Who asks. Unauthenticated; AuthUnreachable."""
        given = credential(headers)
        if given is None:
            raise Unauthenticated("no key was given: send `Authorization: Bearer KEY`, or X-Api-Key")
        found = self.known(headers)
        if found is None and self._tokens is not None:
            found = await self._tokens.caller(given)
        if found is None:
            raise Unauthenticated("the key is not known here, or has expired")
        return found

    def admit(self, caller: Caller, need: Need) -> None:
        """May this caller do that, now? Forbidden; RateExceeded. What is admitted is counted."""
        allow(caller, need)
        if wait := self._rates.wait(caller.bucket or caller.name, caller.rate):
            raise RateExceeded(wait)

    async def admit_more(self, headers: Mapping[bytes, bytes], need: Need, deadline: float | None) -> None:
        """A further part of a stream that was admitted, counted as a request; over his rate the caller is kept waiting.

        Unauthenticated, where the key was revoked or has expired since; Forbidden; AuthUnreachable; DeadlineExpired,
        by `time.monotonic`.
        """
        while True:
            try:
                self.admit(self.known(headers) or await self.caller(headers), need)
                return
            except RateExceeded as error:
                if deadline is not None and time.monotonic() + error.retry_seconds > deadline:
                    raise DeadlineExpired from None
                await asyncio.sleep(min(error.retry_seconds, LOOK_SECONDS))


def credential(headers: Mapping[bytes, bytes]) -> bytes | None:
    given = headers.get(AUTHORIZATION)
    if given is not None and given[: len(_BEARER)].lower() == _BEARER:
        return given[len(_BEARER) :].strip()
    return headers.get(API_KEY)


def allow(caller: Caller, need: Need) -> None:
    """Forbidden."""
    if need.scope is None:
        if need.model and not caller.knows(need.model):
            raise Forbidden("for that model")
        if caller.reads_metrics_only:
            raise Forbidden("for anything but /metrics")
    elif caller.grants.isdisjoint(need.enough):
        raise Forbidden(f"for the scope '{need.scope}'" + (" on that model" if need.model else ""))
