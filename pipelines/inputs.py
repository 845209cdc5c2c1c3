"""What a run was made from that git does not hold: the values of its parameters, its data files and its interpreter.

`train` keeps it with the run as `lineage/inputs.json`; `reproduce` reads it. `--set` and `mlflow run -P` change values
in a way that no commit and no patch shows, which is why they are here themselves and not only their hash.
"""

import platform
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from pipelines import data, environment
from pipelines.fingerprint import Fingerprint, fingerprint
from pipelines.lineage import LOCK
from pipelines.settings import Params

FILE = "inputs.json"
RAW = (data.RAW, data.ABOUT)
PREPARED = (data.SCHEMA, data.TRAIN)


class Inputs(BaseModel, frozen=True):
    format: Literal[1] = 1
    params: dict[str, Any]
    """Every value of params.yaml as the run had it; no user, password or query in the source's address."""
    raw: dict[str, Fingerprint]
    """By path: what `ingest` left, which DVC keeps."""
    prepared: dict[str, Fingerprint]
    """By path: what `validate` and `prepare` made of it."""
    python: str
    machine: str
    apart: list[str]
    """Packages that were not as the lock has them."""


def gather(params: Params, *, folder: Path = Path()) -> Inputs:
    """Of a run made now in `folder`."""
    values = params.model_dump(mode="json", by_alias=True)
    values["ingest"]["source"] = data.without_secrets(params.ingest.source)
    return Inputs(
        params=values,
        raw={path.as_posix(): fingerprint(folder / path) for path in RAW},
        prepared={path.as_posix(): fingerprint(folder / path) for path in PREPARED},
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        apart=environment.apart((folder / LOCK).read_text()),
    )
