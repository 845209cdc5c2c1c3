"""Read a version's MLmodel file: its signature, flavours and example, without MLflow.

The format is MLflow's (https://mlflow.org/docs/latest/ml/model/#storage-format); the signature in it is JSON.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import yaml

from serving.errors import VersionRefused
from serving.protocol import Column, Param, Signature, Tensor

FILE = "MLmodel"
SERVING_EXAMPLE = "serving_input_example.json"
LARGEST_BYTES = 16 << 20
"""A signature of 100,000 columns is half of that."""
LARGEST_PARTS = 100_000
"""Values in the file; a signature is one of them."""

DEEPEST = 50
_MERGE = "tag:yaml.org,2002:merge"
_HOLDS_PARTS = (dict, list, tuple, set)
"""What YAML makes."""


class _Signature(msgspec.Struct):
    """JSON each."""

    inputs: str | None = None
    outputs: str | None = None
    params: str | None = None


class _File(msgspec.Struct):
    flavors: dict[str, dict[str, Any]]
    signature: _Signature | None = None


@dataclass(frozen=True)
class MlModel:
    folder: Path
    flavors: dict[str, dict[str, Any]]
    signature: Signature

    @property
    def platform(self) -> str:
        """`mlflow_sklearn`: the flavour the model was logged with."""
        return f"mlflow_{self.native or 'pyfunc'}"

    @property
    def native(self) -> str | None:
        """The flavour beside pyfunc."""
        return next((name for name in self.flavors if name != "python_function"), None)

    @cached_property
    def example(self) -> str | None:
        """A JSON body for `/invocations` that came with the version."""
        file = self.folder / SERVING_EXAMPLE
        return file.read_text() if file.is_file() else None


def read(folder: Path) -> MlModel:
    """OSError, or VersionRefused when it is not such a file."""
    try:
        described = msgspec.convert(_content(folder / FILE), _File)
        signature = described.signature or _Signature()
        fields = [[_field(each) for each in _parsed(part)] for part in (signature.inputs, signature.outputs)]
        params = tuple(_param(each) for each in _parsed(signature.params))
    except (msgspec.MsgspecError, yaml.YAMLError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise VersionRefused(f"its {FILE} is not one that MLflow writes: {_said(error)}") from error
    return MlModel(folder, described.flavors, Signature(tuple(fields[0]), tuple(fields[1]), params))


def _content(file: Path) -> Any:
    """As plain data, no more of it than a model needs. ValueError, and as yaml."""
    with file.open("rb") as opened:
        text = opened.read(LARGEST_BYTES + 1)
    if len(text) > LARGEST_BYTES:
        raise ValueError(f"it has more than {LARGEST_BYTES} bytes")
    _refuse_bombs(text)
    content = yaml.load(text, yaml.CSafeLoader)
    # A few lines of references to references are a terabyte to whoever walks through them.
    parts, seen = [content], 1
    while parts:
        seen += sum(len(each) for each in parts if isinstance(each, _HOLDS_PARTS))
        if seen > LARGEST_PARTS:
            raise ValueError(f"it has more than {LARGEST_PARTS} parts")
        parts = [part for each in parts for part in _parts(each)]
    return content


def _refuse_bombs(text: bytes) -> None:
    """Before anything is made of it: depth would end the process in PyYAML's C, and merges multiply as they load."""
    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        if isinstance(event, yaml.ScalarEvent) and (event.value == "<<" or event.tag == _MERGE):
            raise ValueError("it merges mappings")


def _parts(value: Any) -> Iterable[Any]:
    if not isinstance(value, _HOLDS_PARTS):
        return ()
    return value.values() if isinstance(value, dict) else value


def _said(error: Exception) -> str:
    """On one line. What YAML says goes on with the lines in question."""
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _parsed(part: str | None) -> list[dict[str, Any]]:
    # Not msgspec: MLflow writes NaN where a param's default is that.
    return msgspec.convert(json.loads(part or "[]"), list[dict[str, Any]])


def _field(spec: dict[str, Any]) -> Column | Tensor:
    name = None if spec.get("name") is None else str(spec["name"])
    if spec["type"] == "tensor":
        tensor = spec["tensor-spec"]
        return Tensor(name, str(tensor["dtype"]), tuple(int(length) for length in tensor["shape"]))
    return Column(name, str(spec["type"]), bool(spec.get("required", True)))


def _param(spec: dict[str, Any]) -> Param:
    return Param(
        str(spec["name"]), str(spec.get("dtype") or spec["type"]), spec.get("default"), spec.get("shape") is not None
    )
