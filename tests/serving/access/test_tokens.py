import asyncio
import hmac
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from serving.access.issuer import IssuerKeys
from serving.access.scopes import Scope
from serving.access.tokens import Expected, Tokens
from serving.errors import AuthUnreachable, Unauthenticated
from tests.servers import eventually
from tests.serving.access.conftest import AUDIENCE, ISSUER, Issuer


@pytest.fixture
def tokens(issuer: Issuer) -> Tokens:
    return Tokens(Expected(ISSUER, AUDIENCE), IssuerKeys(str(issuer.path)))


@pytest.mark.parametrize(
    "claims", [{"scope": "openid predict:iris jobs"}, {"scope": None, "scp": ["jobs", "predict:iris"]}]
)
async def test_a_token_gives_the_scopes_it_names_and_no_others(
    tokens: Tokens, issuer: Issuer, claims: dict[str, Any]
) -> None:
    caller = await tokens.caller(issuer.token(**claims).encode())

    assert caller.may(Scope.PREDICT, "iris")
    assert caller.may(Scope.JOBS, "wine")
    assert not caller.may(Scope.PREDICT, "wine")
    assert not caller.may(Scope.ADMIN)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": time.time() - 3600},
        {"exp": None},
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "another-service"},
        {"aud": None},
        {"sub": None},
        {"sub": 7},
        {"nbf": time.time() + 3600},
        {"exp": 10**400},
        {"nbf": float("inf")},
    ],
    ids=[
        "expired",
        "never expires",
        "issuer",
        "no issuer",
        "audience",
        "no audience",
        "nobody",
        "a number",
        "not yet",
        "endless",
        "never",
    ],
)
async def test_a_token_that_is_not_for_us_now_is_refused(
    tokens: Tokens, issuer: Issuer, claims: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.caller(issuer.token(**claims).encode())


async def test_an_end_that_is_written_as_text_is_read(tokens: Tokens, issuer: Issuer) -> None:
    token = issuer.token(exp=str(int(time.time()) + 60)).encode()

    assert await tokens.caller(token) == tokens.remembered(token)


async def test_a_head_that_is_nested_too_deeply_is_refused(tokens: Tokens) -> None:
    head = urlsafe_b64encode(b"[" * 9000).rstrip(b"=")

    with pytest.raises(Unauthenticated):
        await tokens.caller(head + b".e30.AAAA")


async def test_subjects_that_begin_alike_are_not_the_same(tokens: Tokens, issuer: Issuer) -> None:
    one, two, again = [await tokens.caller(issuer.token(sub="x" * 64 + end).encode()) for end in ("a", "b", "a")]

    assert one.name == two.name, "no more than that is shown"
    assert one.bucket != two.bucket
    assert one.bucket == again.bucket


def _public(issuer: Issuer) -> bytes:
    (key,) = jwt.PyJWKSet.from_json(issuer.path.read_text()).keys
    return bytes(key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


async def test_a_token_that_its_issuer_did_not_sign_is_refused(tokens: Tokens, issuer: Issuer, tmp_path: Path) -> None:
    forged = Issuer(tmp_path / "other.json", issuer.name).token()
    unsigned = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "sub": "x", "exp": time.time() + 60}, "", "none")
    # The public key as the secret of a symmetric signature: the classic confusion of algorithms.
    head, body, _ = issuer.token(algorithm="HS256", key="0" * 32).split(".")
    mac = hmac.digest(_public(issuer), f"{head}.{body}".encode(), "sha256")
    confused = f"{head}.{body}.{urlsafe_b64encode(mac).decode().rstrip('=')}"
    good = issuer.token()
    changed = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")

    for each in (forged, unsigned, confused, changed):
        with pytest.raises(Unauthenticated):
            await tokens.caller(each.encode())


@given(text=st.binary(max_size=200))
async def test_whatever_comes_is_refused_with_a_sentence(text: bytes) -> None:
    with pytest.raises((Unauthenticated, AuthUnreachable)):
        await Tokens(Expected(ISSUER, AUDIENCE), IssuerKeys("/nowhere")).caller(text)


async def test_a_token_is_checked_once_and_remembered_until_it_ends(tokens: Tokens, issuer: Issuer) -> None:
    token, ending = issuer.token().encode(), issuer.token(exp=time.time() - 28).encode()
    await tokens.caller(token)
    await tokens.caller(ending)  # within what clocks may differ

    assert tokens.remembered(token) is not None
    assert tokens.remembered(b"another") is None
    await asyncio.to_thread(eventually, lambda: tokens.remembered(ending) is None)
