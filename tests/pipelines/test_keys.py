"""The signing key: made once, for its owner's eyes, and refused by one line when it is none."""

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from pipelines import keys
from pipelines.errors import BadKey
from tests.servers import ROOT

LINE = "SERVING_TRUST_KEYS="


def command(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m pipelines.keys`, with no server anywhere."""
    env = {**os.environ, "SLIPWAY_SIGNING_KEY": str(path), "MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}
    call = [sys.executable, "-m", "pipelines.keys", *words]
    return subprocess.run(call, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_the_line_for_serving_is_all_of_standard_output_and_verifies_what_the_key_signs(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"

    said = command(path)

    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith(LINE)
    assert said.stdout.count("\n") == 1
    key = keys.load(path)
    assert key is not None
    raw = base64.b64decode(said.stdout.removeprefix(LINE).rstrip("\n"), validate=True)
    Ed25519PublicKey.from_public_bytes(raw).verify(key.sign(b"manifest"), b"manifest")


def test_only_its_owner_may_read_the_private_key(tmp_path: Path) -> None:
    keys.make(tmp_path / "keys" / "signing.pem")

    assert stat.S_IMODE((tmp_path / "keys" / "signing.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_a_second_call_keeps_the_key_and_shows_its_line_again(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    first = command(path)
    before = path.read_bytes()

    again = command(path)

    assert (again.stdout, path.read_bytes()) == (first.stdout, before)
    assert "--replace" in again.stderr


def test_replace_makes_another_key(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    first = command(path)

    again = command(path, "--replace")

    assert again.stdout.startswith(LINE)
    assert again.stdout != first.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["signing.pem"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_key_that_somebody_else_just_made_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    path.write_text("of somebody else")

    with pytest.raises(BadKey, match="File exists"):
        keys.make(path)

    assert path.read_text() == "of somebody else"
    assert [file.name for file in tmp_path.iterdir()] == ["signing.pem"]


def test_where_there_is_no_file_there_is_no_key(tmp_path: Path) -> None:
    assert keys.load(tmp_path / "signing.pem") is None


def ed25519(password: bytes | None = None) -> bytes:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)


def elliptic() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "content",
    [lambda: b"", lambda: b"\xff\x00", lambda: ed25519()[:-40], lambda: ed25519(b"secret"), elliptic],
    ids=["empty", "bytes", "half", "locked", "another-kind"],
)
def test_a_file_that_is_no_such_key_is_one_line(tmp_path: Path, content: Callable[[], bytes]) -> None:
    path = tmp_path / "signing.pem"
    path.write_bytes(content())

    with pytest.raises(BadKey) as refused:
        keys.load(path)

    assert str(refused.value).startswith(f"{path} is no Ed25519 private key in PEM without a password")
    assert "\n" not in str(refused.value)


def test_the_command_says_it_in_one_line_too(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    path.write_text("no key")

    said = command(path)

    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr.startswith(f"pipelines.keys: {path} is no Ed25519 private key")
    assert said.stderr.count("\n") == 1


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="Is a directory"):
        keys.load(tmp_path)
