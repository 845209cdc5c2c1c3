"""Read a version's MLmodel file: its signature, flavours and example, without MLflow.

The format is MLflow's (https://mlflow.org/docs/latest/ml/model/#storage-format); the signature in it is JSON.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from serving.protocol import Column, Param, Signature, Tensor

FILE = "MLmodel"
SERVING_EXAMPLE = "serving_input_example.json"


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
    """OSError, or ValueError when it is not such a file."""
    try:
        content = yaml.load((folder / FILE).read_text(), yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise ValueError(f"{FILE} is not YAML") from error
    if not isinstance(content, dict):
        raise ValueError(f"{FILE} is not a mapping")
    signature = content.get("signature") or {}
    return MlModel(
        folder,
        content.get("flavors") or {},
        Signature(
            tuple(_field(each) for each in _parsed(signature, "inputs")),
            tuple(_field(each) for each in _parsed(signature, "outputs")),
            tuple(_param(each) for each in _parsed(signature, "params")),
        ),
    )


def _parsed(signature: dict[str, Any], part: str) -> list[dict[str, Any]]:
    found = json.loads(signature.get(part) or "[]")
    if not isinstance(found, list):
        raise ValueError(f"{FILE}: the signature's {part} are not a list")
    return found


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
