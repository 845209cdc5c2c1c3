"""What `make demo` shows: the candidates, why one of them is Production, and its answers beside the true labels.

Reads the files that the pipeline leaves and asks serving over REST, as any client would.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from rich.table import Table

from infra.local.caller import Caller, why
from infra.local.errors import StackError

INVOCATIONS = "/invocations"
ROWS_SHOWN = 8
COLUMNS_SHOWN = 4


@dataclass(frozen=True)
class Outcome:
    """What the pipeline left behind; `validation` and `test` are metrics by candidate, best candidate first."""

    model: str
    version: str
    best: str
    why: str
    validation: dict[str, dict[str, float]]
    test: dict[str, dict[str, float]]
    target: str
    rows: pd.DataFrame


def read(root: Path) -> Outcome:
    reports = {
        name: json.loads((root / f"reports/{name}.json").read_text()) for name in ("train", "verdict", "version")
    }
    schema = json.loads((root / "data/processed/schema.json").read_text())
    verdict = reports["verdict"]
    return Outcome(
        model=reports["version"]["model"],
        version=reports["version"]["version"],
        best=verdict["best"],
        why="best on the validation rows; " + "; ".join(check["detail"] for check in verdict["verdict"]["checks"]),
        validation=reports["train"],
        test=verdict["test"],
        target=schema["target"],
        rows=pd.read_parquet(root / "data/processed/test.parquet").head(ROWS_SHOWN),
    )


def candidates(outcome: Outcome) -> Table:
    table = Table(title="Candidates", title_justify="left")
    metrics = list(outcome.test[outcome.best])
    table.add_column("candidate")
    for part in ("validation", "test"):
        for metric in metrics:
            table.add_column(f"{part} {metric}", justify="right", no_wrap=False)
    for name, validation in outcome.validation.items():
        figures = [*(validation[metric] for metric in metrics), *(outcome.test[name][metric] for metric in metrics)]
        style = "bold" if name == outcome.best else ""
        table.add_row(name, *(f"{figure:.4f}" for figure in figures), style=style)
    return table


def predictions(outcome: Outcome, serving: Caller) -> Table:
    """Test rows, sent as MLflow's `dataframe_split`, and what came back; StackError when nothing good did."""
    url = serving.url + INVOCATIONS
    features = outcome.rows.drop(columns=outcome.target)
    body = {"dataframe_split": json.loads(features.to_json(orient="split", index=False, double_precision=15))}
    try:
        answer = serving.post(INVOCATIONS, body, seconds=30)
    except httpx.TransportError as cause:
        raise StackError(f"serving does not answer the test rows at {url}: {why(cause)}; see `make logs`") from cause
    version = answer.headers.get("x-model-version")
    if answer.status_code != httpx.codes.OK or version is None:
        raise StackError(f"serving refused the test rows: {_reason(answer)}")
    table = Table(title=f"POST {url}, answered by version {version}", title_justify="left")
    shown = list(features.columns[:COLUMNS_SHOWN])
    for name in (*shown, "…", "predicted", "true"):
        table.add_column(name, justify="right")
    for row, predicted in zip(outcome.rows.to_dict("records"), answer.json()["predictions"], strict=True):
        table.add_row(*(_short(row[name]) for name in shown), "…", _short(predicted), _short(row[outcome.target]))
    return table


def _reason(answer: httpx.Response) -> str:
    """Serving's own words, where it was serving that answered."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, TypeError, KeyError):
        return str(answer.status_code)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
