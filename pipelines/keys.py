"""The private key that signs manifests: made here, read here, and its public half as serving wants it.

python -m pipelines.keys             make one where SLIPWAY_SIGNING_KEY says; one that is there already stays
python -m pipelines.keys --replace   make another one in its place
Standard output is the line that tells serving to trust it.
"""

import argparse
import base64
import os
import sys
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from pipelines.errors import BadKey, run
from pipelines.progress import say
from pipelines.settings import load_settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replace", action="store_true", help="make a new key although there is one")
    path, replace = load_settings().signing_key, parser.parse_args().replace
    key = None if replace else load(path)
    if key is None:
        key = make(path, replace=replace)
        say(f"keys: {path} is the private key; whoever has it can sign. Tell serving to trust its public half:")
    else:
        say(f"keys: {path} is there already, and stays (--replace makes another one). Its public half:")
    sys.stdout.write(f"SERVING_TRUST_KEYS={public(key)}\n")


def load(path: Path) -> Ed25519PrivateKey | None:
    """None where there is no such file. BadKey."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it wants a password
        raise BadKey(_wrong(path)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(_wrong(path))
    return key


def make(path: Path, *, replace: bool = False) -> Ed25519PrivateKey:
    """A new key in the file `path`, whole or not at all, and for its owner's eyes only. BadKey."""
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not replace:
            os.close(_claimed(path))
        fresh.unlink(missing_ok=True)
        with os.fdopen(_claimed(fresh), "wb") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}") from error
    return key


def public(key: Ed25519PrivateKey) -> str:
    """Base64 of the public key's 32 raw bytes."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def _claimed(path: Path) -> int:
    """A file that was not there, open. FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _wrong(path: Path) -> str:
    return f"{path} is no Ed25519 private key in PEM without a password; `python -m pipelines.keys --replace` makes one"


if __name__ == "__main__":
    run(main)
