"""The golden sample: what is kept with a version comes back as it was, and a version without one can get one."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient

from pipelines import golden, manifest
from pipelines.errors import NoGolden
from pipelines.registry import Registry
from tests.workspace import Workspace

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def kept(sample: golden.Golden, folder: Path) -> golden.Golden:
    golden.write(sample, folder)
    return golden.read(folder)


@given(
    rows=st.lists(st.tuples(NUMBERS, st.integers(-(2**63), 2**63 - 1), TEXTS, st.booleans()), min_size=1, max_size=9)
)
def test_numbers_texts_and_gaps_come_back_as_they_were(
    rows: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    number, whole, text, flag = ([row[at] for row in rows] for at in range(4))
    features = pd.DataFrame(
        {
            "number": np.array(number, np.float64),
            "whole": np.array(whole, np.int64),
            "text": pd.Series(text, dtype=object),
            "flag": np.array(flag),
        }
    )
    probabilities = np.array([number, number]).T

    found = kept(golden.of(features, text, probabilities), tmp_path_factory.mktemp("golden"))

    pd.testing.assert_frame_equal(found.features, features)
    assert found.predictions.tolist() == text
    assert found.probabilities is not None
    np.testing.assert_array_equal(found.probabilities, probabilities)


def test_the_file_is_strict_json_with_a_record_a_row(tmp_path: Path) -> None:
    features = pd.DataFrame({"age": [1.5, np.nan, np.inf], "city": ["Oslo", None, "Lima"]})

    golden.write(golden.of(features, np.array([1, 0, 1])), tmp_path)

    content = json.loads((tmp_path / "golden.json").read_text(), parse_constant=pytest.fail)
    assert content["features"] == [
        {"age": 1.5, "city": "Oslo"},
        {"age": None, "city": None},
        {"age": "inf", "city": "Lima"},
    ]
    assert content["predict"] == {"dtype": "int64", "shape": [3], "values": [1, 0, 1]}


def test_only_the_first_rows_of_many_are_kept(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": np.arange(1000.0)})

    found = kept(golden.of(rows, rows.x, np.ones((1000, 2))), tmp_path)

    assert found.features.x.tolist() == list(range(64))
    assert found.predictions.tolist() == list(range(64))
    assert found.probabilities is not None
    assert found.probabilities.shape == (64, 2)


def test_what_json_cannot_hold_is_refused_by_its_column(tmp_path: Path) -> None:
    rows = pd.DataFrame({"when": pd.to_datetime(["2026-11-23"])})

    with pytest.raises(NoGolden, match="column 'when' has neither numbers nor texts"):
        golden.write(golden.of(rows, [1]), tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"columns": {"a": "float64"}, "features": [{}]}', '"text"'])
def test_a_file_of_another_kind_is_refused_in_words(content: str, tmp_path: Path) -> None:
    (tmp_path / "golden.json").write_text(content)

    with pytest.raises(NoGolden, match="not one that Slipway wrote"):
        golden.read(tmp_path)


def test_a_folder_without_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoGolden, match=r"it has no golden\.json"):
        golden.read(tmp_path)


def files(name: str, version: str, folder: Path) -> Path:
    return Path(mlflow.artifacts.download_artifacts(f"models:/{name}/{version}", dst_path=str(folder)))


def test_register_keeps_held_out_rows_and_what_the_model_says_of_them(
    trained: Workspace, client: MlflowClient, tmp_path: Path
) -> None:
    folder = files("trained-once", "1", tmp_path / "files")

    found = golden.read(folder)

    test = pd.read_parquet(trained.folder / "data/processed/test.parquet").head(64)
    pd.testing.assert_frame_equal(found.features, test.drop(columns="target"))
    model = mlflow.sklearn.load_model(str(folder))
    assert found.predictions.tolist() == model.predict(found.features).tolist()
    np.testing.assert_allclose(found.answers["predict_proba"], model.predict_proba(found.features))
    version = client.get_model_version("trained-once", "1")
    assert version.tags["slipway.golden"] == "64 rows"
    manifest.verify(version)


def test_registering_again_leaves_the_sample_as_it_is(trained: Workspace, client: MlflowClient, tmp_path: Path) -> None:
    before = (files("trained-once", "1", tmp_path / "before") / "golden.json").read_bytes()

    said = trained.run("pipelines.register")

    assert "golden" not in said
    assert (files("trained-once", "1", tmp_path / "after") / "golden.json").read_bytes() == before


def test_a_version_that_was_not_made_here_gets_one_by_a_command(
    registry: Registry, trained: Workspace, tmp_path: Path
) -> None:
    pd.DataFrame({"age": [0.0, 1.0, 0.2]}).to_parquet(tmp_path / "rows.parquet")

    said = trained.run("pipelines.golden", registry.model, "1", "--rows", str(tmp_path / "rows.parquet"))

    found = golden.read(files(registry.model, "1", tmp_path / "files"))
    assert "version 1: 3 rows" in said
    assert found.features.age.tolist() == [0.0, 1.0, 0.2]
    assert len(found.predictions) == 3
    version = registry.get("1")
    assert "slipway.manifest" in version.tags
    manifest.verify(version)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "the version has no table as its input example; give one with --rows"),
        (["--rows", "nowhere.parquet"], "there is no file nowhere.parquet"),
    ],
)
def test_rows_that_are_not_there_are_named(registry: Registry, trained: Workspace, words: list[str], says: str) -> None:
    said = trained.run("pipelines.golden", registry.model, "2", *words, fails=True)

    assert said.strip().splitlines()[-1] == f"pipelines.golden: {says}"
