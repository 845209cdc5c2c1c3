"""Whose files a version has: every change of them is refused, in every mode, before one is opened as a model."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import VersionRefused
from serving.protocol import Version
from serving.settings import TrustMode
from serving.trust import Found, Trust
from tests.fakes import a_version
from tests.serving.manifests import FILE, OURS, SIGNATURE, THEIRS, public, write, write_manifest

MODES: tuple[TrustMode, ...] = ("signed", "digest", "off")
every_mode = pytest.mark.parametrize("mode", MODES)
COMMAND = "python -m pipelines.manifest iris 1"


def files_in(folder: Path) -> Path:
    """A version's files, some of them in folders; without a manifest."""
    files = {"MLmodel": b"flavors: {}", "model.skops": bytes(range(256)) * 20, "code/one.py": b"", "code/deep/2": b""}
    return lay_out(folder, files)


def signed(folder: Path) -> Version:
    """The version whose files are in `folder`, with a manifest that we have signed."""
    return replace(a_version(1), tags=write_manifest(files_in(folder), OURS))


def check(mode: TrustMode, folder: Path, version: Version) -> Found:
    return Trust(mode, public(OURS)).check(folder, version)


def refusal(mode: TrustMode, folder: Path, version: Version) -> str:
    with pytest.raises(VersionRefused) as refused:
        check(mode, folder, version)
    return str(refused.value)


@every_mode
def test_what_we_signed_is_served(mode: TrustMode, tmp_path: Path) -> None:
    assert check(mode, tmp_path, signed(tmp_path)) == "signed"


def test_one_of_several_keys_is_enough(tmp_path: Path) -> None:
    version = signed(tmp_path)

    assert Trust("signed", public(THEIRS, OURS)).check(tmp_path, version) == "signed"


@pytest.mark.parametrize("mode", ["digest", "off"])
def test_a_manifest_alone_vouches_for_the_digest(mode: TrustMode, tmp_path: Path) -> None:
    version = replace(a_version(1), tags=write_manifest(files_in(tmp_path)))

    assert check(mode, tmp_path, version) == "digest"


@pytest.mark.parametrize("mode", ["digest", "off"])
def test_without_keys_a_signature_is_not_looked_at(mode: TrustMode, tmp_path: Path) -> None:
    assert Trust(mode).check(tmp_path, signed(tmp_path)) == "digest"


def test_without_a_tag_the_manifest_counts_all_the_same(tmp_path: Path) -> None:
    """Whoever copies a registry may lose its tags."""
    signed(tmp_path)
    assert check("signed", tmp_path, a_version(1)) == "signed"

    (tmp_path / "MLmodel").write_text("flavors: {other: {}}")

    assert refusal("off", tmp_path, a_version(1)).startswith("'MLmodel' is not the file that its manifest describes")


def test_what_mlflow_adds_as_it_downloads_is_no_change(tmp_path: Path) -> None:
    version = signed(tmp_path)
    (tmp_path / "registered_model_meta").write_text("model_name: iris")

    assert check("signed", tmp_path, version) == "signed"


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.skops").read_bytes())
    content[1000] ^= 1
    (folder / "model.skops").write_bytes(content)


def link(folder: Path) -> None:
    (folder / "MLmodel").rename(folder.parent / "elsewhere")
    (folder / "MLmodel").symlink_to(folder.parent / "elsewhere")


def link_folder(folder: Path) -> None:
    shutil.move(folder / "code", folder.parent / "code")
    (folder / "code").symlink_to(folder.parent / "code")


