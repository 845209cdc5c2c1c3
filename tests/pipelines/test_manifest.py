"""A version's manifest: what its files are, as they come from the registry, and who says so."""

import hashlib
import json
import subprocess
from pathlib import Path

import mlflow
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipelines import keys, manifest, tracking
from pipelines.registry import Registry
from tests.workspace import Workspace

KEY = Ed25519PrivateKey.generate()
TAG = "slipway.manifest"


def files_of(registry: Registry, version: str, folder: Path) -> Path:
    """As they come now; a folder of their own for every look."""
    found = folder / str(len(list(folder.iterdir())) if folder.exists() else 0)
    return Path(mlflow.artifacts.download_artifacts(f"models:/{registry.model}/{version}", dst_path=str(found)))


def described(folder: Path) -> dict[str, str]:
    content = json.loads((folder / "slipway-manifest.json").read_text())
    assert content["format"] == 1
    files: dict[str, str] = content["files"]
    return files


def publish(registry: Registry, number: str, key: Ed25519PrivateKey | None) -> ModelVersion:
    manifest.publish(registry, registry.get(number), key)
    return registry.get(number)


def test_the_manifest_has_every_file_of_the_version_but_itself(registry: Registry, tmp_path: Path) -> None:
    version = publish(registry, "1", KEY)

    folder = files_of(registry, "1", tmp_path)
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    apart = {"slipway-manifest.json", "slipway-manifest.sig", "registered_model_meta"}
    assert described(folder) == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items() if name not in apart
    }
    assert {"MLmodel", "model.skops"} <= set(described(folder))
    content = (folder / "slipway-manifest.json").read_bytes()
    assert version.tags[TAG] == hashlib.sha256(content).hexdigest()


def test_the_signature_is_of_the_manifests_very_bytes(registry: Registry, tmp_path: Path) -> None:
    publish(registry, "1", KEY)

    folder = files_of(registry, "1", tmp_path)
    content = (folder / "slipway-manifest.json").read_bytes()
    signature = (folder / "slipway-manifest.sig").read_bytes()
    KEY.public_key().verify(signature, content)
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(signature, content + b"\n")


