"""A run's raw files, brought from DVC's remote or this checkout, and never taken on trust."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.errors import NotReproducible
from pipelines.fingerprint import Fingerprint, fingerprint
from pipelines.reproduction import rawdata

NAME = "data/raw/data.parquet"


class Checkout:
    """A folder with a DVC remote beside it; both are empty. `was` is what the raw file of some run was."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.remote, self.project = folder / "here", folder / "remote", folder / "worktree"
        (self.folder / ".dvc").mkdir(parents=True)
        self.remote.mkdir()
        self.config = self.folder / ".dvc/config"
        self.config.write_text("[core]\n    remote = folder\n['remote \"folder\"']\n    url = ../../remote\n")
        original = folder / "original.parquet"
        plain: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        pd.DataFrame({"town": ["Bath", "York"]}).to_parquet(original, **plain)
        self.content, self.was = original.read_bytes(), fingerprint(original)
        self.tampered = self.content.replace(b"York", b"Fork", 1)

    def keep(self, place: Path, content: bytes) -> None:
        """As DVC's cache or remote at `place` would have it."""
        path = place / "files/md5" / self.was.md5[:2] / self.was.md5[2:]
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

    @property
    def raw(self) -> dict[str, Fingerprint]:
        return {NAME: self.was}

    @property
    def brought(self) -> bytes:
        return (self.project / NAME).read_bytes()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path)
    monkeypatch.chdir(made.folder)
    return made


def test_the_remotes_bytes_are_brought(here: Checkout) -> None:
    here.keep(here.remote, here.content)

    (row,) = rawdata.bring(here.raw, here.project)

    assert (row.name, row.equal, row.how) == (NAME, True, "equal")
    assert here.brought == here.content
    assert rawdata.notes(here.raw) == []


def test_a_remote_that_has_changed_is_named_even_where_the_cache_is_right(here: Checkout) -> None:
    here.keep(here.remote, here.tampered)
    here.keep(here.folder / ".dvc/cache", here.content)

    (row,) = rawdata.bring(here.raw, here.project)

    assert not row.equal
    assert row.how.startswith(f"from {here.remote}: md5 ")
    assert row.how.endswith("column 'town', row 2: 'Fork' was 'York'")


def test_an_object_that_grows_without_end_is_not_read_to_the_end(here: Checkout) -> None:
    here.keep(here.remote, here.content + bytes(10_000_000))

    (row,) = rawdata.bring(here.raw, here.project)

    assert not row.equal
    assert len(here.brought) == len(here.content) + 1


@pytest.mark.parametrize("config", ["", "[core]\n    remote = gone\n", None])
def test_the_cache_stands_in_for_a_remote_that_has_nothing(here: Checkout, config: str | None) -> None:
    if config is not None:
        here.config.write_text(config)
    here.keep(here.folder / ".dvc/cache", here.content)

    (row,) = rawdata.bring(here.raw, here.project)

    assert row.equal
    assert here.brought == here.content


def test_a_cache_with_other_bytes_stands_in_for_nothing(here: Checkout) -> None:
    here.keep(here.folder / ".dvc/cache", here.tampered)

    with pytest.raises(NotReproducible, match=r"is not in this checkout, nor could it be had from DVC's remote .*push"):
        rawdata.bring(here.raw, here.project)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("", "DVC has no default remote here: `dvc remote add --default NAME URL`"),
        ("[core]\n    remote = gone\n", "remote 'gone' doesn't exist"),
    ],
)
def test_a_checkout_without_a_remote_is_told_how_to_name_one(here: Checkout, config: str, reason: str) -> None:
    here.config.write_text(config)

    with pytest.raises(NotReproducible, match="is not in this checkout, and ") as refused:
        rawdata.bring(here.raw, here.project)

    assert reason in str(refused.value)


def test_a_remote_that_is_down_is_named_without_its_keys_and_the_cache_stands_in(
    here: Checkout, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = (
        "url = s3://dvc\n    endpointurl = http://127.0.0.1:9\n    access_key_id = a\n    secret_access_key = s3cret\n"
    )
    here.config.write_text(f"[core]\n    remote = s3\n['remote \"s3\"']\n    {options}")
    here.keep(here.folder / ".dvc/cache", here.content)

    (row,) = rawdata.bring(here.raw, here.project)

    said = capsys.readouterr().err
    assert row.equal
    assert "DVC's remote s3://dvc cannot be read: " in said
    assert "s3cret" not in said


def test_a_configuration_that_dvc_cannot_read_is_told_as_such(here: Checkout) -> None:
    here.config.write_text("['remote \"x\"']\n")

    with pytest.raises(NotReproducible, match="DVC's configuration cannot be used: "):
        rawdata.bring(here.raw, here.project)


def test_other_data_in_this_checkout_is_noted_with_what_differs(here: Checkout) -> None:
    here.keep(here.remote, here.content)
    here.keep(here.folder / ".dvc/cache", here.tampered)
    (here.folder / NAME).parent.mkdir(parents=True)
    (here.folder / NAME).write_bytes(here.tampered)

    (row,) = rawdata.bring(here.raw, here.project)
    notes = rawdata.notes(here.raw)

    assert row.equal
    assert [note.partition(" is other data: ")[0] for note in notes] == [
        f"{NAME} in this checkout",
        f"the cache's copy of {NAME}",
    ]
    assert all("'Fork' was 'York'" in note for note in notes)
