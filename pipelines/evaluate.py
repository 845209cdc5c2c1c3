"""Stage `evaluate`: every candidate on rows that none was trained on, and the gate's verdict on the best.

The best was chosen on the validation rows; the test rows only judge it.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from rich.table import Table

from pipelines import data, gate, lineage, tracking
from pipelines.cli import stage_params
from pipelines.data import Rows, Schema
from pipelines.errors import run
from pipelines.progress import say
from pipelines.promotion.inspection import TEST_TAG, rival_on
from pipelines.records import MODELS, RUNS, VERDICT, Report, Runs
from pipelines.registry import Registry
from pipelines.scores import answers, scores
from pipelines.settings import load_settings

METRICS = Path("reports/evaluate.json")
PREDICTIONS = Path("reports/plots/predictions.csv")


def main() -> None:
    params = stage_params(__doc__)
    schema, runs = data.load_schema(), Runs.model_validate_json(RUNS.read_text())
    tracking.connect(load_settings())
    rows = Rows.of(pd.read_parquet(data.TEST), schema)
    predictions = {found.name: answers(tracking.load(MODELS / found.name), rows.features) for found in runs.candidates}
    test = {name: scores(schema, rows.target, *predicted) for name, predicted in predictions.items()}
    best = runs.candidates[0].name
    current = Registry(MlflowClient(), params.register_.model).production()
    rival = None if current is None else rival_on(rows, schema, current, params.evaluate.metric)
    report = Report(
        best=best, test=test, verdict=gate.judge(test[best][params.evaluate.metric], rival, params.evaluate)
    )
    _publish(report, runs, schema, (rows.target, predictions[best][0]))
    say(_table(report, runs, params.evaluate.metric))
    say(f"evaluate: the gate {'passes' if report.verdict.passed else 'refuses'} {best}")
    for check in report.verdict.checks:
        say(f"evaluate:   {check.name}: {check.detail}")


def _publish(report: Report, runs: Runs, schema: Schema, best: tuple[Any, Any]) -> None:
    client, test_md5 = MlflowClient(), lineage.file_md5(data.TEST)
    for trained in runs.candidates:
        client.set_tag(trained.run_id, TEST_TAG, test_md5)
        for name, value in report.test[trained.name].items():
            client.log_metric(trained.run_id, f"test_{name}", value)
    for name, value in report.test[report.best].items():
        client.log_metric(runs.parent_run_id, f"best_test_{name}", value)
    data.write_json(VERDICT, report.model_dump(mode="json"))
    data.write_json(METRICS, {"best": report.test[report.best]} | report.test)
    PREDICTIONS.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"actual": best[0], "predicted": best[1]}).to_csv(PREDICTIONS, index=False)


def _table(report: Report, runs: Runs, metric: str) -> Table:
    table = Table(title="Candidates", title_justify="left")
    for column in ("candidate", f"validation {metric}", *(f"test {name}" for name in report.test[report.best])):
        table.add_column(column, justify="left" if column == "candidate" else "right")
    for trained in runs.candidates:
        mark = " (best)" if trained.name == report.best else ""
        values = (trained.validation[metric], *report.test[trained.name].values())
        table.add_row(trained.name + mark, *(f"{value:.4f}" for value in values))
    return table


if __name__ == "__main__":
    run(main)
