"""A file of keys, and an issuer of tokens."""

import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key

from serving.access import key_file, secret
from serving.access.guard import Guard
from serving.access.key_file import Record
from serving.engine import Engine
from serving.rpc.server import Options, start
from tests.servers import free_port

ISSUER, AUDIENCE = "https://issuer.example", "slipway"
MakeKey = Callable[..., str]


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def make_key(key_path: Path) -> MakeKey:
    """Write a key with these scopes into the file, and give it."""

    def make(*scopes: str, expires_in: float | None = None, rate: float | None = None) -> str:
        made, now = secret.made(), datetime.now(UTC)
        expires = None if expires_in is None else now + timedelta(seconds=expires_in)
        with key_file.changing(key_path) as records:
            records[made.id] = Record(made.id, "a test", made.digest, scopes, now, expires, rate)
        return made.key

    return make


@dataclass
class Issuer:
    """Signs tokens, and publishes the keys they are checked by."""

    path: Path
    name: str = "one"

    def __post_init__(self) -> None:
        self._keys: dict[str, EllipticCurvePrivateKey] = {}
        self.rotate(self.name)

    def rotate(self, name: str) -> None:
        """The next token is signed by another key; the former ones are taken away."""
        self.name = name
        self._keys = {name: generate_private_key(SECP256R1())}
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._keys[name].public_key()))
        self.path.write_text(json.dumps({"keys": [public | {"kid": name, "use": "sig", "alg": "ES256"}]}))

    def token(self, scope: str = "predict", *, algorithm: str = "ES256", key: Any = None, **claims: Any) -> str:
        body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "exp": time.time() + 60, "scope": scope, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, key or self._keys[self.name], algorithm, headers={"kid": self.name})


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "jwks.json")


@pytest.fixture
async def address(engine: Engine, guard: Guard) -> AsyncIterator[str]:
    """Of a gRPC server that asks the module's `guard`."""
    where = f"127.0.0.1:{free_port()}"
    server = await start(engine, where, Options(guard=guard))
    yield where
    await server.stop(None)


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(address) as made:
        yield made
