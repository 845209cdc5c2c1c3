""".env.example is complete, explained, and holds nothing that nobody reads."""

import re
from itertools import pairwise

from dotenv import dotenv_values

import pipelines.settings
import serving.settings
from infra.local.settings import NEEDED
from tests.repo.files import ours, strings, text
from tests.servers import ROOT

EXAMPLE = (ROOT / ".env.example").read_text()
NAMES = set(dotenv_values(ROOT / ".env.example"))
OF_LIBRARIES = ("AWS_", "MLFLOW_")  # boto3 and MLflow read their names by themselves
CODE = [file for file in ours() if file.parts[0] in ("pipelines", "serving", "infra") and file.suffix == ".py"]
COMPOSE = [file for file in ours() if file.name.startswith("docker-compose")]


def read_by_pipelines() -> set[str]:
    fields = pipelines.settings.Settings.model_fields.items()
    return {str(field.validation_alias or name).upper() for name, field in fields}


def read_by_code() -> set[str]:
    """What the rooms' settings declare, what the stack needs, and every string that looks like one of our names."""
    own = re.compile(r"(SERVING|SLIPWAY)_[A-Z0-9_]+|[A-Z0-9]+_PORT")
    literal = {string for file in CODE for string in strings(file) if own.fullmatch(string)} - {"SERVING_"}
    return literal.union(NEEDED, read_by_pipelines(), serving.settings.env_names())


def read_by_compose() -> set[str]:
    return {name for file in COMPOSE for name in re.findall(r"\$\{([A-Z0-9_]+)", text(file))}


def test_every_name_that_is_read_is_in_the_example() -> None:
    assert read_by_code() | read_by_compose() <= NAMES


def test_every_name_in_the_example_is_read() -> None:
    later = set() if COMPOSE else {name for name in NAMES if name.startswith("POSTGRES_")}
    unread = NAMES - read_by_code() - read_by_compose() - later

    assert not {name for name in unread if not name.startswith(OF_LIBRARIES)}


def test_every_name_has_a_comment_above_it() -> None:
    """Names in a row may share one; a blank line ends its reach."""
    lines = ["", *EXAMPLE.splitlines()]
    bare = [line for before, line in pairwise(lines) if re.match(r"[A-Z]", line) and not before]

    assert not bare


def test_secrets_in_the_example_are_placeholders() -> None:
    secrets = {name: value for name, value in dotenv_values(ROOT / ".env.example").items() if is_secret(name)}

    assert "AWS_SECRET_ACCESS_KEY" in secrets
    assert not {name for name, value in secrets.items() if value and not value.startswith("change-me")}


def is_secret(name: str) -> bool:
    """SLIPWAY_SIGNING_KEY is the name of a file."""
    return name.endswith(("_KEY", "_PASSWORD", "_SECRET", "_TOKEN")) and name != "SLIPWAY_SIGNING_KEY"
