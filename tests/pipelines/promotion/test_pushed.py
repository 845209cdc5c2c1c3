"""Is the data where its lineage says? On a folder and on S3, as DVC's own settings lead there."""

import hashlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.promotion.pushed import missing
from tests.servers import Stack, free_port
from tests.workspace import Workspace

MD5 = hashlib.md5(b"rows", usedforsecurity=False).hexdigest()
OBJECT = f"files/md5/{MD5[:2]}/{MD5[2:]}"


def project(folder: Path, remotes: str) -> Path:
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text(remotes)
    return folder


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """A project whose remote is a folder beside it, with one object."""
    (tmp_path / "store" / OBJECT).parent.mkdir(parents=True)
    (tmp_path / "store" / OBJECT).write_text("rows")
    return project(tmp_path / "project", "[core]\n    remote = here\n['remote \"here\"']\n    url = ../../store\n")


def test_an_object_in_a_folder_is_found(local: Path) -> None:
    assert missing(f"../../store/{OBJECT}", folder=local) is None


def test_an_object_that_is_not_there_says_what_to_do(local: Path) -> None:
    url = f"../../store/{OBJECT[:-1]}"

    assert missing(url, folder=local) == f"{url} is not there; `dvc push` uploads it"


def test_data_of_a_remote_that_the_project_does_not_have_is_named(local: Path) -> None:
    said = missing(f"gs://elsewhere/{OBJECT}", folder=local)

    assert said is not None
    assert said.startswith("no remote in .dvc/config is the one it was pushed to, gs://elsewhere/files/md5/")


def test_of_several_remotes_the_one_it_was_pushed_to_is_asked(local: Path, tmp_path: Path) -> None:
    config = local / ".dvc/config"
    config.write_text(config.read_text() + "['remote \"other\"']\n    url = ../../other\n")
    (tmp_path / "other" / OBJECT).parent.mkdir(parents=True)

    assert missing(f"../../other/{OBJECT}", folder=local) is not None
    assert missing(f"../../store/{OBJECT}", folder=local) is None


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def s3(folder: Path, port: int) -> Path:
    keys = "    access_key_id = a\n    secret_access_key = s3cret\n"
    url = f"    url = s3://bucket\n    endpointurl = http://127.0.0.1:{port}\n"
    return project(folder, f"[core]\n    remote = s3\n['remote \"s3\"']\n{url}{keys}")


@pytest.mark.slow  # botocore tries again for ten seconds
def test_a_server_that_is_down_is_told_as_such(tmp_path: Path) -> None:
    said = missing(f"s3://bucket/{OBJECT}", folder=s3(tmp_path, free_port()), seconds=60)

    assert said is not None
    assert "cannot be asked for s3://bucket/files/md5/" in said
    assert "s3cret" not in said


def test_a_server_that_never_answers_is_not_waited_for(tmp_path: Path, silent: int) -> None:
    said = missing(f"s3://bucket/{OBJECT}", folder=s3(tmp_path, silent), seconds=0.5)

    assert said is not None
    assert said.startswith(f"the DVC remote did not say within 0.5 s whether it has s3://bucket/{OBJECT}")


def test_what_dvc_push_left_on_s3_is_found(trained: Workspace, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    md5 = hashlib.md5((trained.folder / "data/raw/data.parquet").read_bytes(), usedforsecurity=False).hexdigest()
    url = f"s3://dvc/files/md5/{md5[:2]}/{md5[2:]}"

    assert missing(url, folder=trained.folder) is None
    assert missing(url[:-1], folder=trained.folder) == f"{url[:-1]} is not there; `dvc push` uploads it"
