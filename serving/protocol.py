"""The words serving's modules share: a version, a signature, rows and answers, and the seams `Registry` and `Model`.

Plain data; knows no library but numpy, and no transport.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from serving.errors import PredictionFailed

JSON = "application/json"
CSV = "text/csv"
PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = (JSON, CSV, PARQUET)

PREDICT = "predict"
PREDICT_PROBA = "predict_proba"
"""What a model may be asked for. As a name of `params`, and of an output, the second one asks for probabilities."""

MANIFEST_TAG = "slipway.manifest"

Array = NDArray[Any]


@dataclass(frozen=True)
class Column:
    """`type` is MLflow's name: double, long, string, ..., or array, object, map, any. A column may have no name."""

    name: str | None
    type: str
    required: bool = True


@dataclass(frozen=True)
class Tensor:
    """`dtype` is numpy's name; -1 in `shape` is any length, and the first dimension counts rows."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Param:
    """A value beside the rows that the caller may set; `is_list` when it takes a list of `type`."""

    name: str
    type: str
    default: object
    is_list: bool = False


@dataclass(frozen=True)
class Signature:
    """Empty inputs or outputs: the model does not say. All inputs are columns or all are tensors."""

    inputs: tuple[Column | Tensor, ...] = ()
    outputs: tuple[Column | Tensor, ...] = ()
    params: tuple[Param, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Part of what a model takes: all columns of one type side by side, or one tensor."""

    dtype: str
    """numpy's name; `object` for strings (str or None) and binary (bytes)."""
    names: tuple[str, ...]
    """The columns, or the tensor's one name; positions as text where the signature has no names."""
    at: tuple[int, ...]
    """Their places in the signature, counted from 0."""
    shape: tuple[int, ...]
    """Of one row: (number of columns,), or the tensor's shape without its first length; -1 is any length."""


@dataclass(slots=True)
class Rows:
    """What a request asks, decoded: an array for every block of the plan, with `count` rows along its first axis."""

    blocks: tuple[Array, ...]
    count: int
    method: str = PREDICT
    params: Mapping[str, object] = field(default_factory=dict)
    """As the signature has them, defaults filled in; empty for a model that takes none."""
    names: tuple[str, ...] | None = None
    """Of the blocks, one tensor each; only for a model without a signature."""


@dataclass(slots=True)
class Answer:
    """Arrays with one entry a row along the first axis. `names`: columns of a table; None for one bare array."""

    outputs: tuple[Array, ...]
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    A wiped registry counts from 1 again, so the number alone does not say which files are meant: the creation time and
    the source belong to the identity. Where it stands in the registry does not.
    """

    name: str
    number: int
    created_ms: int
    source: str
    moved_ms: int = field(default=0, compare=False)
    """When its stage was last changed."""
    tags: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def manifest(self) -> str | None:
        """SHA-256 of the manifest that its files must have; None where its publisher has said nothing."""
        return self.tags.get(MANIFEST_TAG)

    def has_files_of(self, other: "Version | None") -> bool:
        """Is it the same version with the same manifest? Where that was written again, the files are others."""
        return other is not None and self == other and self.manifest == other.manifest


Mode = Literal["shadow", "canary"]
"""What a candidate does: hear copies and answer nobody, or answer a share of the callers."""


@dataclass(frozen=True)
class Trial:
    """A candidate beside Production, as the registry says. The same version at another `since_ms` is another trial."""

    version: Version
    mode: Mode
    percent: float
    """Of the callers, 0 to 100; only means something to a canary."""
    since_ms: int

    def same_as(self, other: "Trial | None") -> bool:
        """Is it the same trial, perhaps with another mode or percent?"""
        return other is not None and self.version.has_files_of(other.version) and self.since_ms == other.since_ms


@dataclass(frozen=True)
class View:
    """What the registry says about one model at one moment."""

    registered: bool = False
    in_production: tuple[Version, ...] = ()
    alias: Version | None = None
    similar_aliases: tuple[str, ...] = ()
    """Aliases that differ from `production` only in case: people expect them to count, and they do not."""
    trial: Trial | None = None
    """Of the candidate that the registered model's tag names."""
    trial_fault: str | None = None
    """Why there is none although the tag is there; a sentence."""


class Registry(Protocol):
    def read(self, name: str) -> View:
        """RegistryUnreachable when it does not answer."""

    def size(self, version: Version) -> int | None:
        """Bytes of all its files, as their server lists them; None where it does not say. As `download`."""

    def download(self, version: Version, folder: Path) -> Path:
        """Put the files of `version` somewhere below the empty `folder`; the folder that holds its MLmodel.

        RegistryUnreachable, or whatever the files' own server raises.
        """


class Model(Protocol):
    """A loaded version."""

    @property
    def runtime(self) -> str:
        """What computes the answers: onnx, native or pyfunc."""

    @property
    def platform(self) -> str: ...

    @property
    def signature(self) -> Signature: ...

    @property
    def example(self) -> str | None:
        """A JSON body for `/invocations` that came with the version."""

    @property
    def plan(self) -> "Decoder | None":
        """How bodies become rows; None: only `invoke` knows."""

    @property
    def joins(self) -> bool:
        """May rows of different requests be predicted in one call?"""

    @property
    def probabilities(self) -> bool:
        """Can it be asked for PREDICT_PROBA?"""

    def predict(self, rows: Rows) -> Answer:
        """Blocks. RowsRefused or PredictionFailed."""

    def invoke(self, media_type: str, body: bytes, most_rows: int | None = None) -> bytes:
        """MLflow's JSON answer to `body`, which MLflow itself parses. Blocks.

        InvalidInput, TooLarge where it has more than `most_rows`, and as `predict`.
        """


class Decoder(Protocol):
    """A signature made ready for decoding; `plan.py` makes it."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What `Rows.blocks` are; none for a model without a signature, which takes tensors only."""

    def fast(self, body: bytes) -> Rows:
        """A JSON body such as clients usually send. Unplanned when in any doubt."""

    def rows(self, media_type: str, body: bytes) -> Rows:
        """Any body. InvalidInput with a reason."""

    def tensors(self, tensors: Mapping[str, Array], params: Mapping[str, object] | None = None) -> Rows:
        """Named tensors, and params as in a JSON body. InvalidInput with a reason."""


class NotRows(PredictionFailed):
    """The model's answer has not one entry a row, so that it cannot be told as arrays."""


class Unplanned(Exception):
    """`Decoder.fast` is not sure of this body; says nothing about whether it is right."""
