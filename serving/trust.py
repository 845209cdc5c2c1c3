"""Decide whether a version's files are those that were published, before anything opens one of them as a model.

`pipelines/manifest.py` writes what is read here: the SHA-256 of every file, the signature of that list, and the list's
own SHA-256 as a tag of the version. Files are only hashed here; none is opened as a model.
"""

import hashlib
import logging
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from serving.errors import VersionRefused
from serving.protocol import Version
from serving.settings import TrustMode

log = logging.getLogger(__name__)

FILE = "slipway-manifest.json"
SIGNATURE = "slipway-manifest.sig"
APART = frozenset({FILE, SIGNATURE, "registered_model_meta"})
"""Not in the manifest: what says it, and a note that MLflow writes as it downloads and nobody here reads."""
LARGEST_BYTES = 16 << 20
"""Of a manifest: some 100,000 files."""
SIGNATURE_BYTES = 64
SHOWN = 120
"""Characters of a file's name in a message; the advice behind it must not be cut off."""

Found = Literal["signed", "digest", "none"]
"""What vouches for a version's files: a trusted key, only their manifest, or nothing."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    files: dict[str, Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]]
    """SHA-256 by path, with slashes, below the version's folder."""


class Trust:
    def __init__(self, mode: TrustMode, keys: tuple[bytes, ...] = (), *, warns: bool = True) -> None:
        """`keys`: raw public Ed25519 keys. `warns`: say in the log what is served although nothing vouches for it."""
        self._mode, self._keys = mode, keys
        self._warns = warns and mode == "digest"
        self._warned: set[Version] = set()

    def check(self, folder: Path, version: Version) -> Found:
        """What vouches for the files in `folder`. VersionRefused says which file is wrong, and what to do; OSError."""
        files = dict(_files(folder, version))
        if FILE not in files:
            self._without_manifest(version, files)
            return "none"
        content = _read(files[FILE], LARGEST_BYTES, version)
        if version.manifest is not None and hashlib.sha256(content).hexdigest() != version.manifest:
            raise _refusal(version, f"{FILE} is not the one that the version's tag slipway.manifest names")
        signed = self._is_signed(content, files.get(SIGNATURE), version)
        if self._mode == "signed" and not signed:
            raise VersionRefused(f"it is not signed, and SERVING_TRUST=signed asks for that; {_with_key(version)}")
        _compare(_parsed(content, version), files, version)
        return "signed" if signed else "digest"

    def _without_manifest(self, version: Version, files: dict[str, Path]) -> None:
        """VersionRefused, unless it may be served without one."""
        if version.manifest is not None:
            raise _refusal(version, f"{FILE} is missing, and the version's tag slipway.manifest says that it has one")
        if SIGNATURE in files:
            raise _refusal(version, f"{FILE} is missing, and its signature is there")
        if self._mode == "signed":
            raise VersionRefused(f"it has no manifest, and SERVING_TRUST=signed asks for one; {_with_key(version)}")
        if self._warns and version not in self._warned:
            self._warned.add(version)
            extra = {"model": version.name, "version": version.number, "cure": _with_key(version)}
            log.warning("version has no manifest", extra=extra)

    def _is_signed(self, manifest: bytes, file: Path | None, version: Version) -> bool:
        """Did one of the keys make the signature? False where there is none, or no key to check it by."""
        if file is None or not self._keys:
            return False
        signature = _read(file, SIGNATURE_BYTES, version)
        if not any(made_by(key, signature, manifest) for key in self._keys):
            raise _refusal(version, f"{SIGNATURE} was made with none of the keys in SERVING_TRUST_KEYS")
        return True


def _files(folder: Path, version: Version, above: str = "") -> Iterator[tuple[str, Path]]:
    """Every file below `folder`, by its path there with slashes. VersionRefused where there is anything but files."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = above + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry), version, f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name, Path(entry)
            else:  # a link may lead anywhere, and elsewhere tomorrow
                raise _refusal(version, f"{_shown(name)} is a link or a device, and not a file")


def _read(file: Path, largest: int, version: Version) -> bytes:
    with file.open("rb") as content:
        read = content.read(largest + 1)
    if len(read) > largest:
        raise _refusal(version, f"{file.name} has more than {largest} bytes, as none has")
    return read


def _parsed(content: bytes, version: Version) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _refusal(version, f"{FILE} is no manifest") from error


def _compare(manifest: Manifest, files: dict[str, Path], version: Version) -> None:
    there, listed = files.keys() - APART, manifest.files.keys()
    for name in sorted(listed - there):
        raise _refusal(version, f"{_shown(name)} is missing")
    for name in sorted(there - listed):
        raise _refusal(version, f"{_shown(name)} is not in its manifest")
    for name, wanted in manifest.files.items():
        with files[name].open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
                raise _refusal(version, f"{_shown(name)} is not the file that its manifest describes")


def made_by(key: bytes, signature: bytes, manifest: bytes) -> bool:
    """Is it that key's signature of the manifest?"""
    # Not above: a server that trusts no key needs no OpenSSL in its workers.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, manifest)
    except InvalidSignature:
        return False
    return True


def _refusal(version: Version, what: str) -> VersionRefused:
    return VersionRefused(f"{what}; register it again, or where its files are right as they are: {_command(version)}")


def _with_key(version: Version) -> str:
    return f"with the key: {_command(version)}"


def _command(version: Version) -> str:
    return f"python -m pipelines.manifest {shlex.quote(version.name)} {version.number}"


def _shown(name: str) -> str:
    """A file's name is whatever somebody called it: on one line, and not too long."""
    shown = ascii(name)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
