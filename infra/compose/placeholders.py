"""Refuse to start with settings that must not be: a placeholder secret outside `local`, a password that is too short,
or trust in nobody's signature.

`python -m infra.compose.placeholders` is the first job of docker-compose.yml; everything else waits for it to succeed.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.errors import StackError
from infra.local.settings import Settings

LEAST = {"MLFLOW_TRACKING_PASSWORD": 12, "MLFLOW_SERVING_PASSWORD": 12}  # nosec B105 - how long, not which
LEAST |= dict.fromkeys(("S3_ROOT_PASSWORD", "S3_MLFLOW_PASSWORD", "S3_SERVING_PASSWORD", "AWS_SECRET_ACCESS_KEY"), 8)
"""Characters that MLflow and MinIO ask for; with fewer they would be started again and again."""


def main() -> None:
    try:
        Settings(Path.cwd(), os.environ, fingerprint="").refuse_placeholders()
        _refuse_short(os.environ)
        _refuse_trust_without_keys(os.environ)
    except StackError as refusal:
        sys.exit(f"slipway: {refusal}")


def _refuse_short(env: Mapping[str, str]) -> None:
    """StackError."""
    if short := [f"{name} (at least {least})" for name, least in LEAST.items() if 0 < len(env.get(name, "")) < least]:
        raise StackError(f"too few characters in .env: {', '.join(short)}")


def _refuse_trust_without_keys(env: Mapping[str, str]) -> None:
    """StackError; serving would say the same, again and again as it is restarted."""
    if env.get("SERVING_TRUST") == "signed" and not env.get("SERVING_TRUST_KEYS"):
        raise StackError(
            "SERVING_TRUST is signed in containers unless .env says otherwise, and SERVING_TRUST_KEYS is empty, so no "
            "version could be served: `make compose-up` makes a key and fills it in, `python -m pipelines.keys` prints "
            "the line for .env; SERVING_TRUST=digest serves unsigned versions"
        )


if __name__ == "__main__":
    main()
