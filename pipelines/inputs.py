"""What a run was made from that git does not hold: the values of its parameters, its data files and its interpreter.

`train` keeps it with the run as `lineage/inputs.json`; `reproduce` reads it. `--set` and `mlflow run -P` change values
in a way that no commit and no patch shows, which is why they are here themselves and not only their hash.
"""

import json
import platform
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from pipelines import data, environment
from pipelines.errors import NotReproducible
from pipelines.fingerprint import Fingerprint, fingerprint
from pipelines.lineage import LOCK
from pipelines.settings import Params

FILE = "inputs.json"
RAW = (data.RAW, data.ABOUT)
PREPARED = (data.SCHEMA, data.TRAIN)


Below = Annotated[str, Field(pattern=r"^data/raw/[\w.-]+$")]
"""Where raw files are put again: nothing that is read from elsewhere may name another place."""


class Inputs(BaseModel, frozen=True):
    format: Literal[1] = 1
    params: dict[str, Any]
    """Every value of params.yaml as its stage had it; no user, password or query in the source's address."""
    raw: dict[Below, Fingerprint]
    """By path: what `ingest` left, which DVC keeps."""
    prepared: dict[str, Fingerprint]
    """By path: what `validate` and `prepare` made of it."""
    python: str
    machine: str
    apart: list[str]
    """Packages that were not as the lock has them."""


def read(content: bytes) -> Inputs:
    """NotReproducible when it is not what `gather` makes."""
    try:
        return Inputs.model_validate_json(content)
    except ValidationError as wrong:
        raise NotReproducible(f"its lineage/{FILE} is not one that this version of Slipway understands") from wrong


def gather(params: Params, *, folder: Path = Path()) -> Inputs:
    """Of a run made now in `folder`."""
    values = params.model_dump(mode="json", by_alias=True)
    values["ingest"]["source"] = data.without_secrets(params.ingest.source)
    # Those two ran before, perhaps with a command line of their own.
    values["validate"] = json.loads((folder / data.VALIDATED).read_text())
    values["prepare"] = json.loads((folder / data.PREPARED).read_text())
    return Inputs(
        params=values,
        raw={path.as_posix(): fingerprint(folder / path) for path in RAW},
        prepared={path.as_posix(): fingerprint(folder / path) for path in PREPARED},
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        apart=environment.apart((folder / LOCK).read_text()),
    )
