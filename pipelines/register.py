"""Stage `register`: the best run becomes a version of the registered model, once, with an ONNX twin where one is equal.

A golden sample says what its model answered, a manifest what its files are. The DAG ends here; `promote` is a command,
because it changes the world.
"""

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion

from pipelines import data, golden, keys, manifest, tracking, twin
from pipelines.cli import stage_params
from pipelines.errors import run
from pipelines.progress import say
from pipelines.records import MODELS, RUNS, VERDICT, VERSION, Registered, Report, Runs, Trained
from pipelines.registry import Registry
from pipelines.scores import answers
from pipelines.settings import load_settings


def main() -> None:
    params = stage_params(__doc__)
    runs, report = Runs.model_validate_json(RUNS.read_text()), Report.model_validate_json(VERDICT.read_text())
    settings = load_settings()
    key = keys.load(settings.signing_key)
    tracking.connect(settings)
    client = MlflowClient()
    registry = Registry(client, params.register_.model)
    best = runs.candidates[0]
    tags = _lineage(client.get_run(best.run_id))
    version = registry.of_run(best.run_id)
    new = version is None
    if version is None:
        version = registry.create(
            source=best.model_uri,
            run_id=best.run_id,
            tags=tags | {twin.TAG: twin.COMING},
            description=_description(best, report, runs),
        )
    registry.tag(version.version, tags | _judged(report))  # one that was there may have been measured again
    registered = Registered(model=registry.model, version=version.version, run_id=best.run_id)
    data.write_json(VERSION, registered.model_dump())
    say(f"register: {best.name} {'is now' if new else 'was already'} version {version.version} of {registry.model}")
    if _complete(registry, version, best) or manifest.TAG not in version.tags:
        say(f"register: {manifest.publish(registry, version, key)}")
        if key is None:
            say(f"register: {manifest.unsigned(settings.signing_key)}")


def _complete(registry: Registry, version: ModelVersion, best: Trained) -> bool:
    """What is made of the held-out rows, golden sample and twin. What is there stays, for the model is the same.

    True when the version's files may have changed."""
    copied = version.tags.get(twin.TAG, "").startswith(twin.PUBLISHED)
    sampled = golden.TAG in version.tags or not data.TEST.exists()
    if copied and sampled:
        return False
    manifest.verify(version)
    rows = pd.read_parquet(data.TEST)[data.load_schema().names] if data.TEST.exists() else None
    if rows is not None and not sampled:
        some = rows.head(golden.MOST_ROWS)
        sample = golden.of(some, *answers(tracking.load(MODELS / best.name), some))
        say(f"register: golden sample of {golden.publish(registry, version, sample)}")
    if not copied:
        said = twin.publish(registry, version, rows)
        made = said.startswith(twin.PUBLISHED)
        say(f"register: ONNX twin {said}" if made else f"register: no ONNX twin: {said.removeprefix('none: ')}")
    return True


def _lineage(best: Run) -> dict[str, str]:
    return {name: value for name, value in best.data.tags.items() if name.startswith("slipway.")}


def _judged(report: Report) -> dict[str, str]:
    verdict = report.verdict
    return {"slipway.gate": "passed" if verdict.passed else f"refused: {verdict.refusal}"}


def _description(best: Trained, report: Report, runs: Runs) -> str:
    """Markdown; the MLflow UI shows it on the version's page."""
    names = list(report.test[best.name])
    lines = [
        f"**{best.name}**, the best of {len(runs.candidates)} candidates on the validation rows.",
        "",
        f"| candidate | {' | '.join(f'test {name}' for name in names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for trained in runs.candidates:
        values = report.test[trained.name]
        lines.append(f"| {trained.name} | {' | '.join(f'{values[name]:.4f}' for name in names)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
