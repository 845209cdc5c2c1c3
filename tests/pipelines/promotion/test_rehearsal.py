"""A version's files, tried as serving will use them: each way in which they are not fit is a check that fails."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipelines import golden, keys, manifest
from pipelines.gate import Check
from pipelines.promotion.rehearsal import rehearse, timed
from tests.workspace import Workspace

ANY_MS = 1e9


@pytest.fixture(scope="module")
def published(trained: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ed25519PrivateKey]:
    """The files that `register` has published, and the key that signed them."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(trained.env["MLFLOW_TRACKING_URI"])
    found = mlflow.artifacts.download_artifacts(
        "models:/trained-once/1", dst_path=str(tmp_path_factory.mktemp("files"))
    )
    mlflow.set_tracking_uri(before)
    key = keys.load(trained.folder / ".slipway/keys/signing.pem")
    assert key is not None
    return Path(found), key


@pytest.fixture
def folder(published: tuple[Path, Ed25519PrivateKey], tmp_path: Path) -> Path:
    """A copy to do harm to."""
    shutil.copytree(published[0], tmp_path / "version")
    return tmp_path / "version"


@pytest.fixture
def key(published: tuple[Path, Ed25519PrivateKey]) -> Ed25519PrivateKey:
    return published[1]


@pytest.fixture
def version(trained: Workspace) -> ModelVersion:
    uri = trained.env["MLFLOW_TRACKING_URI"]
    return MlflowClient(uri, uri).get_model_version("trained-once", "1")


def tried(folder: Path, version: ModelVersion, key: Ed25519PrivateKey | None, ms: float = ANY_MS) -> dict[str, Check]:
    return {check.name: check for check in rehearse(folder, version, key, latency_ms=ms)}


def failed(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if not check.passed]


def vouched(folder: Path, key: Ed25519PrivateKey) -> ModelVersion:
    """A version whose manifest is of the files as they are now."""
    content = manifest.written(manifest.hashes(folder))
    (folder / manifest.FILE).write_bytes(content)
    (folder / manifest.SIGNATURE).write_bytes(key.sign(content))
    return a_version(**{manifest.TAG: hashlib.sha256(content).hexdigest()})


def a_version(**tags: str) -> ModelVersion:
    class Tagged(ModelVersion):
        @property
        def tags(self) -> dict[str, str]:
            return tags

    return Tagged("trained-once", "1", 0)


def test_what_register_has_published_passes_every_check(
    folder: Path, version: ModelVersion, key: Ed25519PrivateKey
) -> None:
    checks = tried(folder, version, key)

    assert failed(checks) == []
    assert checks["manifest"].detail.endswith("files, as it says; signed by the key that is here")
    assert checks["golden sample"].detail.startswith("on 64 rows: the model answers the same, its ONNX twin ")
    assert checks["latency"].detail.startswith("one row through its ONNX twin on this machine (")


NOT_OPENED = ["manifest", "answers its example", "golden sample", "latency"]


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda folder: (folder / "model.skops").write_bytes(b"other"), "the file 'model.skops' has changed since"),
        (lambda folder: (folder / "more.py").write_text(""), "the file 'more.py' is not in it"),
        (lambda folder: (folder / "model.onnx").unlink(), "the file 'model.onnx' is missing"),
        (lambda folder: (folder / manifest.FILE).unlink(), "is not the one that the tag slipway.manifest names"),
        (
            lambda folder: (folder / manifest.FILE).write_text("[]"),
            "is not the one that the tag slipway.manifest names",
        ),
    ],
)
def test_files_that_nobody_vouches_for_are_named_and_not_opened(
    folder: Path, version: ModelVersion, key: Ed25519PrivateKey, harm: Callable[[Path], Any], says: str
) -> None:
    harm(folder)

    checks = tried(folder, version, key)

    assert failed(checks) == NOT_OPENED
    assert says in checks["manifest"].detail
    assert "`python -m pipelines.manifest trained-once 1`" in checks["manifest"].detail
    assert checks["golden sample"].detail == "not tried, for its files are not those of its manifest"


def test_a_manifest_of_other_files_than_the_tag_names_is_found_out(folder: Path, key: Ed25519PrivateKey) -> None:
    (folder / "model.skops").write_bytes(b"other")
    vouched(folder, key)

    assert failed(tried(folder, a_version(**{manifest.TAG: "0" * 64}), key)) == NOT_OPENED


def test_a_signature_by_another_key_is_refused(folder: Path, version: ModelVersion) -> None:
    checks = tried(folder, version, Ed25519PrivateKey.generate())

    assert failed(checks) == NOT_OPENED
    assert "signed by another key than this one" in checks["manifest"].detail


def test_no_signature_is_a_failure_only_where_there_is_a_key(
    folder: Path, version: ModelVersion, key: Ed25519PrivateKey
) -> None:
    (folder / manifest.SIGNATURE).unlink()

    assert failed(tried(folder, version, key)) == ["manifest"]
    assert failed(tried(folder, version, None)) == []


