"""`make bench-scoring`: how fast a file is scored, and in how much memory, beside `mlflow.pyfunc` in a loop.

Writes docs/benchmarks-scoring.md. Not a test: figures depend on the machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq
from rich.console import Console

from serving.runtimes import mlmodel
from tests.bench.models import MODELS, Made, made_in
from tests.bench.report import machine
from tests.servers import ROOT

DOCUMENT = ROOT / "docs" / "benchmarks-scoring.md"
GROUP_ROWS = 100_000
METHOD = """\
Written by `make bench-scoring`. A Parquet file of {rows:,} rows, each a key and 30 numbers, is read here, and the
predictions are written beside the key, as Parquet. Seconds are those of the whole command: the interpreter's start, the
imports and the loading of the model count. `score` is `python -m serving score`, with the version's ONNX twin (onnx),
with scikit-learn or PyTorch in a host (native), and with the twin on a Ray of its own (ray); the loop is
`mlflow.pyfunc.load_model(...).predict` on chunks of as many rows, 65,536. MB is the most that the largest process of
the command has had resident."""
COLUMNS = ("model", "by", "seconds", "rows/s", "MB", "times the loop")


@dataclass(frozen=True)
class Timed:
    model: str
    by: str
    seconds: float
    megabytes: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scoring", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--models", nargs="*", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--keep", type=Path, help="folder for the models, so that the next run need not train them")
    words = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        made = made_in(words.keep or folder)
        given = _rows(folder / "rows.parquet", made, words.rows)
        lines = [line for model in words.models for line in _lines(list(_timed(made, model, given)), words.rows)]
    rule = "|".join(["---"] * 2 + ["---:"] * (len(COLUMNS) - 2))
    table = [f"| {' | '.join(COLUMNS)} |", f"|{rule}|", *lines]
    text = "\n".join(["# Scoring a file", "", METHOD.format(rows=words.rows), "", *machine(), "", *table, ""])
    if words.models == list(MODELS):
        DOCUMENT.write_text(text)
    console.out(text, highlight=False)
    return 0


def _rows(file: Path, made: Made, count: int) -> Path:
    """Numbers like those of the training, in a file too large to be held at once."""
    names = [str(each.name) for each in mlmodel.read(made.folder("linear")).signature.inputs]
    random = np.random.default_rng(7)
    writer = None
    for first in range(0, count, GROUP_ROWS):
        size = min(GROUP_ROWS, count - first)
        columns = {name: random.gamma(2, 5, size) for name in names}
        table = pa.table({"id": np.arange(first, first + size), **columns})
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return file


def _timed(made: Made, model: str, given: Path) -> Iterator[Timed]:
    """The loop last."""
    out = given.with_name("out.parquet")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "MLFLOW_"))}
    told = {"SERVING_OFFLINE": "true", "SERVING_STORE": str(made.store), "SERVING_ALLOW_CODE": "true"}
    score = ["serving", "score", str(given), str(out), "--model", model, "--keys", "id"]
    for runtime in ("onnx", "native"):
        yield _run(model, f"score, {runtime}", score, {**plain, **told, "SERVING_RUNTIME": runtime})
    yield _run(model, "score, onnx, ray", [*score, "--engine", "ray"], {**plain, **told, "SERVING_RUNTIME": "onnx"})
    loop = ["tests.bench.scoring_rival", str(made.folder(model)), str(given), str(out)]
    yield _run(model, "mlflow.pyfunc in a loop", loop, plain)


def _run(model: str, by: str, words: list[str], env: Mapping[str, str]) -> Timed:
    began = time.perf_counter()
    running = subprocess.Popen([sys.executable, "-m", *words], env=dict(env), cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{model}, {by}: ended with {os.waitstatus_to_exitcode(status)}")
    return Timed(model, by, seconds, used.ru_maxrss / 1e3)


def _lines(timed: list[Timed], rows: int) -> Iterator[str]:
    loop = timed[-1]
    for each in timed:
        cells = (
            *(each.model, each.by, f"{each.seconds:.1f}", f"{rows / each.seconds:,.0f}", f"{each.megabytes:.0f}"),
            f"{loop.seconds / each.seconds:.1f}",
        )
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
