"""Load a version with the quickest runtime that answers as it does: its ONNX twin, else its library, else pyfunc.

Only here is MLflow imported on a worker's way, and only for a version without a twin.
"""

import logging
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from serving import mlmodel, twin
from serving.errors import InvalidInput, VersionRefused
from serving.mlmodel import MlModel
from serving.protocol import JSON, Decoder, Model, Rows, Unplanned

log = logging.getLogger(__name__)

Runtime = Literal["auto", "onnx", "native", "pyfunc"]

QUICK_SECONDS = 0.0003
"""What a queue and a thread cost a request; a model that needs less is called at once."""
_TRIED_ROWS = (1, 4, 16, 64, 256)
_REPEATS = 5


def mlflow_version() -> str:
    """Of the MLflow in this environment, whose scoring protocol is spoken; empty where there is none."""
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def preload() -> None:
    """Import what versions without a twin need: seconds that a promotion then does not have to wait for."""
    if not find_spec("mlflow"):
        return
    for name in ("serving.native", "sklearn", "skops.io"):
        if find_spec(name.partition(".")[0]):
            import_module(name)


def load(folder: Path, runtime: Runtime = "auto") -> Model:
    """The model in `folder`, tried on its own input example. VersionRefused, or whatever the model raises."""
    model = _loaded(mlmodel.read(folder), runtime)
    rows = _example(model)
    if rows is not None:
        model.predict(rows)
    elif model.example is not None:
        model.invoke(JSON, model.example.encode())
    return model


def inline_rows(model: Model) -> int:
    """Up to how many rows it answers quicker than a queue would let it; 0 where that is not known."""
    one = _example(model)
    if one is None or not model.joins or not one.count:
        return 0
    quick = 0
    for count in _TRIED_ROWS:
        rows = Rows(tuple(np.resize(block[:1], (count, *block.shape[1:])) for block in one.blocks), count)
        if min(_seconds(model, rows) for _ in range(_REPEATS)) > QUICK_SECONDS:
            break
        quick = count
    return quick


def _loaded(about: MlModel, runtime: Runtime) -> Model:
    if runtime in {"auto", "onnx"}:
        try:
            found = twin.load(about)
        except VersionRefused as refusal:
            log.warning("twin not used", extra={"folder": about.folder.name, "reason": str(refusal)})
            found = None
        if found is not None:
            return found
        if runtime == "onnx":
            raise VersionRefused("it has no usable ONNX twin, and SERVING_RUNTIME=onnx asks for one")
    from serving import native, pyfunc

    plain = pyfunc.load(about)
    if runtime == "pyfunc":
        return plain
    quicker = native.of(plain)
    if quicker is None and runtime == "native":
        raise VersionRefused(
            "its library does not answer arrays as pyfunc does, and SERVING_RUNTIME=native asks for it"
        )
    return quicker or plain


def _example(model: Model) -> Rows | None:
    """As rows; None where there is none, or where only MLflow can read it."""
    decoder: Decoder | None = model.plan
    if decoder is None or model.example is None:
        return None
    try:
        return decoder.fast(model.example.encode())
    except Unplanned:
        pass
    try:
        return decoder.rows(JSON, model.example.encode())
    except InvalidInput:
        return None


def _seconds(model: Model, rows: Rows) -> float:
    began = time.perf_counter()
    model.predict(rows)
    return time.perf_counter() - began
