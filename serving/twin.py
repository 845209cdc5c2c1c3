"""A version's ONNX twin: the same answers from ONNX Runtime, with no scikit-learn, MLflow or pandas in the process.

`pipelines/twin.py` writes `model.onnx` and `twin.json`; the record in it says how closely the twin was measured to
follow the original, and without it the twin is not used.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from serving.decoding import plan
from serving.errors import VersionRefused
from serving.mlmodel import MlModel
from serving.protocol import PREDICT, PREDICT_PROBA, Answer, Array, Block, Rows

GRAPH = "model.onnx"
CARD = "twin.json"
TOLERANCE = 1e-5
"""Relative; what is served as the same model may not differ by more."""


class Input(msgspec.Struct, frozen=True):
    """One input of the graph: columns side by side as [n, k], or the signature's tensor of that name."""

    name: str
    dtype: str
    columns: tuple[str, ...] | None = None
    tensor: str | None = None
    missing: str | None = None
    """What a string column's missing value is called in the graph."""


class Parity(msgspec.Struct, frozen=True):
    rows: int
    labels_equal: bool
    largest_relative: float
    tolerance: float


class Card(msgspec.Struct, frozen=True):
    format: Literal[1]
    inputs: tuple[Input, ...]
    outputs: dict[str, str]
    parity: Parity
    sha256: str


class OnnxModel:
    runtime = "onnx"
    joins = True

    def __init__(self, about: MlModel, card: Card, decoder: "plan.Plan") -> None:
        self.signature, self.platform, self.example = about.signature, about.platform, about.example
        self.plan = decoder
        self.parity = card.parity
        self.probabilities = PREDICT_PROBA in card.outputs
        self._run = _session(about.folder / GRAPH).run
        self._feeds = [(each.name, _feed(each, decoder.blocks)) for each in card.inputs]
        self._asked = {method: [output] for method, output in card.outputs.items()}

    def predict(self, rows: Rows) -> Answer:
        feeds = {name: feed(rows.blocks) for name, feed in self._feeds}
        return Answer((self._run(self._asked[rows.method], feeds)[0],))

    def invoke(self, media_type: str, body: bytes) -> bytes:
        raise NotImplementedError("a twin is only made for signatures that have a plan")


def load(about: MlModel) -> OnnxModel | None:
    """None where the version has no twin. VersionRefused when it has one that may not be used, with the reason."""
    if not (about.folder / CARD).is_file():
        return None
    try:
        card = msgspec.json.decode((about.folder / CARD).read_bytes(), type=Card)
    except msgspec.DecodeError as error:
        raise VersionRefused(f"{CARD}: {error}") from error
    decoder = plan.compile(about.signature)
    if decoder is None:
        raise VersionRefused("the signature has types that only MLflow itself can check")
    _verify(about.folder, card)
    return OnnxModel(about, card, decoder)


def _verify(folder: Path, card: Card) -> None:
    if hashlib.sha256((folder / GRAPH).read_bytes()).hexdigest() != card.sha256:
        raise VersionRefused(f"{GRAPH} is not the file that was measured")
    parity = card.parity
    if not parity.labels_equal or not parity.largest_relative <= min(TOLERANCE, parity.tolerance) or parity.rows < 1:
        raise VersionRefused(f"{CARD} does not show that the twin answers as the model does")
    if PREDICT not in card.outputs:
        raise VersionRefused(f"{CARD} names no output for {PREDICT}")


def _session(graph: Path):  # type: ignore[no-untyped-def]  # onnxruntime has no annotations
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The workers are the parallelism; threads of its own would only spin beside them.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


def _feed(wanted: Input, blocks: tuple[Block, ...]) -> Callable[[tuple[Array, ...]], Array]:
    """From the plan's blocks to what the graph takes; decided once."""
    dtype = np.dtype(object if wanted.dtype == "string" else wanted.dtype)
    if wanted.columns is None:
        at = next((at for at, block in enumerate(blocks) if block.names == (wanted.tensor,)), 0)
        return lambda arrays: arrays[at].astype(dtype, copy=False)
    for at, block in enumerate(blocks):
        if block.names == wanted.columns:
            return _whole(at, dtype, wanted.missing)
    return _gathered(wanted, blocks, dtype)


def _whole(at: int, dtype: np.dtype, missing: str | None) -> Callable[[tuple[Array, ...]], Array]:
    if missing is None:
        return lambda arrays: arrays[at].astype(dtype, copy=False)
    return lambda arrays: np.where(arrays[at] == None, missing, arrays[at])  # noqa: E711 - element by element


def _gathered(wanted: Input, blocks: tuple[Block, ...], dtype: np.dtype) -> Callable[[tuple[Array, ...]], Array]:
    places = {name: (at, column) for at, block in enumerate(blocks) for column, name in enumerate(block.names)}
    lacking = [name for name in wanted.columns or () if name not in places]
    if lacking:
        raise VersionRefused(f"{CARD} wants column {lacking[0]!r}, which the signature does not have")
    chosen = [places[name] for name in wanted.columns or ()]

    def gather(arrays: tuple[Array, ...]) -> Array:
        table = np.empty((len(arrays[0]), len(chosen)), dtype)
        for column, (at, source) in enumerate(chosen):
            table[:, column] = arrays[at][:, source]
        return table if wanted.missing is None else np.where(table == None, wanted.missing, table)  # noqa: E711

    return gather
