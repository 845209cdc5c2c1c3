"""What MLflow knows of how a version or a run was made: all that `reproduce` goes by and compares with."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from pipelines import inputs
from pipelines.errors import NotReproducible, UnknownVersion
from pipelines.inputs import Inputs
from pipelines.registry import Registry, unless_missing

CANDIDATE = "slipway.candidate"
BEST = "slipway.best"
PARENT = "mlflow.parentRunId"
PATCH = "uncommitted.patch"
FOLDER = "lineage"
RUN_ID = 32
"""Characters of a run's id."""
COMPARED = ("validation_", "test_")
"""Metrics of the rows that no candidate learnt from."""


@dataclass(frozen=True)
class Recorded:
    """One candidate as it was trained; `name` is how a person calls it."""

    name: str
    version: ModelVersion | None
    run: Run
    training: str
    """Id of the parent run, which has the artifacts that all its candidates share."""
    patch: bytes
    inputs: Inputs

    @property
    def tags(self) -> Mapping[str, str]:
        return self.run.data.tags

    @property
    def candidate(self) -> str:
        return self.tags[CANDIDATE]

    @property
    def metrics(self) -> dict[str, float]:
        return {name: value for name, value in self.run.data.metrics.items() if name.startswith(COMPARED)}


def find(client: MlflowClient, model: str, what: str) -> Recorded:
    """The candidate that `what` names: a version's number, or the id of a run, which may be the parent of several.

    UnknownVersion where MLflow has none, NotReproducible where it was not told enough.
    """
    version, run = look_up(client, model, what)
    if run is None:
        raise NotReproducible(f"MLflow has no run of {model} version {what}, and only that says how it was made")
    run = _candidate(client, run)
    tags, name = run.data.tags, f"{model} version {what}" if version else f"run {run.info.run_id}"
    if tags.get("slipway.git.commit", "unknown") == "unknown":
        raise NotReproducible(f"{name} was trained where there was no git commit; its code is not on record")
    training = tags.get(PARENT, run.info.run_id)
    kept = artifacts(client, training)
    if inputs.FILE not in kept:
        raise NotReproducible(f"{name} has no {FOLDER}/{inputs.FILE}, which training keeps since; train it again")
    if tags.get("slipway.git.dirty") == "true" and PATCH not in kept:
        said = tags.get("slipway.git.patch", "not kept")
        raise NotReproducible(f"{name} was trained with an uncommitted change that is not on record: {said}")
    return Recorded(name, version, run, training, kept.get(PATCH, b""), inputs.read(kept[inputs.FILE]))


def look_up(client: MlflowClient, model: str, what: str) -> tuple[ModelVersion | None, Run | None]:
    """A number is a version of `model`, with its run where MLflow has one; anything else the id of a run.

    UnknownVersion where there is neither.
    """
    version = Registry(client, model).get(what) if what.isdecimal() and len(what) < RUN_ID else None
    run_id = what if version is None else version.run_id
    run = unless_missing(lambda: client.get_run(run_id)) if run_id else None
    if version is None and run is None:
        raise UnknownVersion(f"{what} is no version's number, and MLflow has no run of that id")
    return version, run


def artifacts(client: MlflowClient, training: str) -> dict[str, bytes]:
    """What a training kept of its lineage, by file name; nothing when it kept nothing."""
    listed = unless_missing(lambda: client.list_artifacts(training, FOLDER)) or []
    found = [file for file in listed if Path(file.path).name in {inputs.FILE, PATCH}]
    with tempfile.TemporaryDirectory() as folder:
        return {
            Path(file.path).name: Path(client.download_artifacts(training, file.path, folder)).read_bytes()
            for file in found
        }


def logged_model(client: MlflowClient, recorded: Recorded) -> str:
    """Where the candidate's model is. NotReproducible when MLflow has lost it."""
    if recorded.version is not None:
        return f"models:/{recorded.version.name}/{recorded.version.version}"
    where = f"source_run_id = '{recorded.run.info.run_id}' and name = '{recorded.candidate}'"
    found = client.search_logged_models([recorded.run.info.experiment_id], where)
    if not found:
        raise NotReproducible(f"MLflow has lost the model of {recorded.name}; its predictions cannot be compared")
    return str(found[0].model_uri)


def _candidate(client: MlflowClient, run: Run) -> Run:
    """A run that trained several stands for the best of them."""
    tags = run.data.tags
    if CANDIDATE in tags:
        return run
    if BEST not in tags:
        raise NotReproducible(f"run {run.info.run_id} is no training of these pipelines; nothing says how it was made")
    where = f"tags.`{PARENT}` = '{run.info.run_id}' and tags.`{CANDIDATE}` = '{tags[BEST]}'"
    found = client.search_runs([run.info.experiment_id], where, max_results=1)
    if not found:
        raise UnknownVersion(f"MLflow has lost the run of {tags[BEST]}, the best of {run.info.run_id}")
    return found[0]
