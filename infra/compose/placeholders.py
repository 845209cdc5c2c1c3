"""Refuse to start while a secret is still a placeholder and the place is not `local`.

`python -m infra.compose.placeholders` is the first job of docker-compose.yml; everything else waits for it to succeed.
"""

import os
import sys
from pathlib import Path

from infra.local.errors import StackError
from infra.local.settings import Settings


def main() -> None:
    try:
        Settings(Path.cwd(), os.environ, fingerprint="").refuse_placeholders()
    except StackError as refusal:
        sys.exit(f"slipway: {refusal}")


if __name__ == "__main__":
    main()
