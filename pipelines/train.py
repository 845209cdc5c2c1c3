"""Stage `train`: every candidate becomes a child run of one MLflow run, and the best on the validation rows is named.

The models come back from MLflow into models/, so that DVC versions what the registry holds.
"""

import shutil
import time
from pathlib import Path

import mlflow
import pandas as pd

from pipelines import data, inputs, lineage, tracking
from pipelines.cli import stage_params
from pipelines.data import About, Rows, Schema
from pipelines.errors import BadParams, run
from pipelines.lineage import Lineage
from pipelines.progress import say
from pipelines.records import MODELS, RUNS, Runs, Trained
from pipelines.scores import answers, best_first, scores
from pipelines.settings import Params, Section, load_settings
from pipelines.training import candidates, pictures
from pipelines.training.candidates import Fitted, Job
from pipelines.training.network import Epoch

METRICS = Path("reports/train.json")
EPOCHS = Path("reports/plots/epochs.csv")


def main() -> None:
    params = stage_params(__doc__)
    schema, about = data.load_schema(), About.model_validate_json(data.ABOUT.read_text())
    chosen = candidates.chosen(params.train)
    if not chosen:
        raise BadParams(f"params.yaml: train names no candidate; there are {', '.join(candidates.FIT)}")
    tracking.connect(load_settings())
    shutil.rmtree(MODELS, ignore_errors=True)
    origin = lineage.trace(data.RAW, params)
    with tracking.run(f"train {about.source}", {"slipway.model": params.register_.model}) as parent:
        runs = _train_all(params, schema, about, origin, chosen)
        mlflow.set_tag("slipway.best", runs[0].name)
        mlflow.log_metrics({f"best_validation_{name}": value for name, value in runs[0].validation.items()})
    found = Runs(parent_run_id=parent.info.run_id, candidates=runs)
    data.write_json(RUNS, found.model_dump(mode="json"))
    data.write_json(METRICS, {trained.name: trained.validation for trained in runs})
    say(f"train: best on the validation rows is {runs[0].name}")


def _train_all(
    params: Params, schema: Schema, about: About, origin: Lineage, chosen: dict[str, Section]
) -> list[Trained]:
    """Best first. Runs inside the parent run."""
    by_class = schema.target if schema.classes else None
    parts = data.split(
        pd.read_parquet(data.TRAIN), share=params.train.validation_share, seed=params.train.seed, by_class=by_class
    )
    tracking.log_lineage(origin, inputs.gather(params))
    mlflow.log_params({"source": about.source, "target": schema.target, "seed": params.train.seed})
    for part, context in zip(parts, ("training", "validation"), strict=True):
        tracking.log_dataset(part, schema, origin, context=context, source=about.source)
    training, validation = (Rows.of(part, schema) for part in parts)
    metric, history, runs = params.evaluate.metric, [], []
    for name, section in chosen.items():
        epochs: list[Epoch] = []
        job = Job(schema, training, validation, params.train.seed, epochs.append)
        with tracking.run(name, {"slipway.candidate": name} | origin.tags(), nested=True) as child:
            runs.append(_train_one(name, section, job, child.info.run_id, metric))
            tracking.log_epochs(child.info.run_id, epochs)
        history += epochs
    _write_epochs(history)
    order = best_first(metric, {trained.name: trained.validation[metric] for trained in runs})
    return sorted(runs, key=lambda trained: order.index(trained.name))


def _train_one(name: str, section: Section, job: Job, run_id: str, metric: str) -> Trained:
    started = time.monotonic()
    fitted = candidates.fit(name, section, job)
    seconds = time.monotonic() - started
    validation = _measure(fitted, job.validation, job.schema)
    if metric not in validation:
        raise BadParams(f"params.yaml: evaluate.metric {metric} is not for {job.schema.task}: {', '.join(validation)}")
    mlflow.log_params(section.model_dump() | fitted.facts | {"candidate": name, "seed": job.seed})
    mlflow.log_metrics(_prefixed("train", _measure(fitted, job.training, job.schema)) | {"fit_seconds": seconds})
    mlflow.log_metrics(_prefixed("validation", validation))
    _log_pictures(fitted, job)
    uri = tracking.log_model(name, fitted.model, job.schema, job.training.features)
    if fitted.network is not None:
        tracking.log_network(f"{name}-torch", fitted.network, fitted.model, job.training.features)
    tracking.fetch(uri, MODELS / name)
    say(f"train: {name:9} {metric} {validation[metric]:.4f} on the validation rows, fitted in {seconds:.1f} s")
    return Trained(name=name, run_id=run_id, model_uri=uri, validation=validation)


def _measure(fitted: Fitted, rows: Rows, schema: Schema) -> dict[str, float]:
    return scores(schema, rows.target, *answers(fitted.model, rows.features))


def _log_pictures(fitted: Fitted, job: Job) -> None:
    rows = job.validation
    figures = pictures.pictures(job.schema, rows.target, *answers(fitted.model, rows.features))
    figures["importance.png"] = pictures.importance(fitted.model, rows.features, rows.target, seed=job.seed)
    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}")


def _prefixed(part: str, found: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in found.items()}


def _write_epochs(history: list[Epoch]) -> None:
    """For `dvc plots`; only the header where no network was trained."""
    lines = [f"{epoch.number},{epoch.training_loss},{epoch.validation_loss}" for epoch in history]
    EPOCHS.parent.mkdir(parents=True, exist_ok=True)
    EPOCHS.write_text("\n".join(["epoch,training_loss,validation_loss", *lines]) + "\n")


if __name__ == "__main__":
    run(main)
