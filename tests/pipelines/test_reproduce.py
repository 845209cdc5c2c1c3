"""A version made again from a fresh clone and DVC's remote: equal, or what is not.

One repository and one version, of data in which one cell has changed since.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from tests import workspace
from tests.servers import Stack
from tests.workspace import Workspace

pytestmark = pytest.mark.slow

MODEL = "reproduced"
QUICK: dict[str, Any] = {
    "train.boosting": None,
    "train.network": None,
    "train.forest.trees": 5,
    "ingest.source": "data/source/rows.csv",
    "validate.target": "late",
    "validate.columns": {},
    "evaluate.floor": 0.1,
}
ROWS = pd.DataFrame({"hour": [at % 24 for at in range(160)], "snow": [at % 7 / 10 for at in range(160)]})
STAGES = ["validate", "prepare", "train", "evaluate"]


@dataclass(frozen=True)
class Origin:
    """Where the versions were made, and DVC's remote, a folder."""

    made: Workspace
    remote: Path

    def clone(self, folder: Path, *words: str) -> Workspace:
        self.made.git("clone", "--quiet", *words, f"file://{self.made.folder}", str(folder))
        return Workspace(folder, {**self.made.env, "PYTHONPATH": str(folder)})

    def object_of(self, path: str) -> Path:
        """The remote's, as dvc.lock of the first version names it."""
        lock = self.made.git("show", "first:dvc.lock")
        md5 = lock.split(f"path: {path}\n")[1].split("md5: ")[1].split("\n")[0]
        return self.remote / "files/md5" / md5[:2] / md5[2:]


