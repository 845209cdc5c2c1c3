import hmac
import json
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from serving.access.issuer import IssuerKeys
from serving.access.scopes import Scope
from serving.access.tokens import LEEWAY_SECONDS, MOST_TRIED, Expected, Tokens
from serving.errors import AuthUnreachable, Unauthenticated
from tests.fakes import Clock
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


async def test_a_token_is_checked_once_and_remembered_until_it_ends(issuer: Issuer) -> None:
    clock = Clock(time.time())
    tokens = Tokens(Expected(ISSUER, AUDIENCE), IssuerKeys(str(issuer.path)), clock)
    token, end = issuer.token(exp=clock.now + 60).encode(), clock.now + 60 + LEEWAY_SECONDS
    await tokens.caller(token)

    assert tokens.remembered(b"another") is None
    for left, known in ((1, True), (-1, False)):
        clock.now = end - left
        assert (tokens.remembered(token) is not None) is known


def publish(issuer: Issuer, *keys: dict[str, Any]) -> Tokens:
    """These instead of what the issuer has."""
    issuer.path.write_text(json.dumps({"keys": keys}))
    return Tokens(Expected(ISSUER, AUDIENCE), IssuerKeys(str(issuer.path)))


def signed(key: Any, algorithm: str, name: str | None = None) -> bytes:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "exp": time.time() + 60}
    return jwt.encode(claims, key, algorithm, headers={"kid": name} if name else None).encode()


@pytest.fixture(scope="module")
def rsa() -> RSAPrivateKey:
    return generate_rsa(65537, 2048)


def public(key: RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey, **about: str) -> dict[str, Any]:
    kinds: dict[type, Any] = {RSAPrivateKey: RSAAlgorithm, EllipticCurvePrivateKey: ECAlgorithm}
    kind: Any = next((made for each, made in kinds.items() if isinstance(key, each)), OKPAlgorithm)
    found: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    return found | about


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_an_rsa_key_that_names_no_algorithm_is_good_for_all_of_rsa(
    issuer: Issuer, rsa: RSAPrivateKey, algorithm: str
) -> None:
    token = signed(rsa, algorithm, "r")

    assert await publish(issuer, public(rsa, kid="r")).caller(token)
    assert await publish(issuer, public(rsa, kid="r", alg=algorithm)).caller(token)
    with pytest.raises(Unauthenticated):
        await publish(issuer, public(rsa, kid="r", alg="RS384" if algorithm == "RS256" else "RS256")).caller(token)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (generate_private_key(SECP256R1()), "ES256"),
        (generate_private_key(SECP384R1()), "ES384"),
        (generate_private_key(SECP521R1()), "ES512"),
        (Ed25519PrivateKey.generate(), "EdDSA"),
    ],
    ids=["ES256", "ES384", "ES512", "EdDSA"],
)
async def test_a_curve_says_which_algorithm_is_meant(issuer: Issuer, key: Any, algorithm: str) -> None:
    assert await publish(issuer, public(key, kid="e")).caller(signed(key, algorithm, "e"))


async def test_a_shared_secret_among_the_keys_signs_nothing(issuer: Issuer, rsa: RSAPrivateKey) -> None:
    secret = b"0" * 64
    shared = {"kty": "oct", "k": urlsafe_b64encode(secret).decode().rstrip("="), "kid": "s"}
    tokens = publish(issuer, shared, shared | {"alg": "HS256", "kid": "t"}, public(rsa, kid="r"))

    for name in ("r", "s", "t", None):
        with pytest.raises(Unauthenticated):
            await tokens.caller(signed(secret, "HS256", name))


async def test_a_token_that_names_no_key_is_tried_with_a_few(issuer: Issuer) -> None:
    keys = [generate_private_key(SECP256R1()) for _ in range(MOST_TRIED + 1)]
    tokens = publish(issuer, *(public(each) for each in keys[:2]), *(public(each, kid="x") for each in keys[2:]))

    for key in keys[:MOST_TRIED]:
        assert await tokens.caller(signed(key, "ES256"))
    for unknown in (signed(keys[-1], "ES256"), signed(generate_private_key(SECP256R1()), "ES256")):
        with pytest.raises(Unauthenticated):
            await tokens.caller(unknown)
    with pytest.raises(Unauthenticated):
        await tokens.caller(signed(keys[0], "ES256", "a name that none has"))
