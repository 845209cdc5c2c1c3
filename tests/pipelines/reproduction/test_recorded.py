"""What MLflow knows of how something was made, and what is refused for want of it."""

import mlflow
import pytest
from mlflow import MlflowClient

from pipelines.errors import NotReproducible, UnknownVersion
from pipelines.inputs import Inputs
from pipelines.reproduction import recorded

INPUTS = Inputs(params={"train": {"seed": 1}}, raw={}, prepared={}, python="3.11.7", machine="Linux", apart=[])
TAGS = {"slipway.candidate": "forest", "slipway.git.commit": "1" * 40, "slipway.git.dirty": "false"}


class Training:
    """A parent run with a child for `forest` and one for `linear`, of which forest is the best."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        mlflow.set_experiment(experiment)
        self.client = client
        with mlflow.start_run(tags={"slipway.best": "forest"}) as parent:
            self.parent = parent.info.run_id
            with mlflow.start_run(nested=True, tags=TAGS) as child:
                self.forest = child.info.run_id
                mlflow.log_metrics({"train_f1": 1.0, "validation_f1": 0.9, "test_f1": 0.8, "fit_seconds": 3.0})
            with mlflow.start_run(nested=True, tags=TAGS | {"slipway.candidate": "linear"}) as child:
                self.linear = child.info.run_id

    def keep(self, content: str, name: str = "inputs.json") -> None:
        self.client.log_text(self.parent, content, f"lineage/{name}")


@pytest.fixture
def training(client: MlflowClient, unique_name: str) -> Training:
    return Training(client, unique_name)


def find(training: Training, what: str, model: str = "none") -> recorded.Recorded:
    return recorded.find(training.client, model, what)


def test_a_training_stands_for_its_best_candidate(training: Training) -> None:
    training.keep(INPUTS.model_dump_json())

    found = find(training, training.parent)

    assert (found.run.info.run_id, found.candidate, found.inputs) == (training.forest, "forest", INPUTS)


def test_metrics_of_rows_that_were_not_learnt_from_are_compared(training: Training) -> None:
    training.keep(INPUTS.model_dump_json())

    assert find(training, training.forest).metrics == {"validation_f1": 0.9, "test_f1": 0.8}


def test_a_version_leads_to_its_run_and_what_the_training_kept(training: Training, unique_name: str) -> None:
    training.keep(INPUTS.model_dump_json())
    training.keep("a patch", "uncommitted.patch")
    training.client.create_registered_model(unique_name)
    training.client.create_model_version(unique_name, "s3://elsewhere/model", run_id=training.linear)

    found = find(training, "1", unique_name)

    assert (found.name, found.candidate, found.patch) == (f"{unique_name} version 1", "linear", b"a patch")


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({}, "has no lineage/inputs.json"),
        ({"slipway.git.commit": "unknown"}, "was trained where there was no git commit"),
    ],
)
def test_a_run_that_says_too_little_is_refused(training: Training, tags: dict[str, str], says: str) -> None:
    for name, value in tags.items():
        training.client.set_tag(training.forest, name, value)

    with pytest.raises(NotReproducible, match=says):
        find(training, training.forest)


def test_an_uncommitted_change_that_was_too_large_to_keep_is_told(training: Training) -> None:
    training.keep(INPUTS.model_dump_json())
    training.client.set_tag(training.forest, "slipway.git.dirty", "true")
    training.client.set_tag(training.forest, "slipway.git.patch", "too large (6.3 MB), not kept")

    with pytest.raises(NotReproducible, match=r"that is not on record: too large \(6\.3 MB\), not kept"):
        find(training, training.forest)


def test_a_run_of_something_else_is_refused(client: MlflowClient, unique_name: str) -> None:
    run = client.create_run(client.create_experiment(unique_name))

    with pytest.raises(NotReproducible, match="is no training of these pipelines"):
        recorded.find(client, unique_name, run.info.run_id)


def test_a_version_without_a_run_is_refused(client: MlflowClient, unique_name: str) -> None:
    client.create_registered_model(unique_name)
    client.create_model_version(unique_name, "s3://elsewhere/model")

    with pytest.raises(NotReproducible, match="only that says how it was made"):
        recorded.find(client, unique_name, "1")


def test_a_best_candidate_whose_run_is_lost_is_told(training: Training) -> None:
    training.client.delete_run(training.forest)

    with pytest.raises(UnknownVersion, match="MLflow has lost the run of forest"):
        find(training, training.parent)
