"""Make a version's ONNX twin, measure it, and keep it in the version's own folder: model.onnx and twin.json.

`register` does so with the held-out rows. For a version that was not made here, scikit-learn or PyTorch:
python -m pipelines.twin NAME VERSION [--rows FILE.parquet|FILE.npy]   (without rows: the version's input example)
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # none are published

from pipelines import data, keys, manifest, tracking
from pipelines.errors import NoTwin, run
from pipelines.export import originals, parity
from pipelines.export.feeds import Input
from pipelines.export.graphs import Exported, Runner
from pipelines.export.originals import Original
from pipelines.export.parity import DIFFERENCE, TOLERANCE, Parity
from pipelines.export.probes import Rows
from pipelines.progress import say
from pipelines.registry import Registry
from pipelines.settings import load_settings

TAG = "slipway.twin"
PUBLISHED = "published"
COMING = "being made"
GRAPH = "model.onnx"
CARD = "twin.json"

Convert = Callable[[Original, Rows, str], Exported]
"""An original as a graph that computes with float64 or float32."""


def main() -> None:
    words = _words()
    settings = load_settings()
    key = keys.load(settings.signing_key)
    tracking.connect(settings)
    registry = Registry(MlflowClient(), words.name)
    version = registry.get(words.version)
    rows = None if words.rows is None else _read(words.rows)
    manifest.verify(version)
    said = publish(registry, version, rows)
    if said.startswith(PUBLISHED) or manifest.TAG in version.tags:  # half a twin may be there
        say(f"twin: {manifest.publish(registry, version, key)}")
    if not said.startswith(PUBLISHED):
        raise NoTwin(said)
    say(f"twin: {words.name} version {version.version}: {said}")


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="registered name")
    parser.add_argument("version", help="a version's number")
    parser.add_argument("--rows", type=Path, help="rows to measure on: .parquet, or .npy for a tensor")
    return parser.parse_args()


def _read(path: Path) -> Rows:
    if not path.is_file():
        raise NoTwin(f"there is no file {path}")
    return np.load(path, allow_pickle=False) if path.suffix == ".npy" else pd.read_parquet(path)


def publish(registry: Registry, version: ModelVersion, rows: Rows | None, convert: Convert = originals.export) -> str:
    """What came of it, which is also the version's tag. Raises nothing: a version without a twin is a version too."""
    try:
        said = _publish(version, rows, convert)
    except Exception as reason:  # noqa: BLE001 - a model that cannot be loaded fails in its own way
        said = f"none: {_line(reason)}"
    registry.tag(version.version, {TAG: said})
    return said


def _publish(version: ModelVersion, rows: Rows | None, convert: Convert) -> str:
    model_id = _model_id(version)
    with tempfile.TemporaryDirectory() as name:
        folder, made = Path(name) / "version", Path(name) / "twin"
        tracking.fetch(f"models:/{version.name}/{version.version}", folder)
        original = originals.load(folder)
        given = originals.typed(originals.example(folder) if rows is None else rows, original.signature)
        exported, measured = _equal(original, given, convert)
        _write(made, exported, measured, version.tags.get("slipway.data.md5"))
        MlflowClient().log_model_artifacts(model_id, str(made))
    return f"{PUBLISHED}, largest difference {measured.largest_relative:.1e} on {measured.rows} rows"


def read(folder: Path) -> Runner | None:
    """The twin in a version's folder, ready to be asked; None without one. NoTwin where what is there is none."""
    import onnx

    if not (folder / CARD).is_file():
        return None
    try:
        card = json.loads((folder / CARD).read_text())
        inputs = tuple(_given(each) for each in card["inputs"])
        return Runner(Exported(onnx.load(str(folder / GRAPH)), inputs, card["outputs"], card["parity"]["converter"]))
    except Exception as reason:  # ONNX Runtime's own errors have no base class of theirs
        raise NoTwin(f"{GRAPH} and {CARD} are no twin: {_line(reason)}") from reason


def _given(told: dict[str, Any]) -> Input:
    columns = told.get("columns")
    return Input(
        told["name"],
        told["dtype"],
        columns=None if columns is None else tuple(columns),
        tensor=told.get("tensor"),
        missing=told.get("missing"),
    )


def _model_id(version: ModelVersion) -> str:
    """Of the logged model whose files are the version's; the server leaves the field of that name empty."""
    found = str(version.source).removeprefix("models:/")
    if not found.startswith("m-"):
        raise NoTwin(f"its files are not a logged model's ({version.source})")
    return found


def _equal(original: Original, rows: Rows, convert: Convert) -> tuple[Exported, Parity]:
    """The first graph that answers as the original does; NoTwin says what was wrong with each."""
    reasons = []
    for numbers in original.precisions():
        try:
            exported = convert(original, rows, numbers)
            with threadpool_limits(1):  # a probe is too small to share; waiting for the other threads costs more
                return exported, parity.measure(original.ask, Runner(exported).ask, rows, numbers=original.numbers)
        except Exception as reason:  # noqa: BLE001 - a converter fails in its own way on every model
            reasons.append(f"{numbers}: {_line(reason)}")
    raise NoTwin("; ".join(reasons))


def _line(reason: Exception) -> str:
    text = str(reason) if isinstance(reason, NoTwin) else f"{type(reason).__name__}: {reason}"
    return " ".join(text.split())[:200]


def _write(folder: Path, exported: Exported, measured: Parity, data_md5: str | None) -> None:
    graph = exported.graph.SerializeToString()
    folder.mkdir()
    (folder / GRAPH).write_bytes(graph)
    card = {
        "format": 1,
        "inputs": [_input(each, measured.takes) for each in exported.inputs],
        "outputs": exported.outputs,
        "parity": {
            "rows": measured.rows,
            "probes": measured.probes,
            "labels_equal": True,
            "largest_relative": measured.largest_relative,
            "tolerance": TOLERANCE,
            "difference": DIFFERENCE,
            "onnxruntime": installed("onnxruntime"),
            "converter": f"{exported.converter} {installed(exported.converter)}",
        }
        | ({"data_md5": data_md5} if data_md5 else {}),
        "sha256": hashlib.sha256(graph).hexdigest(),
    }
    data.write_json(folder / CARD, card)


def _input(each: Input, takes: tuple[str, ...]) -> dict[str, Any]:
    """Without `missing` the model refuses gaps among texts; `takes` has nan or inf where it takes such numbers."""
    found = each.json()
    if each.dtype == "string":
        return {name: value for name, value in found.items() if name != "missing" or "gap" in takes}
    return found | {"takes": [kind for kind in takes if kind != "gap"]}


if __name__ == "__main__":
    run(main)
