"""The words serving's modules share: a version, a signature, and the two seams `Registry` and `Model`.

Plain data; knows no library and no transport.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

JSON = "application/json"
CSV = "text/csv"
MEDIA_TYPES = (JSON, CSV)


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


@dataclass(frozen=True)
class View:
    """What the registry says about one model at one moment."""

    registered: bool = False
    in_production: tuple[Version, ...] = ()
    alias: Version | None = None
    similar_aliases: tuple[str, ...] = ()
    """Aliases that differ from `production` only in case: people expect them to count, and they do not."""


class Registry(Protocol):
    def read(self, name: str) -> View:
        """RegistryUnreachable when it does not answer."""

    def download(self, version: Version, folder: Path) -> Path:
        """Put the files of `version` somewhere below the empty `folder`; the folder that holds its MLmodel.

        RegistryUnreachable, or whatever the files' own server raises.
        """


class Model(Protocol):
    """A loaded version."""

    @property
    def runtime(self) -> str: ...

    @property
    def platform(self) -> str: ...

    @property
    def signature(self) -> Signature: ...

    @property
    def example(self) -> str | None:
        """A JSON body for `invoke` that came with the version."""

    def invoke(self, media_type: str, body: bytes) -> bytes:
        """MLflow's JSON answer to `body`. Blocks. InvalidInput, RowsRefused or PredictionFailed."""