def lay_out(folder: Path, tree: dict[str, bytes]) -> Path:
    for path, content in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (flip, "'model.skops' is not the file that its manifest describes"),
    "a missing file": (lambda folder: (folder / "code" / "one.py").unlink(), "'code/one.py' is missing"),
    "a file more": (lambda folder: (folder / "code" / "more.py").touch(), "'code/more.py' is not in its manifest"),
    "compiled code": (
        lambda folder: lay_out(folder, {"code/__pycache__/one.pyc": b""}),
        "'code/__pycache__/one.pyc' is not in its manifest",
    ),
    "MLflow's note elsewhere": (
        lambda folder: (folder / "code" / "registered_model_meta").touch(),
        "'code/registered_model_meta' is not in its manifest",
    ),
    "a link to the same file": (link, "'MLmodel' is a link or a device, and not a file"),
    "a link to the same folder": (link_folder, "'code' is a link or a device, and not a file"),
    "a link as MLflow's note": (
        lambda folder: (folder / "registered_model_meta").symlink_to("MLmodel"),
        "'registered_model_meta' is a link or a device, and not a file",
    ),
    "a pipe": (lambda folder: os.mkfifo(folder / "pipe"), "'pipe' is a link or a device, and not a file"),
    "no manifest": (
        lambda folder: (folder / FILE).unlink(),
        f"{FILE} is missing, and the version's tag slipway.manifest says that it has one",
    ),
    "another manifest": (
        lambda folder: [lay_out(folder, {"MLmodel": b"other"}), write_manifest(folder)],
        f"{FILE} is not the one that the version's tag slipway.manifest names",
    ),
    "another's signature": (
        lambda folder: write(folder, (folder / FILE).read_bytes(), THEIRS),
        f"{SIGNATURE} was made with none of the keys in SERVING_TRUST_KEYS",
    ),
    "half a signature": (
        lambda folder: os.truncate(folder / SIGNATURE, 32),
        f"{SIGNATURE} was made with none of the keys in SERVING_TRUST_KEYS",
    ),
    "an empty signature": (
        lambda folder: os.truncate(folder / SIGNATURE, 0),
        f"{SIGNATURE} was made with none of the keys in SERVING_TRUST_KEYS",
    ),
    "a huge signature": (
        lambda folder: os.truncate(folder / SIGNATURE, 1 << 30),
        f"{SIGNATURE} has more than 64 bytes",
    ),
    "a huge manifest": (lambda folder: os.truncate(folder / FILE, 1 << 40), f"{FILE} has more than 16777216 bytes"),
}


@every_mode
@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_refused_with_what_is_wrong_and_what_to_do(
    tampering: str, mode: TrustMode, tmp_path: Path
) -> None:
    version = signed(tmp_path / "version")
    tamper, reason = TAMPERINGS[tampering]

    tamper(tmp_path / "version")

    said = refusal(mode, tmp_path / "version", version)
    assert said.startswith(reason)
    assert said.endswith(f"; register it again, or where its files are right as they are: {COMMAND}")


@every_mode
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":1}',
        b'{"format":2,"files":{}}',
        b'{"format":1,"files":{"MLmodel":"short"}}',
        b'{"format":1,"files":{"MLmodel":null}}',
        b'{"format":1,"files":{},"more":1}',
        b'{"format":1,"files":{"\xff":""}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_refused_though_it_is_signed(mode: TrustMode, tmp_path: Path, content: bytes) -> None:
    version = replace(a_version(1), tags=write(files_in(tmp_path), content, OURS))

    assert refusal(mode, tmp_path, version).startswith(f"{FILE} is no manifest; ")


@every_mode
def test_a_manifest_cannot_point_outside_the_folder(mode: TrustMode, tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    content = json.dumps({"format": 1, "files": {"../outside": empty}}).encode()
    (tmp_path / "version").mkdir()
    version = replace(a_version(1), tags=write(tmp_path / "version", content, OURS))

    assert refusal(mode, tmp_path / "version", version).startswith("'../outside' is missing")


@every_mode
def test_a_signature_without_its_manifest_is_refused(mode: TrustMode, tmp_path: Path) -> None:
    signed(tmp_path)
    (tmp_path / FILE).unlink()

    assert refusal(mode, tmp_path, a_version(1)).startswith(f"{FILE} is missing, and its signature is there")


def test_signed_refuses_what_is_not_signed_and_says_what_to_do(tmp_path: Path) -> None:
    files_in(tmp_path)
    assert refusal("signed", tmp_path, a_version(1)) == (
        f"it has no manifest, and SERVING_TRUST=signed asks for one; with the key: {COMMAND}"
    )

    version = replace(a_version(1), tags=write_manifest(tmp_path))

    assert refusal("signed", tmp_path, version) == (
        f"it is not signed, and SERVING_TRUST=signed asks for that; with the key: {COMMAND}"
    )


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records]


