"""A version's ONNX twin: the same answers from ONNX Runtime, with no scikit-learn, MLflow or pandas in the process.

`pipelines/twin.py` writes `model.onnx` and `twin.json`; the record in it says how closely the twin was measured to
follow the original, and without it the twin is not used.
"""

import hashlib
import logging
import math
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from serving.decoding import plan
from serving.errors import CallerError, RowsRefused, VersionRefused
from serving.protocol import PREDICT, PREDICT_PROBA, Answer, Array, Block, Rows
from serving.runtimes.examples import try_out
from serving.runtimes.mlmodel import MlModel
from serving.settings import Runtime

log = logging.getLogger(__name__)

GRAPH = "model.onnx"
CARD = "twin.json"
TOLERANCE = 1e-5
"""Relative; what is served as the same model may not differ by more."""


NO_CATEGORY = "\0"
Feed = Callable[[tuple[Array, ...]], Array]


class Input(msgspec.Struct, frozen=True):
    """One input of the graph: columns side by side as [n, k], or the signature's tensor of that name."""

    name: str
    dtype: str
    columns: tuple[str, ...] | None = None
    tensor: str | None = None
    missing: str | None = None
    """What a missing text is called in the graph; None: the model refuses gaps."""
    takes: tuple[str, ...] = ()
    """`nan` and `inf`, where the model itself takes such numbers."""


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
        self._run, self._options = _session(_measured(about.folder, card))
        self._feeds = [(each.name, _feed(each, decoder.blocks)) for each in card.inputs]
        self._asked = {method: [output] for method, output in card.outputs.items()}

    def predict(self, rows: Rows) -> Answer:
        feeds = {name: feed(rows.blocks) for name, feed in self._feeds}
        return Answer((self._run(self._asked[rows.method], feeds, self._options)[0],))

    def invoke(self, media_type: str, body: bytes, most_rows: int | None = None) -> bytes:
        self.plan.rows(media_type, body)  # a twin is only made for signatures that have a plan: it says what is wrong
        raise NotImplementedError


def usable(about: MlModel, runtime: Runtime) -> OnnxModel | None:
    """The twin, where `runtime` allows one and there is one that may be used and answers the version's own example.

    VersionRefused where it insists.
    """
    if runtime not in {"auto", "onnx"}:
        return None
    try:
        found = load(about)
        if found is not None:
            try_out(found)
    except (VersionRefused, CallerError) as refusal:
        log.warning("twin not used", extra={"folder": about.folder.name, "reason": str(refusal)})
        found = None
    if found is None and runtime == "onnx":
        raise VersionRefused("it has no usable ONNX twin, and SERVING_RUNTIME=onnx asks for one")
    return found


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
    return OnnxModel(about, card, decoder)


def _measured(folder: Path, card: Card) -> bytes:
    """The graph. VersionRefused where it is not the one that was measured, or does not answer as the model does."""
    graph = (folder / GRAPH).read_bytes() if (folder / GRAPH).is_file() else b""
    if hashlib.sha256(graph).hexdigest() != card.sha256:
        raise VersionRefused(f"{GRAPH} is not the file that was measured")
    parity = card.parity
    if not parity.labels_equal or not parity.largest_relative <= min(TOLERANCE, parity.tolerance) or parity.rows < 1:
        raise VersionRefused(f"{CARD} does not show that the twin answers as the model does")
    if PREDICT not in card.outputs:
        raise VersionRefused(f"{CARD} names no output for {PREDICT}")
    return graph


def _session(graph: bytes) -> tuple[Any, Any]:  # onnxruntime has no annotations
    """What runs the graph, and the options to give it: a fifth quicker than when it makes them anew each time.

    Bytes, not the file: they are what was measured, and ONNX Runtime reads no other file for a graph without a path.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The workers are the parallelism; threads of its own would only spin beside them.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # each of its errors is a class of its own, with no other ancestor
        raise VersionRefused(f"ONNX Runtime cannot load {GRAPH} ({type(error).__name__})") from error
    return session.run, onnxruntime.RunOptions()


def _feed(wanted: Input, blocks: tuple[Block, ...]) -> Feed:
    """From the plan's blocks to what the graph takes; decided once."""
    find = _finder(wanted, blocks)
    names = wanted.columns or (wanted.tensor or "",)
    if wanted.dtype == "string":
        return lambda arrays: _texts(find(arrays), wanted.missing, names)
    dtype = np.dtype(wanted.dtype)
    if dtype.kind != "f" or {"nan", "inf"} <= set(wanted.takes):
        return lambda arrays: find(arrays).astype(dtype, copy=False)

    def numbers(arrays: tuple[Array, ...]) -> Array:
        array = find(arrays).astype(dtype, copy=False)
        # The sum of the squares says that all is well, in a microsecond: few rows need a second look.
        if not math.isfinite(np.vdot(array, array)):
            _refuse(array, wanted.takes, names)
        return array

    return numbers


def _finder(wanted: Input, blocks: tuple[Block, ...]) -> Feed:
    """The array of the plan that has what is wanted, or one gathered from several."""
    if wanted.columns is None:
        at = next((at for at, block in enumerate(blocks) if block.names == (wanted.tensor,)), 0)
        return itemgetter(at)
    for at, block in enumerate(blocks):
        if block.names == wanted.columns:
            return itemgetter(at)
    places = {name: (at, column) for at, block in enumerate(blocks) for column, name in enumerate(block.names)}
    lacking = [name for name in wanted.columns if name not in places]
    if lacking:
        raise VersionRefused(f"{CARD} wants column {lacking[0]!r}, which the signature does not have")
    chosen = [places[name] for name in wanted.columns]
    dtype = object if wanted.dtype == "string" else np.float64

    def gather(arrays: tuple[Array, ...]) -> Array:
        table = np.empty((len(arrays[0]), len(chosen)), dtype)
        for column, (at, source) in enumerate(chosen):
            table[:, column] = arrays[at][:, source]
        return table

    return gather


def _texts(table: Array, missing: str | None, names: tuple[str, ...]) -> Array:
    """A gap as the graph calls it. What is no text is no category either, though it may look like one."""
    flat = [each if type(each) is str else missing if each is None else NO_CATEGORY for each in table.flat]
    if None in flat:
        row, column = divmod(flat.index(None), table.shape[1])
        raise RowsRefused(f"the model cannot predict this input; row {row + 1}, column '{names[column]}' has no text")
    found = np.empty(len(flat), object)
    found[:] = flat
    return found.reshape(table.shape)


def _refuse(array: Array, takes: tuple[str, ...], names: tuple[str, ...]) -> None:
    """RowsRefused where there is what the model itself refuses."""
    for kind, found in (("nan", np.isnan(array)), ("inf", np.isinf(array))):
        if kind not in takes and found.any():
            row, column = np.argwhere(found)[0].tolist()[:2]
            got = "null" if kind == "nan" else "one that is too large"
            where = f"row {row + 1}, column '{names[column if len(names) > 1 else 0]}'"
            raise RowsRefused(f"the model cannot predict this input; {where}: expected a number, got {got}")
