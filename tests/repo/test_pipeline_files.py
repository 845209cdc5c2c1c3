"""dvc.yaml, MLproject and params.yaml name the same stages and the files that exist."""

import re

import yaml

from pipelines.settings import Params
from tests.servers import ROOT

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"]


def test_every_stage_is_an_entry_point() -> None:
    assert set(PROJECT) == {"main", *STAGES, "promote"}


def test_every_stage_depends_on_its_own_file() -> None:
    for stage, told in STAGES.items():
        assert told["cmd"] == f"python -m pipelines.{stage}"
        assert f"pipelines/{stage}.py" in told["deps"]


def test_every_dependency_in_the_tree_exists() -> None:
    made = {str(out if isinstance(out, str) else next(iter(out))) for told in STAGES.values() for out in told["outs"]}
    for told in STAGES.values():
        assert [dep for dep in told["deps"] if dep not in made and not (ROOT / dep).exists()] == []


def test_mlproject_repeats_no_number_of_params_yaml() -> None:
    for entry in PROJECT.values():
        for name, parameter in entry.get("parameters", {}).items():
            assert parameter["default"] in ("", "best", "mlflow run"), name


def test_mlproject_sets_only_names_that_params_yaml_has() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for name in re.findall(r"--set ([\w.]+)=", (ROOT / "MLproject").read_text()):
        branch = params
        for part in name.split("."):
            assert part in branch, name
            branch = branch[part]


def test_the_readmes_params_for_data_of_ones_own_are_params_for_a_model_of_its_own() -> None:
    readme, params = (ROOT / "README.md").read_text(), yaml.safe_load((ROOT / "params.yaml").read_text())
    (written,) = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)

    found = Params.model_validate(params | yaml.safe_load(written))

    assert found.register_.model != params["register"]["model"]
    assert f"SERVING_MODELS={params['register']['model']},{found.register_.model}`" in readme
