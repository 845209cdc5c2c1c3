"""Refuse to start with settings that must not be: a placeholder secret outside `local`, or trust in nobody's signature.

`python -m infra.compose.placeholders` is the first job of docker-compose.yml; everything else waits for it to succeed.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.errors import StackError
from infra.local.settings import Settings


def main() -> None:
    try:
        Settings(Path.cwd(), os.environ, fingerprint="").refuse_placeholders()
        _refuse_trust_without_keys(os.environ)
    except StackError as refusal:
        sys.exit(f"slipway: {refusal}")


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
