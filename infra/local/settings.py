"""Read the local stack's settings: `.env` in the current folder, over which the real environment wins.

Read once, in `__main__`; everything else is handed a `Settings`.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from dotenv.main import DotEnv

from infra.local.errors import StackError

NEEDED = (
    *("SLIPWAY_ENV", "SLIPWAY_STATE", "S3_PORT", "MLFLOW_PORT", "SERVING_PORT", "SERVING_GRPC_PORT"),
    "SERVING_HOST",
    *("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"),
)

CLIENTS = frozenset(
    {"SLIPWAY_API_KEY", "SLIPWAY_SERVING_URL", "SLIPWAY_SIGNING_KEY", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_ENV_ROOT"}
)
"""Names that no program of the stack reads: who calls it, or runs the pipelines, may change them at any time."""


@dataclass(frozen=True)
class Settings:
    """`env` is what the programs run with; `fingerprint` changes when one of the names in `.env` does that they read.

    `overruled` are those of these names for which the environment has another value than `.env`.
    """

    root: Path
    env: Mapping[str, str] = field(repr=False)
    fingerprint: str
    overruled: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        """Everything the stack keeps, absolute."""
        return Path(self.env["SLIPWAY_STATE"])

    def port(self, name: str) -> int:
        text = self.env[name]
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
            raise StackError(f"{name} must be a port, a number from 1 to 65535; it is {text!r} (change it in .env)")
        return int(text)

    def log(self, program: str) -> Path:
        return self.state / "logs" / f"{program}.log"

    def warning(self) -> str:
        """For who has edited `.env` and wonders why nothing changes; empty when `.env` counts. Names no value: some are
        secret."""
        if not self.overruled:
            return ""
        other = "another value, which counts" if len(self.overruled) == 1 else "other values, which count"
        return (
            f".env says {', '.join(self.overruled)}, but this shell exports {other}: "
            f"`unset {' '.join(self.overruled)}`, or open a new shell"
        )

    def refuse_placeholders(self) -> None:
        """StackError when a placeholder secret is about to leave a developer's machine."""
        place = self.env["SLIPWAY_ENV"]
        secrets = sorted(name for name in self.env if name.endswith(("_KEY", "_PASSWORD", "_SECRET")))
        placeholders = [name for name in secrets if self.env[name].startswith("change-me")]
        if place != "local" and placeholders:
            raise StackError(
                f"SLIPWAY_ENV is {place}, not local, and {', '.join(placeholders)} still begins with change-me: "
                "set a secret of your own in .env"
            )


def load(root: Path) -> Settings:
    """StackError when a name is missing."""
    # Not dotenv_values(): there `${S3_PORT}` would mean the file's port even when the environment has another.
    written = {name: value for name, value in DotEnv(root / ".env", override=False).dict().items() if value is not None}
    env = {**written, **os.environ}
    if missing := [name for name in NEEDED if not env.get(name)]:
        raise StackError(f"{', '.join(missing)} not set: copy from .env.example to .env what is missing there")
    env["SLIPWAY_STATE"] = str((root / env["SLIPWAY_STATE"]).resolve())
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    overruled = (
        name for name, value in written.items() if name not in CLIENTS and os.environ.get(name, value) != value
    )
    return Settings(root, env, _fingerprint(env, {*written, *NEEDED} - CLIENTS), tuple(sorted(overruled)))


def _fingerprint(env: Mapping[str, str], names: Iterable[str]) -> str:
    return sha256(json.dumps([[name, env[name]] for name in sorted(names)]).encode()).hexdigest()[:12]