def test_openssl_agrees_with_the_signature(registry: Registry, tmp_path: Path) -> None:
    publish(registry, "1", KEY)
    folder = files_of(registry, "1", tmp_path / "files")
    public = tmp_path / "public.pem"
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    said = subprocess.run(
        [
            *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin"),
            *("-in", str(folder / "slipway-manifest.json"), "-sigfile", str(folder / "slipway-manifest.sig")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Signature Verified Successfully" in said.stdout, said.stderr


def test_written_again_for_the_same_files_it_is_the_same(registry: Registry) -> None:
    first = publish(registry, "1", KEY)

    assert publish(registry, "1", KEY).tags[TAG] == first.tags[TAG]


def test_a_file_that_came_since_is_in_the_next_one(registry: Registry, tmp_path: Path) -> None:
    first = publish(registry, "1", KEY)
    added = tmp_path / "added"
    (added / "below").mkdir(parents=True)
    (added / "below" / "model.onnx").write_bytes(b"graph")
    tracking.add_files(first, added)

    second = publish(registry, "1", KEY)

    assert second.tags[TAG] != first.tags[TAG]
    folder = files_of(registry, "1", tmp_path / "files")
    assert described(folder)["below/model.onnx"] == hashlib.sha256(b"graph").hexdigest()
    KEY.public_key().verify(
        (folder / "slipway-manifest.sig").read_bytes(), (folder / "slipway-manifest.json").read_bytes()
    )


def test_a_twin_is_not_added_to_files_that_somebody_has_changed(
    registry: Registry, trained: Workspace, tmp_path: Path
) -> None:
    """Its manifest would sign them."""
    version = publish(registry, "1", KEY)
    (tmp_path / "MLmodel").write_text("of somebody else")
    mlflow.MlflowClient().log_model_artifacts(str(version.source).removeprefix("models:/"), str(tmp_path))

    said = trained.run("pipelines.twin", registry.model, "1", fails=True)

    assert said.startswith(f"pipelines.twin: the files of {registry.model} version 1 have changed since its manifest")
    assert said.strip().endswith(f"python -m pipelines.manifest {registry.model} 1")
    assert registry.get("1").tags[TAG] == version.tags[TAG]


def test_files_as_their_manifest_has_them_are_verified(registry: Registry) -> None:
    manifest.verify(publish(registry, "1", KEY))
    manifest.verify(registry.get("2"))  # which never had one


def test_without_a_key_no_signature_of_a_former_one_stays(registry: Registry, tmp_path: Path) -> None:
    publish(registry, "1", KEY)

    publish(registry, "1", None)

    folder = files_of(registry, "1", tmp_path)
    assert described(folder)
    assert not (folder / "slipway-manifest.sig").exists()


def test_a_version_whose_files_are_a_runs_has_one_too(client: MlflowClient, unique_name: str, tmp_path: Path) -> None:
    """As MLflow 2 registered them, and as people do who log files themselves."""
    mlflow.set_experiment(unique_name)
    (tmp_path / "MLmodel").write_text("flavors: {}")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(tmp_path / "MLmodel"), "by-hand")
    client.create_registered_model(unique_name)
    source = f"{run.info.artifact_uri}/by-hand"
    client.create_model_version(unique_name, source, run_id=run.info.run_id)
    registry = Registry(client, unique_name)

    publish(registry, "1", KEY)

    assert described(files_of(registry, "1", tmp_path / "files")) == {
        "MLmodel": hashlib.sha256(b"flavors: {}").hexdigest()
    }


@given(files=st.dictionaries(st.text(min_size=1), st.text("0123456789abcdef", min_size=64, max_size=64)))
def test_the_bytes_do_not_depend_on_the_order_of_the_files(files: dict[str, str]) -> None:
    backwards = dict(reversed(files.items()))

    assert manifest.written(files) == manifest.written(backwards)
    assert json.loads(manifest.written(files)) == {"format": 1, "files": files}


def test_register_signs_with_the_workspaces_key(trained: Workspace, client: MlflowClient, tmp_path: Path) -> None:
    registry = Registry(client, "trained-once")

    folder = files_of(registry, "1", tmp_path)

    key = keys.load(trained.folder / ".slipway" / "keys" / "signing.pem")
    assert key is not None
    assert {"MLmodel", "model.onnx", "twin.json"} <= set(described(folder))
    content = (folder / "slipway-manifest.json").read_bytes()
    key.public_key().verify((folder / "slipway-manifest.sig").read_bytes(), content)
    assert registry.get("1").tags[TAG] == hashlib.sha256(content).hexdigest()


def test_the_command_writes_one_for_any_version_and_says_when_it_is_not_signed(
    registry: Registry, trained: Workspace, tmp_path: Path
) -> None:
    no_key = Workspace(trained.folder, {**trained.env, "SLIPWAY_SIGNING_KEY": str(tmp_path / "none.pem")})

    said = no_key.run("pipelines.manifest", registry.model, "2")

    assert f"{registry.model} version 2: manifest of " in said
    assert f"not signed, for there is no key {tmp_path / 'none.pem'}; `python -m pipelines.keys` makes one" in said
    assert described(files_of(registry, "2", tmp_path / "files"))

    assert " files, signed" in trained.run("pipelines.manifest", registry.model, "2")


def test_a_key_that_is_none_stops_the_command_with_one_line(trained: Workspace, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    broken = Workspace(trained.folder, {**trained.env, "SLIPWAY_SIGNING_KEY": str(tmp_path / "key.pem")})

    said = broken.run("pipelines.manifest", "trained-once", "1", fails=True)

    assert said.startswith(f"pipelines.manifest: {tmp_path / 'key.pem'} is no Ed25519 private key")
    assert said.count("\n") == 1
