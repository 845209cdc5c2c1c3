"""Run a training's stages again, in a worktree and against an MLflow of their own that is thrown away afterwards.

`ingest` is not among them: the raw data is what it was, wherever its source has gone. Nothing is registered or pushed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pipelines import inputs
from pipelines.errors import StageFailed
from pipelines.inputs import Inputs
from pipelines.lineage import file_md5
from pipelines.progress import say
from pipelines.records import MODELS, RUNS, Runs
from pipelines.reproduction.comparison import Answers
from pipelines.settings import PARAMS

STAGES = ("validate", "prepare", "train", "evaluate")
ASKED = Path(__file__).with_name("asked.py")
STORE = "mlflow.db"
NOT_PASSED_ON = ("MLFLOW_", "AWS_", "SLIPWAY_", "PYTHON")
"""They lead to the real MLflow and S3, to the signing key and to this checkout's code."""


@dataclass(frozen=True)
class Again:
    """What a second training left."""

    inputs: Inputs
    metrics: dict[str, dict[str, float]]
    """By candidate; named as MLflow's, `validation_` and `test_`."""
    test_md5: str


@dataclass(frozen=True)
class Workplace:
    """Where stages are run: the project in its worktree, the interpreter, and a folder for MLflow's files."""

    project: Path
    python: Path
    scratch: Path

    def train(self, params: dict[str, Any]) -> Again:
        """All stages with these values of params.yaml. StageFailed when one fails; it has said why."""
        (self.project / PARAMS).write_text(yaml.safe_dump(params, sort_keys=False, allow_unicode=True))
        for stage in STAGES:
            say(f"reproduce: {stage}")
            if self._run("-m", f"pipelines.{stage}"):
                raise StageFailed(f"stage {stage} failed in the worktree; the reason is above")
        return self._left()

    def ask(self, models: Sequence[Path], rows: pd.DataFrame) -> list[Answers]:
        """What the model in each of these folders answers, computed by this workplace's libraries."""
        table = self.scratch / "rows.parquet"
        rows.to_parquet(table, index=False)
        files = [self.scratch / f"answers-{number}.npz" for number, _ in enumerate(models)]
        pairs = [str(path) for pair in zip(models, files, strict=True) for path in pair]
        # -P: beside the program are modules of ours, whose names must not hide those of libraries.
        if self._run("-P", str(ASKED), str(table), *pairs):
            raise StageFailed("the models could not be asked; the reason is above")
        return [_read(file) for file in files]

    def model(self, candidate: str) -> Path:
        return self.project / MODELS / candidate

    def _left(self) -> Again:
        runs = Runs.model_validate_json((self.project / RUNS).read_text())
        test = json.loads((self.project / "reports/evaluate.json").read_text())
        kept = next(self.project.glob(f"mlruns/*/{runs.parent_run_id}/artifacts/lineage/{inputs.FILE}"))
        return Again(
            inputs=Inputs.model_validate_json(kept.read_text()),
            metrics={
                found.name: {f"validation_{name}": value for name, value in found.validation.items()}
                | {f"test_{name}": value for name, value in test[found.name].items()}
                for found in runs.candidates
            },
            test_md5=file_md5(self.project / "data/processed/test.parquet"),
        )

    def _run(self, *words: str) -> int:
        """Its exit code. What it prints is progress, and goes where ours goes."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
        own |= {
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.scratch / STORE}",
            "MLFLOW_EXPERIMENT_NAME": "reproduce",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        done = subprocess.run(
            [str(self.python), *words], cwd=self.project, env=own, stdout=sys.stderr.fileno(), check=False
        )
        return done.returncode


def _read(file: Path) -> Answers:
    with np.load(file, allow_pickle=False) as found:
        return Answers(found["predictions"], found.get("probabilities"))