@pytest.fixture(scope="module")
def origin(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Origin:
    remote = tmp_path_factory.mktemp("remote")
    made = workspace.make(tmp_path_factory.mktemp("origin"), stack.env, model=MODEL, params=QUICK)
    (made.folder / ".dvc/config").write_text(
        f"[core]\n    remote = folder\n['remote \"folder\"']\n    url = {remote}\n"
    )
    source = made.folder / "data/source/rows.csv"
    table = ROWS.assign(late=["yes" if hour > 12 or snow > 0.4 else "no" for hour, snow in ROWS.to_numpy()])
    table.to_csv(source, index=False)
    commit(made, "the first data")
    made.run("pipelines")
    commit(made, "what the training left")
    made.git("tag", "first")
    table.assign(snow=[0.5, *table["snow"][1:]]).to_csv(source, index=False)
    made.run("dvc", "repro", "prepare")
    made.run("dvc", "push", "--quiet")
    commit(made, "another cell")
    return Origin(made, remote)


def commit(made: Workspace, message: str) -> None:
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", message)


def reproduce(clone: Workspace, what: str, *words: str, fails: bool = False) -> tuple[str, dict[str, Any]]:
    """What was printed, and the verdict."""
    said = clone.run("pipelines.reproduce", what, "--json", "verdict.json", *words, fails=fails)
    file = clone.folder / "verdict.json"
    verdict = json.loads(file.read_text())
    file.unlink()
    return said, verdict


def rows_of(verdict: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in verdict["rows"]}


def with_remote(clone: Workspace, remote: Path) -> None:
    """In this clone only."""
    (clone.folder / ".dvc/config.local").write_text(f"['remote \"folder\"']\n    url = {remote}\n")


def everything(client: MlflowClient) -> tuple[set[str], int, int]:
    """Experiments, runs and versions in MLflow."""
    experiments = client.search_experiments()
    runs = client.search_runs([found.experiment_id for found in experiments], max_results=1000)
    return {found.name for found in experiments}, len(runs), len(client.search_model_versions())


def test_a_fresh_clone_reproduces_a_version_of_data_that_has_changed_since(
    origin: Origin, client: MlflowClient, tmp_path: Path
) -> None:
    clone = origin.clone(tmp_path / "clone")
    before, objects = everything(client), sorted(origin.remote.rglob("*"))

    said, verdict = reproduce(clone, "1")

    assert verdict["reproduced"], said
    rows = rows_of(verdict)
    assert {row["how"] for row in rows.values()} == {"equal"}
    assert {
        *("commit", "files", "data/raw/data.parquet", "lock", "packages", "params", "data/processed/train.parquet"),
        *("data/processed/test.parquet", "validation_f1_macro", "test_f1_macro", "test_accuracy"),
    } <= set(rows)
    assert {"predictions on 32 golden rows", "probabilities on 32 golden rows"} <= set(rows)
    assert rows["commit"]["reproduced"] == origin.made.git("rev-parse", "first~1")
    assert f"{MODEL} version 1 is reproduced" in said
    assert everything(client) == before
    assert sorted(origin.remote.rglob("*")) == objects
    assert clone.git("status", "--porcelain") == ""
    assert len(clone.git("worktree", "list").splitlines()) == 1


def test_an_uncommitted_change_and_values_from_the_command_line_are_reproduced(
    origin: Origin, client: MlflowClient, tmp_path: Path
) -> None:
    there = origin.clone(tmp_path / "there")
    shutil.copytree(origin.made.folder / "data", there.folder / "data", dirs_exist_ok=True)
    candidates = there.folder / "pipelines/training/candidates.py"
    candidates.write_text(candidates.read_text().replace("n_estimators=params.trees", "n_estimators=2 * params.trees"))
    (there.folder / "pipelines/notes.py").write_text("# new\n")
    there.run("pipelines.prepare", "--set", "prepare.seed=9")
    there.run("pipelines.train", "--set", "train.seed=23", "--set", "train.forest.trees=4")
    run_id = json.loads((there.folder / "models/runs.json").read_text())["parent_run_id"]
    there.run("pipelines.evaluate")

    said, verdict = reproduce(origin.clone(tmp_path / "clone"), run_id, "--keep")

    assert verdict["reproduced"], said
    assert "with its uncommitted change" in said
    kept = Path(said.split("reproduce: kept ")[1].split(";")[0])
    params = yaml.safe_load((kept / "params.yaml").read_text())
    assert (params["prepare"]["seed"], params["train"]["seed"], params["train"]["forest"]["trees"]) == (9, 23, 4)
    assert (kept / "pipelines/notes.py").read_text() == "# new\n"
    shutil.rmtree(kept.parent)


@pytest.mark.parametrize("has_original", [False, True], ids=["a-fresh-clone", "a-checkout-with-the-original"])
def test_a_tampered_byte_on_the_remote_is_named_and_nothing_is_trained(
    origin: Origin, tmp_path: Path, *, has_original: bool
) -> None:
    clone = origin.clone(tmp_path / "clone")
    if has_original:
        clone.git("checkout", "--quiet", "first")
        clone.run("dvc", "pull", "--quiet", "data/raw/data.parquet")
    shutil.copytree(origin.remote, tmp_path / "remote")
    with_remote(clone, tmp_path / "remote")
    tampered = tmp_path / "remote" / origin.object_of("data/raw/data.parquet").relative_to(origin.remote)
    content = bytearray(tampered.read_bytes())
    content[100] ^= 1
    tampered.chmod(0o644)
    tampered.write_bytes(content)

    said, verdict = reproduce(clone, "1", fails=True)

    row = rows_of(verdict)["data/raw/data.parquet"]
    assert not row["equal"]
    assert f"byte 100 is 0x{content[100]:02x} and was 0x{content[100] ^ 1:02x}" in row["how"]
    assert row["recorded"] == tampered.parent.name + tampered.name
    assert verdict["not_tried"] == STAGES
    assert f"pipelines.reproduce: {MODEL} version 1 is not reproduced: data/raw/data.parquet: " in said
    assert "reproduce: train" not in said


def test_what_was_never_pushed_is_told_with_what_to_do(origin: Origin, tmp_path: Path) -> None:
    clone = origin.clone(tmp_path / "clone")
    with_remote(clone, tmp_path / "empty")

    said = clone.run("pipelines.reproduce", "1", fails=True)

    assert f"nor could it be had from DVC's remote {tmp_path / 'empty'}: `dvc push` where it was made" in said
    assert "Traceback" not in said


def test_a_clone_without_the_commit_is_told_to_fetch_it(origin: Origin, tmp_path: Path) -> None:
    clone = origin.clone(tmp_path / "clone", "--depth", "1")

    said = clone.run("pipelines.reproduce", "1", fails=True)

    assert said.strip().splitlines()[-1] == (
        f"pipelines.reproduce: this clone does not have commit {origin.made.git('rev-parse', 'first~1')}; "
        "it is a shallow one: `git fetch --unshallow`"
    )


@pytest.mark.parametrize(
    ("what", "says"),
    [("99", f"{MODEL} has no version 99 in the registry"), ("f" * 32, "MLflow has no run of that id")],
)
def test_what_mlflow_does_not_have_is_refused_in_one_line(origin: Origin, what: str, says: str) -> None:
    said = origin.made.run("pipelines.reproduce", what, fails=True)

    assert says in said.strip().splitlines()[-1]
    assert "Traceback" not in said
