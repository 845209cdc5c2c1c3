from pathlib import Path

import pytest

from serving.access.guard import Guard, credential
from serving.access.issuer import IssuerKeys
from serving.access.keys import Keys
from serving.access.needs import Need
from serving.access.rates import Rates
from serving.access.scopes import Scope
from serving.access.tokens import Expected, Tokens
from serving.errors import Forbidden, RateExceeded, Unauthenticated
from tests.serving.access.conftest import AUDIENCE, ISSUER, Issuer, MakeKey


@pytest.mark.parametrize(
    ("headers", "given"),
    [
        ({}, None),
        ({b"authorization": b"Bearer abc"}, b"abc"),
        ({b"authorization": b"bearer  abc "}, b"abc"),
        ({b"x-api-key": b"abc"}, b"abc"),
        ({b"authorization": b"Basic abc"}, None),
        ({b"authorization": b"Basic abc", b"x-api-key": b"def"}, b"def"),
    ],
)
def test_a_key_comes_as_bearer_or_in_a_header_of_its_own(headers: dict[bytes, bytes], given: bytes | None) -> None:
    assert credential(headers) == given


async def test_keys_and_tokens_are_known_side_by_side(key_path: Path, make_key: MakeKey, issuer: Issuer) -> None:
    key = make_key("predict")
    tokens = Tokens(Expected(ISSUER, AUDIENCE), IssuerKeys(str(issuer.path)))
    guard = Guard(Keys(key_path), tokens, Rates(None, 1))

    for given in (key, issuer.token()):
        caller = await guard.caller({b"authorization": b"Bearer " + given.encode()})
        assert caller.may(Scope.PREDICT)
    for wrong in ({}, {b"x-api-key": b"slipway_abc_def"}, {b"x-api-key": b"\xff"}):
        with pytest.raises(Unauthenticated):
            await guard.caller(wrong)


async def test_what_was_not_allowed_uses_up_nothing(key_path: Path, make_key: MakeKey) -> None:
    key = make_key("predict", rate=0.001)
    guard = Guard(Keys(key_path), None, Rates(None, 1))
    caller = await guard.caller({b"x-api-key": key.encode()})

    with pytest.raises(Forbidden, match="whoever gave it to you gives scopes"):
        guard.admit(caller, Need(Scope.JOBS, "iris"))
    guard.admit(caller, Need(Scope.PREDICT, "iris"))
    with pytest.raises(RateExceeded) as refused:
        guard.admit(caller, Need(Scope.PREDICT, "iris"))
    assert 900 < refused.value.retry_seconds <= 1000
