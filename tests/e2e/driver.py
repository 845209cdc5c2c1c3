"""Slipway as its users meet it, in words of the domain; how each is done (command, REST, file) is hidden here.

`Platform.workspace` is a copy of the project; nothing here touches the checkout that the tests run from.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pandas as pd
from dotenv import dotenv_values

from infra.local import leftovers
from tests.servers import eventually, spawn
from tests.workspace import Workspace

PROMISED_SECONDS = 3
"""A promotion is answered by its version within this time (DESIGN.md)."""


@dataclass(frozen=True)
class Answer:
    """Predictions, and the version that made them."""

    version: str
    predictions: list[Any]


@dataclass(frozen=True)
class Platform:
    """One project, its MLflow server and its serving."""

    workspace: Workspace
    model: str
    mlflow_url: str
    serving_url: str

    # What a data scientist does

    def set(self, params: Mapping[str, Any]) -> None:
        """Edit params.yaml: `section.name` -> value; None takes the name away."""
        self.workspace.set(params)

    def train(self) -> str:
        return self.workspace.run("pipelines")

    def demo(self) -> str:
        """`make demo` without its setup; what it printed."""
        return self.workspace.run("infra.local.demo")

    def begin_demo(self) -> subprocess.Popen[bytes]:
        """The same, not waited for; leads a process group of its own."""
        folder = self.workspace.folder
        with (folder / ".slipway" / "begun.log").open("wb") as output:
            return spawn(
                ["env", "-C", str(folder), sys.executable, "-m", "infra.local.demo"], self.workspace.env, output
            )

    def promote(self, which: str = "best", *, refused: bool = False) -> str:
        return self.workspace.run("pipelines.promote", which, "--reason", "a test", fails=refused)

    def rollback(self) -> str:
        return self.workspace.run("pipelines.promote", "rollback", "--reason", "a test")

    # What a caller does

    def predict(self, rows: pd.DataFrame) -> Answer:
        """Over real HTTP; a missing value goes as null. AssertionError when serving refuses."""
        body = {"dataframe_split": json.loads(rows.to_json(orient="split", index=False))}
        answer = httpx.post(f"{self.serving_url}/invocations", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        return Answer(answer.headers["x-model-version"], answer.json()["predictions"])

    def eventually_serves(self, version: str, *, seconds: float = 30) -> None:
        """Until an answer comes from `version`; no answer on the way may be an error."""
        row = self.test_rows().head(1)
        eventually(lambda: self.predict(row).version == version, seconds=seconds)

    def eventually_answers(self, version: str, *, seconds: float = 30) -> None:
        """The same from a serving that may have no version yet."""
        metadata = f"{self.serving_url}/v2/models/{self.model}"
        eventually(lambda: str(httpx.get(metadata, timeout=5).json().get("version")) == version, seconds=seconds)

    # What a person in the MLflow UI does: its REST API, nothing of ours

    def versions(self) -> list[str]:
        """Oldest first."""
        found = self._mlflow("GET", "model-versions/search", filter=f"name = '{self.model}'").get("model_versions", [])
        return sorted((each["version"] for each in found), key=int)

    def production(self) -> dict[str, str]:
        """The version that the stage names and the one that the alias names."""
        registered = self._mlflow("GET", "registered-models/get", name=self.model)["registered_model"]
        stages = {each["current_stage"]: each["version"] for each in registered.get("latest_versions", [])}
        aliases = {each["alias"]: each["version"] for each in registered.get("aliases", [])}
        return {"stage": stages.get("Production", "none"), "alias": aliases.get("production", "none")}

    def move_stage(self, version: str) -> None:
        self._mlflow(
            "POST",
            "model-versions/transition-stage",
            name=self.model,
            version=version,
            stage="Production",
            archive_existing_versions=True,
        )

    def move_alias(self, version: str) -> None:
        self._mlflow("POST", "registered-models/alias", name=self.model, alias="production", version=version)

    def register(self, candidate: str) -> str:
        """Make a version of another candidate of the last training, lineage and all but a twin; answers its number."""
        runs = json.loads((self.workspace.folder / "models/runs.json").read_text())["candidates"]
        (run,) = [run for run in runs if run["name"] == candidate]
        tags = self._mlflow("GET", "runs/get", run_id=run["run_id"])["run"]["data"]["tags"]
        made = self._mlflow(
            "POST",
            "model-versions/create",
            name=self.model,
            source=run["model_uri"],
            run_id=run["run_id"],
            model_id=run["model_uri"].removeprefix("models:/"),
            tags=[tag for tag in tags if tag["key"].startswith("slipway.")],
        )
        return str(made["model_version"]["version"])

    # What anybody may look at

    def test_rows(self) -> pd.DataFrame:
        """Rows that nothing was trained on, the target aside."""
        return self._test().drop(columns=self._target())

    def test_labels(self) -> list[Any]:
        return list(self._test()[self._target()])

    def report(self, name: str) -> Any:
        return json.loads((self.workspace.folder / "reports" / f"{name}.json").read_text())

    def port(self, name: str) -> int:
        """As `.env` has it."""
        return int(dotenv_values(self.workspace.folder / ".env")[name] or "")

    def stack(self, *words: str, fails: bool = False) -> str:
        """`make up`, `down` or `status`."""
        return self.workspace.run("infra.local", *words, fails=fails)

    def processes(self) -> list[Any]:
        """What the local stack of this workspace keeps running."""
        return leftovers.processes((self.workspace.folder / ".slipway").resolve())

    def _test(self) -> pd.DataFrame:
        return pd.read_parquet(self.workspace.folder / "data/processed/test.parquet")

    def _target(self) -> str:
        return str(json.loads((self.workspace.folder / "data/processed/schema.json").read_text())["target"])

    def _mlflow(self, method: str, what: str, **values: Any) -> Any:
        url = f"{self.mlflow_url}/api/2.0/mlflow/{what}"
        answer = (
            httpx.get(url, params=values, timeout=60) if method == "GET" else httpx.post(url, json=values, timeout=60)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()
