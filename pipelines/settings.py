"""What the stages may be told: `params.yaml` changes a model, the environment changes a deployment.

Only the stages' `main()` read this; everything below them takes plain arguments.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.errors import BadParams, BadSettings

PARAMS = Path("params.yaml")

Task = Literal["classification", "regression"]
Share = Annotated[float, Field(gt=0, lt=1)]
Metric = Literal["accuracy", "f1_macro", "roc_auc", "log_loss", "r2", "rmse", "mae"]
CheckName = Literal[
    "floor",
    "no step back",
    "signature",
    "lineage",
    "data pushed",
    "manifest",
    "answers its example",
    "golden sample",
    "latency",
]


class Section(BaseModel, frozen=True, extra="forbid"):
    """A section of params.yaml: a name it does not know is a mistake, not an option."""


class Ingest(Section):
    source: str
    """`sklearn:NAME`, a path, or an http(s):// or s3:// address of a CSV or Parquet file."""


class ColumnRule(Section):
    kind: Literal["number", "category"] | None = None
    """None: follow the data."""
    min: float | None = None
    max: float | None = None
    allowed: list[str] | None = None
    nullable: bool = True


class Validate(Section):
    task: Task
    target: str
    drop: list[str] = []
    min_rows: PositiveInt = 50
    columns: dict[str, ColumnRule] = {}


class Prepare(Section):
    test_share: Share
    seed: int


class Linear(Section):
    C: PositiveFloat
    """Inverse of the regularisation's strength, as in scikit-learn."""


class Forest(Section):
    trees: PositiveInt
    max_depth: PositiveInt | None = None


class Boosting(Section):
    iterations: PositiveInt
    learning_rate: PositiveFloat


class Network(Section):
    hidden: Annotated[list[PositiveInt], Field(min_length=1)]
    """Width of each hidden layer; images get two small convolutions instead."""
    learning_rate: PositiveFloat
    batch_size: PositiveInt
    epochs: PositiveInt
    patience: PositiveInt
    """Epochs without a better validation loss before training stops."""


class Train(Section):
    seed: int
    validation_share: Share
    linear: Linear | None = None
    forest: Forest | None = None
    boosting: Boosting | None = None
    network: Network | None = None
    """A candidate that is not named is not trained."""


class Evaluate(Section):
    metric: Metric
    floor: float
    margin: NonNegativeFloat


class Register(Section):
    model: Annotated[str, Field(pattern=r"^[^/:]+$")]
    """Registered name; MLflow refuses `/` and `:` in it."""


class Promote(Section):
    require: list[CheckName] = list(get_args(CheckName))
    """Checks that keep a version out of Production. The others are made and shown too; they keep nothing out."""
    latency_ms: PositiveFloat = 100
    """Most milliseconds for one row, 99 times of 100, where `promote` runs."""


class Params(Section):
    ingest: Ingest
    validate_: Validate = Field(alias="validate")
    """`validate` itself is a method of every pydantic model."""
    prepare: Prepare
    train: Train
    evaluate: Evaluate
    register_: Register = Field(alias="register")
    promote: Promote = Promote()


class Settings(BaseSettings):
    """Where the stages find MLflow; `.env` stands in for names that the environment lacks."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, env_ignore_empty=True)

    mlflow_tracking_uri: str
    """No default: runs filed in the wrong place are worse than none."""
    mlflow_tracking_username: str | None = None
    """For a server that asks who it is; MLflow's client reads the two from the environment, not from here."""
    mlflow_tracking_password: SecretStr | None = None
    mlflow_experiment_name: str = "slipway"

    signing_key: Path = Field(default=Path(".slipway/keys/signing.pem"), validation_alias="SLIPWAY_SIGNING_KEY")
    """File of the private key that signs manifests; without it they are written unsigned."""
    serving_url: str = Field(default="http://127.0.0.1:8000", validation_alias="SLIPWAY_SERVING_URL")
    """Addresses of the servers that `promote watch` asks, comma-separated."""


def load_params(path: Path = PARAMS, *, changes: list[str] | None = None) -> Params:
    """Read and check `params.yaml`; `changes` are `section.name=value` pairs that win, unless empty."""
    try:
        tree = yaml.safe_load(path.read_text())
        for change in changes or []:
            _apply(tree, change)
        return Params.model_validate(tree)
    except FileNotFoundError as missing:
        raise BadParams(f"there is no {path} in {Path.cwd()}; run this in the project's folder") from missing
    except yaml.YAMLError as broken:
        raise BadParams(f"{path} is not YAML: {broken}") from broken
    except ValidationError as wrong:
        raise BadParams(f"{path}: {_first(wrong)}") from wrong


def load_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as wrong:
        raise BadSettings(f"{_first(wrong)}; set it in .env (copy .env.example) or in the environment") from wrong


def _apply(tree: dict[str, Any], change: str) -> None:
    name, equals, value = change.partition("=")
    *sections, last = name.split(".")
    if not equals or not sections:
        raise BadParams(f"'{change}' is not of the form section.name=value")
    if not value:  # MLproject's way to say: as params.yaml has it
        return
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise BadParams(f"'{change}': {section} is not a section in params.yaml")
    tree[last] = yaml.safe_load(value)


def _first(wrong: ValidationError) -> str:
    """The first mistake, as a person names it: where, and what was expected."""
    mistake = wrong.errors()[0]
    where = ".".join(str(part) for part in mistake["loc"])
    return f"{where}: {mistake['msg']}"
