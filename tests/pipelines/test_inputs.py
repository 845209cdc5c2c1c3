"""What a run keeps of what it was made from."""

import json
from pathlib import Path

import pytest

from pipelines import data, inputs
from pipelines.errors import NotReproducible
from pipelines.lineage import LOCK, file_md5
from pipelines.settings import load_params
from tests.servers import ROOT

PARAMS = load_params(ROOT / "params.yaml", changes=["train.seed=7"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which `prepare` has just run, with a seed of its command line."""
    files = {
        data.RAW: "raw",
        data.ABOUT: "{}",
        data.SCHEMA: "{}",
        data.TRAIN: "rows",
        data.VALIDATED: PARAMS.validate_.model_dump_json(),
        data.PREPARED: PARAMS.prepare.model_copy(update={"seed": 9}).model_dump_json(),
        LOCK: "numpy==1.0.0\n",
    }
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    return tmp_path


def test_values_of_command_lines_are_kept_those_of_earlier_stages_too(project: Path) -> None:
    found = inputs.gather(PARAMS, folder=project)

    assert (found.params["train"]["seed"], found.params["prepare"]["seed"]) == (7, 9)


def test_the_kept_values_are_a_params_yaml_that_can_be_used_again(project: Path) -> None:
    path = project / "params.yaml"
    path.write_text(json.dumps(inputs.gather(PARAMS, folder=project).params))  # JSON is YAML

    assert load_params(path) == PARAMS.model_copy(update={"prepare": PARAMS.prepare.model_copy(update={"seed": 9})})


def test_a_password_in_the_sources_address_is_not_kept(project: Path) -> None:
    secret = load_params(ROOT / "params.yaml", changes=["ingest.source=https://me:s3cret@host/rows.csv?key=s3cret"])

    kept = inputs.gather(secret, folder=project).model_dump_json()

    assert "host/rows.csv" in kept
    assert "s3cret" not in kept


def test_files_and_what_differed_from_the_lock_are_kept(project: Path) -> None:
    found = inputs.gather(PARAMS, folder=project)

    assert found.raw["data/raw/data.parquet"].md5 == file_md5(project / data.RAW)
    assert set(found.prepared) == {"data/processed/schema.json", "data/processed/train.parquet"}
    assert [each.split(" ")[0] for each in found.apart] == ["numpy"]
    assert inputs.read(found.model_dump_json().encode()) == found


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        ('"format":1', '"format":2'),
        ('"data/raw/data.parquet"', '"data/raw/../../../outside"'),
        ('"md5":"', '"md5":"../../'),
        ("{", "["),
    ],
)
def test_what_these_pipelines_did_not_write_is_refused(project: Path, was: str, is_now: str) -> None:
    content = inputs.gather(PARAMS, folder=project).model_dump_json().replace(was, is_now)

    with pytest.raises(NotReproducible, match=r"its lineage/inputs\.json is not one"):
        inputs.read(content.encode())
