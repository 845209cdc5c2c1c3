"""Write down what a version's files are, signed where there is a key, so that serving can tell whether they still are.

`register` and `twin` do so when they are done. For any registered version, whatever its files are now:
python -m pipelines.manifest NAME VERSION

`slipway-manifest.json` has the SHA-256 of every file, `slipway-manifest.sig` the Ed25519 signature of its bytes (64 raw
bytes), and the version's tag `slipway.manifest` the SHA-256 of the manifest itself.
"""

import argparse
import hashlib
import json
import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipelines import keys, tracking
from pipelines.errors import FilesChanged, run
from pipelines.progress import say
from pipelines.registry import Registry
from pipelines.settings import load_settings

TAG = "slipway.manifest"
FILE = "slipway-manifest.json"
SIGNATURE = "slipway-manifest.sig"
APART = frozenset({FILE, SIGNATURE, "registered_model_meta"})
"""Not in it: what says it, and what MLflow adds as it downloads."""


@dataclass(frozen=True)
class Vouched:
    """What a manifest says of the files beside it. `passed`: they are those, and signed where there is a key."""

    passed: bool
    detail: str
    altered: bool = False
    """They are not what somebody vouched for, and should not be opened."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="registered name")
    parser.add_argument("version", help="a version's number")
    words, settings = parser.parse_args(), load_settings()
    key = keys.load(settings.signing_key)
    tracking.connect(settings)
    registry = Registry(MlflowClient(), words.name)
    said = publish(registry, registry.get(words.version), key)
    say(f"manifest: {words.name} version {words.version}: {said}")
    if key is None:
        say(f"manifest: {unsigned(settings.signing_key)}")


def publish(registry: Registry, version: ModelVersion, key: Ed25519PrivateKey | None) -> str:
    """Write the manifest into the version's own folder, over one that is there; what was written, for people.

    The tag comes last. Until then the version is not what its tag says; serving refuses it meanwhile, and asks again.
    """
    with tempfile.TemporaryDirectory() as name:
        folder, made = Path(name) / "version", Path(name) / "manifest"
        tracking.fetch(f"models:/{version.name}/{version.version}", folder)
        files = hashes(folder)
        content = written(files)
        made.mkdir()
        (made / FILE).write_bytes(content)
        if key is not None:
            (made / SIGNATURE).write_bytes(key.sign(content))
        elif (folder / SIGNATURE).exists():
            tracking.remove_file(version, SIGNATURE)  # of the former manifest: it would be taken for a forged one
        tracking.add_files(version, made)
    registry.tag(version.version, {TAG: hashlib.sha256(content).hexdigest()})
    return f"manifest of {len(files)} files, {'unsigned' if key is None else 'signed'}"


def verify(version: ModelVersion) -> None:
    """FilesChanged where the files are not those of the manifest that the tag names; nothing is said without a tag.

    For whoever is about to write it again: what somebody has changed since must not become right by that.
    """
    if TAG not in version.tags:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "version"
        tracking.fetch(f"models:/{version.name}/{version.version}", folder)
        now = hashlib.sha256(written(hashes(folder))).hexdigest()
    if now != version.tags[TAG]:
        raise FilesChanged(
            f"the files of {version.name} version {version.version} have changed since its manifest was written; where "
            f"they are right as they are: python -m pipelines.manifest {shlex.quote(version.name)} {version.version}"
        )


def vouched(folder: Path, version: ModelVersion, key: Ed25519PrivateKey | None) -> Vouched:
    """Of the version's files in `folder`, as serving will look at them; `key` is the one that signs here."""
    again = f"`python -m pipelines.manifest {shlex.quote(version.name)} {version.version}`"
    path, tag = folder / FILE, version.tags.get(TAG)
    if tag is None and not path.exists():
        return Vouched(passed=False, detail=f"it has none; {again} writes it")
    content = path.read_bytes() if path.exists() else b""
    files = hashes(folder)
    if hashlib.sha256(content).hexdigest() != tag or written(files) != content:
        name = _first_difference(files, content)
        return Vouched(False, f"{name}; where the files are right as they are, {again} writes it anew", altered=True)
    return _signed(folder, content, key, f"{len(files)} files, as it says", again)


def _first_difference(files: dict[str, str], content: bytes) -> str:
    """Between the files and what the manifest says of them; where there is none, its tag names another manifest."""
    try:
        told = json.loads(content)["files"]
        name = min(name for name in told.keys() | files.keys() if told.get(name) != files.get(name))
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{FILE} is not the one that the tag {TAG} names"
    if name not in files:
        return f"the file {name!r} is missing"
    return f"the file {name!r} {'has changed since' if name in told else 'is not in it'}"


def _signed(folder: Path, content: bytes, key: Ed25519PrivateKey | None, said: str, again: str) -> Vouched:
    path = folder / SIGNATURE
    if key is None:
        return Vouched(True, f"{said}; {'signed, but no key is here to check that' if path.exists() else 'not signed'}")
    if not path.exists():
        return Vouched(False, f"{said}, but not signed, and there is a key; {again} signs it")
    try:
        key.public_key().verify(path.read_bytes(), content)
    except InvalidSignature:
        return Vouched(False, f"{said}, but signed by another key than this one; {again} signs it anew", altered=True)
    return Vouched(True, f"{said}; signed by the key that is here")


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by its path from there with slashes; without those `APART`."""
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: _sha256(path) for name, path in names.items() if name not in APART}


def written(files: dict[str, str]) -> bytes:
    """The manifest; the same files give the same bytes."""
    return json.dumps({"format": 1, "files": files}, sort_keys=True, separators=(",", ":")).encode()


def unsigned(path: Path) -> str:
    """Why, and what to do about it."""
    return f"not signed, for there is no key {path}; `python -m pipelines.keys` makes one"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    run(main)