def test_digest_serves_what_never_had_a_manifest_and_warns_once_a_version(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    trust = Trust("digest")
    files_in(tmp_path)

    assert {trust.check(tmp_path, a_version(number)) for number in (1, 1, 2)} == {"none"}

    assert events(caplog) == ["version has no manifest"] * 2
    assert vars(caplog.records[0])["cure"] == f"with the key: {COMMAND}"


@pytest.mark.parametrize("trust", [Trust("off"), Trust("digest", warns=False)])
def test_off_and_workers_do_not_warn(trust: Trust, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    assert trust.check(files_in(tmp_path), a_version(1)) == "none"

    assert events(caplog) == []


def test_a_name_in_a_reason_is_on_one_line_and_leaves_room_for_the_advice(tmp_path: Path) -> None:
    version = signed(tmp_path)
    (tmp_path / ("\n\x1b[2J" + 100 * "é")).touch()

    said = refusal("off", tmp_path, version)

    assert said.isprintable()
    assert len(said) < 500
    assert said.endswith(COMMAND)


def test_a_model_with_spaces_in_its_name_is_quoted_in_the_advice(tmp_path: Path) -> None:
    said = refusal("signed", files_in(tmp_path), a_version(3, name="my model"))

    assert said.endswith("python -m pipelines.manifest 'my model' 3")


names = st.text("ab.", min_size=1, max_size=3).filter(lambda name: set(name) != {"."})
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, bytes]:
    """Files by path; none is where another one's folder is."""
    found = draw(st.dictionaries(paths, st.binary(max_size=50), min_size=1, max_size=5))
    return {path: content for path, content in found.items() if not any(f"{path}/" in f"{each}" for each in found)}


def change(data: st.DataObject, folder: Path, tree: dict[str, bytes]) -> None:
    """One file: a byte, its length, its name, its place; or one more, or one less."""
    chosen = folder / data.draw(st.sampled_from(sorted([*tree, FILE])))
    content = chosen.read_bytes()
    match data.draw(st.sampled_from(["byte", "append", "truncate", "remove", "rename", "add"])):
        case "byte" if content:
            at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
            chosen.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
        case "truncate" if content:
            chosen.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        case "append":
            chosen.write_bytes(content + data.draw(st.binary(min_size=1, max_size=3)))
        case "remove":
            chosen.unlink()
        case "rename":
            chosen.rename(chosen.with_name("renamed"))
        case _:
            chosen.with_name("added").write_bytes(data.draw(st.binary(max_size=3)))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), tree=trees(), mode=st.sampled_from(MODES))
def test_any_single_change_of_what_was_published_is_refused(
    data: st.DataObject, tree: dict[str, bytes], mode: TrustMode
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, tree)
        version = replace(a_version(1), tags=write_manifest(folder, OURS))
        assert check(mode, folder, version) == "signed"

        change(data, folder, tree)

        with pytest.raises(VersionRefused):
            check(mode, folder, version)


@settings(max_examples=200, deadline=None)
@given(content=st.binary() | st.recursive(st.none() | st.text(), lambda of: st.dictionaries(st.text(), of)).map(
    lambda value: json.dumps(value).encode()
), mode=st.sampled_from(MODES))  # fmt: skip
def test_whatever_a_manifest_holds_the_answer_is_a_refusal(content: bytes, mode: TrustMode) -> None:
    with TemporaryDirectory() as name:
        version = replace(a_version(1), tags=write(files_in(Path(name)), content, OURS))

        with pytest.raises(VersionRefused):
            check(mode, Path(name), version)
