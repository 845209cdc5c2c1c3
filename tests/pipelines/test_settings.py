"""params.yaml: read, changed from the command line, refused by name."""

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml

from pipelines.errors import BadParams
from pipelines.settings import CheckName, load_params
from tests.servers import ROOT

PARAMS = ROOT / "params.yaml"


def test_every_section_is_a_stage_and_every_stage_a_section_but_for_the_command_at_the_end() -> None:
    stages = [*yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"], "promote"]

    assert list(yaml.safe_load(PARAMS.read_text())) == stages
    assert all((ROOT / f"pipelines/{stage}.py").is_file() for stage in stages)


def test_params_of_before_the_promote_section_require_every_check(tmp_path: Path) -> None:
    tree = yaml.safe_load(PARAMS.read_text())
    shown = tree.pop("promote")["require"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))

    assert load_params(tmp_path / "params.yaml").promote.require == list(get_args(CheckName)) == shown


def test_a_change_wins_over_the_file() -> None:
    params = load_params(PARAMS, changes=["train.seed=7", "train.network.hidden=[4, 2]", "evaluate.floor=0.5"])

    assert (params.train.seed, params.evaluate.floor) == (7, 0.5)
    assert params.train.network is not None
    assert params.train.network.hidden == [4, 2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("train.sead=7", "train.sead: Extra inputs are not permitted"),
        ("train.seed=often", "train.seed: Input should be a valid integer"),
        ("prepare.test_share=1.5", "prepare.test_share: Input should be less than 1"),
        ("evaluate.metric=luck", "evaluate.metric: Input should be 'accuracy'"),
        ("promote.require=[luck]", "promote.require.0: Input should be 'floor'"),
        ("register.model=a/b", "register.model: String should match"),
        ("seed", "'seed' is not of the form section.name=value"),
        ("train.seed", "'train.seed' is not of the form section.name=value"),
    ],
)
def test_a_mistake_is_refused_by_its_name(change: str, says: str) -> None:
    with pytest.raises(BadParams) as refused:
        load_params(PARAMS, changes=[change])

    assert says in str(refused.value)


def test_no_params_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadParams, match="run this in the project's folder"):
        load_params(tmp_path / "params.yaml")


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train: [")

    with pytest.raises(BadParams, match="is not YAML"):
        load_params(path)


def test_mlflows_client_learns_from_dotenv_who_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "MLFLOW_TRACKING_USERNAME": "a",
        "MLFLOW_TRACKING_PASSWORD": "b",
    }
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in names.items()))
    for name in names:
        monkeypatch.delenv(name, raising=False)
    told = "import os; from pipelines import tracking; from pipelines.settings import load_settings as load\n"
    told += (
        "tracking.reach(load()); print(os.environ['MLFLOW_TRACKING_USERNAME'], os.environ['MLFLOW_TRACKING_PASSWORD'])"
    )

    done = subprocess.run(
        [sys.executable, "-c", told],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["a", "b"]
