"""Reading tables from wherever they are, and making them typed."""

import io
from base64 import b64encode
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import data
from pipelines.data import Column, Schema
from pipelines.errors import BadSource
from tests.servers import Stack, s3_client

PETS = pd.DataFrame({"weight": [4.0, None, 30.5], "coat": ["long", None, "short"], "kind": ["cat", "cat", "dog"]})


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [("breast_cancer", 569, 31), ("wine", 178, 14), ("digits", 1797, 65), ("diabetes", 442, 11)],
)
def test_the_sets_scikit_learn_ships_are_sources(name: str, rows: int, columns: int) -> None:
    frame, about = data.read(f"sklearn:{name}")

    assert frame.shape == (rows, columns)
    assert "target" in frame.columns
    assert about.image_shape == ((8, 8) if name == "digits" else None)


@pytest.mark.parametrize("name", ["pets.csv", "pets.csv.gz", "pets.parquet"])
def test_a_file_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    PETS.to_parquet(path) if name.endswith("parquet") else PETS.to_csv(path, index=False)

    frame, about = data.read(str(path))

    assert list(frame.columns) == about.columns == ["weight", "coat", "kind"]
    assert frame["weight"].tolist()[::2] == [4.0, 30.5]
    assert frame["coat"].isna().tolist() == [False, True, False]


def test_an_object_on_s3_is_a_source(stack: Stack, unique_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (name for name in stack.env if name.startswith("AWS_")):
        monkeypatch.setenv(name, stack.env[name])
    client, content = s3_client(stack.env), PETS.to_csv(index=False).encode()
    client.make_bucket(unique_name)
    client.put_object(unique_name, "pets.csv", io.BytesIO(content), len(content))

    frame, _ = data.read(f"s3://{unique_name}/pets.csv")

    assert len(frame) == 3


@pytest.mark.parametrize("address", ["pets.csv", "pets.parquet?version=2"])
def test_a_web_address_is_a_source(tmp_path: Path, address: str) -> None:
    PETS.to_csv(tmp_path / "pets.csv", index=False)
    PETS.to_parquet(tmp_path / "pets.parquet")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as web:
        Thread(target=web.serve_forever).start()

        frame, about = data.read(f"http://127.0.0.1:{web.server_port}/{address}")

        web.shutdown()
    assert frame["kind"].tolist() == ["cat", "cat", "dog"]
    assert about.rows == 3


class Members(SimpleHTTPRequestHandler):
    """Serves files to the user `reader`, password `s3cret`."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] == f"Basic {b64encode(b'reader:s3cret').decode()}":
            super().do_GET()
        else:
            self.send_error(401)


def test_a_password_or_signature_in_an_address_is_used_and_never_shown(tmp_path: Path) -> None:
    PETS.to_csv(tmp_path / "pets.csv", index=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Members, directory=tmp_path)) as web:
        Thread(target=web.serve_forever).start()
        place = f"127.0.0.1:{web.server_port}/pets.csv"

        frame, about = data.read(f"http://reader:s3cret@{place}?signature=s3cret")
        with pytest.raises(BadSource) as refused:
            data.read(f"http://reader:s3cret-of-old@{place}?signature=s3cret")

        web.shutdown()
    assert len(frame) == 3
    assert about.source == f"http://{place}?…"
    assert f"could not read http://{place}?…: " in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:p@ss@host/a.csv", "https://host/a.csv"),
        (
            "no 'https://me:pass@host/a.csv?key=1' and s3://bucket/b.csv",
            "no 'https://host/a.csv?…' and s3://bucket/b.csv",
        ),
        ("data/what?.csv", "data/what?.csv"),
    ],
)
def test_secrets_go_from_addresses_and_nothing_else_does(text: str, shown: str) -> None:
    assert data.without_secrets(text) == shown


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("sklearn:iris_of_the_beholder", "breast_cancer, wine, digits, diabetes"),
        ("nowhere.csv", "there is no file nowhere.csv"),
        ("pyproject.toml", "neither .csv, .csv.gz nor .parquet"),
        ("http://127.0.0.1:9/data.csv", "could not read http://127.0.0.1:9/data.csv"),
    ],
)
def test_a_source_that_is_not_there_is_refused_by_name(source: str, says: str) -> None:
    with pytest.raises(BadSource) as refused:
        data.read(source)

    assert says in str(refused.value)


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("PAR0")

    with pytest.raises(BadSource, match=r"could not read .*broken\.parquet"):
        data.read(str(tmp_path / "broken.parquet"))


def test_typed_rows_are_doubles_and_texts_with_missing_values_kept() -> None:
    schema = Schema(
        task="classification",
        target="kind",
        columns=[Column(name="weight", kind="number"), Column(name="coat", kind="category")],
        classes=["cat", "dog"],
    )

    typed = data.typed(PETS, schema)

    assert typed["weight"].dtype == np.float64
    assert np.isnan(typed["weight"][1])
    assert typed["coat"].tolist() == ["long", None, "short"]
    assert typed["kind"].tolist() == ["cat", "cat", "dog"]


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5).map(float)), min_size=1))
def test_whole_numbers_read_as_categories_look_as_they_were_written(values: list[float | None]) -> None:
    texts = data.as_text(pd.Series(values, dtype="float64")).tolist()

    assert texts == [None if value is None else str(int(value)) for value in values]


def test_whole_numbers_of_any_size_are_categories() -> None:
    assert data.as_text(pd.Series([1e30, 2.0, None])).tolist() == [str(int(1e30)), "2", None]


@given(rows=st.integers(20, 200), share=st.floats(0.1, 0.5), seed=st.integers(0, 9))
def test_a_split_keeps_every_row_once_and_the_classes_in_proportion(rows: int, share: float, seed: int) -> None:
    frame = pd.DataFrame({"row": range(rows), "kind": [index % 2 for index in range(rows)]})

    first, second = data.split(frame, share=share, seed=seed, by_class="kind")

    assert sorted([*first["row"], *second["row"]]) == list(range(rows))
    assert abs(second["kind"].mean() - 0.5) <= 1 / len(second)
    assert data.split(frame, share=share, seed=seed, by_class="kind")[0].equals(first)


def test_the_same_content_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        data.write_json(tmp_path / name, {"b": 1, "a": ["ü"]})

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
