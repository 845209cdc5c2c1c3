"""The files a stage leaves for the next one, and their shapes. Small on purpose: reading one imports no MLflow."""

from pathlib import Path

from pydantic import BaseModel

from pipelines.gate import Verdict

MODELS = Path("models")
RUNS = MODELS / "runs.json"
VERDICT = Path("reports/verdict.json")
VERSION = Path("reports/version.json")


class Trained(BaseModel, frozen=True):
    """One candidate: its run, its model in MLflow, and how it did on the validation rows."""

    name: str
    run_id: str
    model_uri: str
    validation: dict[str, float]


class Runs(BaseModel, frozen=True):
    """What a training left: the candidates, best on the validation rows first; their files are in `MODELS/name`."""

    parent_run_id: str
    candidates: list[Trained]


class Report(BaseModel, frozen=True):
    """The held-out metrics of every candidate, and what the gate says of the best."""

    best: str
    test: dict[str, dict[str, float]]
    verdict: Verdict


class Registered(BaseModel, frozen=True):
    """Which version the best run became."""

    model: str
    version: str
    run_id: str
