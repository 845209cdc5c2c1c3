"""Manifests as `pipelines/manifest.py` writes them, for versions that a test has made by hand."""

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OURS, THEIRS = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
FILE = "slipway-manifest.json"
SIGNATURE = "slipway-manifest.sig"
TAG = "slipway.manifest"


def public(*keys: Ed25519PrivateKey) -> tuple[bytes, ...]:
    return tuple(key.public_key().public_bytes_raw() for key in keys)


def write_manifest(folder: Path, key: Ed25519PrivateKey | None = None) -> dict[str, str]:
    """Of the files there are now; the tags that its version then has."""
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    paths = {name: path for name, path in paths.items() if name not in (FILE, SIGNATURE)}
    files = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in paths.items()}
    return write(folder, json.dumps({"format": 1, "files": files}, sort_keys=True).encode(), key)


def write(folder: Path, content: bytes, key: Ed25519PrivateKey | None = None) -> dict[str, str]:
    """Any content as a manifest; the tags that its version then has."""
    (folder / FILE).write_bytes(content)
    if key is not None:
        (folder / SIGNATURE).write_bytes(key.sign(content))
    return {TAG: hashlib.sha256(content).hexdigest()}
