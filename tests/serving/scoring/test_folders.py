"""A folder of parts does the same here and on S3."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from serving.scoring.folders import folder
from serving.scoring.places import Place, place
from tests.servers import Stack, free_port


@pytest.fixture(params=["here", "s3"])
def out(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unique_name: str) -> Place:
    if request.param == "here":
        return place(str(tmp_path / "out.csv"))
    stack: Stack = request.getfixturevalue("stack")
    for name, value in stack.env.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return place(f"s3://dvc/{unique_name}/out.csv")


def put(out: Place) -> Callable[[str, bytes], None]:
    def write(name: str, content: bytes) -> None:
        with out.files.open_output_stream(f"{out.path}.parts/{name}") as stream:
            stream.write(content)

    return write


def content(out: Place) -> Any:
    with out.files.open_input_file(out.path) as file:
        return file.read()


def test_files_are_listed_removed_and_published_in_place_of_the_one_before(out: Place) -> None:
    parts, write = folder(out), put(out)
    assert parts.names() == []
    for name in ("b", "a"):
        write(name, name.encode())
    assert parts.names() == ["a", "b"]

    parts.publish("a", out.path)
    parts.publish("b", out.path)
    parts.remove("never there")
    parts.end()

    assert content(out) == b"b"
    assert folder(out).names() == []


def test_an_s3_that_is_not_there_is_an_error_like_a_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    address = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "AWS_MAX_ATTEMPTS": "1"}
    for name, value in {**told, **address}.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(OSError, match=r"s3://dvc/out.csv.parts: "):
        folder(place("s3://dvc/out.csv")).names()