def test_a_version_without_a_manifest_is_told_how_to_get_one_and_tried_all_the_same(
    folder: Path, key: Ed25519PrivateKey
) -> None:
    (folder / manifest.FILE).unlink()
    (folder / manifest.SIGNATURE).unlink()

    checks = tried(folder, a_version(), key)

    assert failed(checks) == ["manifest"]
    assert checks["manifest"].detail == "it has none; `python -m pipelines.manifest trained-once 1` writes it"


def test_a_model_that_does_not_load_is_named_by_its_error(folder: Path, key: Ed25519PrivateKey) -> None:
    (folder / "model.skops").write_bytes(b"broken")

    checks = tried(folder, vouched(folder, key), key)

    assert failed(checks) == NOT_OPENED[1:]
    assert checks["answers its example"].detail.startswith("it does not load: BadZipFile")


def recorded(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / golden.FILE).read_text())
    change(content)
    (folder / golden.FILE).write_text(json.dumps(content))


def test_another_label_than_the_one_on_record_is_a_failure(folder: Path, key: Ed25519PrivateKey) -> None:
    def turn(content: dict[str, Any]) -> None:
        content["predict"]["values"][5] = 1 - content["predict"]["values"][5]

    recorded(folder, turn)

    checks = tried(folder, vouched(folder, key), key)

    assert failed(checks) == ["golden sample"]
    assert "the model answers with another label, type or shape" in checks["golden sample"].detail


@pytest.mark.parametrize(("factor", "fails"), [(1 + 1e-4, True), (1 + 1e-8, False)])
def test_a_number_may_differ_by_a_millionth(folder: Path, key: Ed25519PrivateKey, factor: float, fails: bool) -> None:
    def bend(content: dict[str, Any]) -> None:
        content["predict_proba"]["values"][0] *= factor

    recorded(folder, bend)

    assert failed(tried(folder, vouched(folder, key), key)) == (["golden sample"] if fails else [])


def test_probabilities_that_are_gone_are_a_difference(folder: Path, key: Ed25519PrivateKey) -> None:
    """A model that answers with labels only, in the place of one with probabilities."""
    sample = golden.read(folder)
    golden.write(replace(sample, probabilities=None), folder)
    assert failed(tried(folder, vouched(folder, key), key)) == []

    card = json.loads((folder / "twin.json").read_text())
    del card["outputs"]["predict_proba"]
    (folder / "twin.json").write_text(json.dumps(card))
    golden.write(sample, folder)

    checks = tried(folder, vouched(folder, key), key)
    assert "its ONNX twin answers with another label, type or shape" in checks["golden sample"].detail


def test_a_version_without_a_sample_is_told_how_to_get_one(folder: Path, key: Ed25519PrivateKey) -> None:
    (folder / golden.FILE).unlink()

    checks = tried(folder, vouched(folder, key), key)

    assert failed(checks) == ["golden sample"]
    again = "`python -m pipelines.golden trained-once 1 --rows FILE.parquet`"
    assert checks["golden sample"].detail == f"it has no golden.json; {again} makes one"


def test_without_a_twin_the_model_itself_is_measured(folder: Path, key: Ed25519PrivateKey) -> None:
    (folder / "twin.json").unlink()
    (folder / "model.onnx").unlink()

    checks = tried(folder, vouched(folder, key), key)

    assert failed(checks) == []
    assert "ONNX" not in checks["golden sample"].detail
    assert checks["latency"].detail.startswith("one row through the model on this machine (")


def test_a_twin_that_is_none_is_not_passed_over(folder: Path, key: Ed25519PrivateKey) -> None:
    (folder / "model.onnx").write_bytes(b"no graph")

    checks = tried(folder, vouched(folder, key), key)

    assert "model.onnx and twin.json are no twin" in checks["answers its example"].detail


def test_a_budget_that_is_broken_is_told_with_the_figures(
    folder: Path, version: ModelVersion, key: Ed25519PrivateKey
) -> None:
    checks = tried(folder, version, key, ms=1e-9)

    assert failed(checks) == ["latency"]
    assert "200 calls; at most 1e-09 ms" in checks["latency"].detail


class Stepping:
    """A clock that a call moves by as much as it takes."""

    def __init__(self, *seconds: float) -> None:
        self.now, self._seconds, self.calls = 0.0, seconds, 0

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self._seconds[min(self.calls, len(self._seconds) - 1)]
        self.calls += 1


def test_the_calls_that_warm_a_model_up_are_not_counted() -> None:
    clock = Stepping(*[0.1] * 20, 0.002)

    found = timed(clock.work, clock)

    assert (round(found.median_ms, 6), round(found.p99_ms, 6), found.calls) == (2, 2, 200)


def test_the_slowest_of_a_hundred_is_what_the_budget_is_for() -> None:
    clock = Stepping(*[0.001] * 20, *([0.001] * 97 + [0.004] * 3) * 2)

    found = timed(clock.work, clock)

    assert (round(found.median_ms, 6), round(found.p99_ms, 6)) == (1, 4)


def test_a_slow_model_is_measured_on_fewer_calls() -> None:
    clock = Stepping(2)

    found = timed(clock.work, clock)

    assert (found.median_ms, found.calls, clock.calls) == (2000, 1, 3)
