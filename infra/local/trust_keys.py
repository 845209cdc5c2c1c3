"""Let .env name the public key of whoever signs here, so that containers can serve signed versions only.

`python -m infra.local.trust_keys` is what `make compose-up` and `make image-baked` do first. It fills in the empty line
SERVING_TRUST_KEYS and touches nothing else: a line that names keys stays, and so does a .env that asks for other trust.
"""

import subprocess
import sys
from pathlib import Path

from dotenv import set_key

from infra.local import settings
from infra.local.errors import StackError
from infra.local.settings import Settings

NAME = "SERVING_TRUST_KEYS"
SIGNED = ("", "signed")
"""Values of SERVING_TRUST with which containers want a signature."""


def main() -> None:
    try:
        here = settings.load(Path.cwd())
        if here.env.get("SERVING_TRUST", "") in SIGNED and not here.env.get(NAME):
            fill_in(here)
    except StackError as failure:
        sys.exit(f"slipway: {failure}")


def fill_in(here: Settings) -> None:
    """Make a key where there is none, and have .env name its public half. StackError."""
    asked = subprocess.run(
        [sys.executable, "-m", "pipelines.keys"],
        cwd=here.root,
        env=dict(here.env),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    name, _, keys = asked.stdout.strip().partition("=")
    if asked.returncode or name != NAME:
        raise StackError("`python -m pipelines.keys` made no key; the reason is above")
    try:
        # As `pipelines.keys` prints it, and through a link: what that leads to is meant.
        set_key(here.root / ".env", NAME, keys, quote_mode="never", follow_symlinks=True)
    except OSError as error:
        raise StackError(f".env: {error.strerror}; add the line {NAME}={keys}") from error
    sys.stderr.write(f"slipway: .env now has {NAME}={keys}: containers serve what this key's private half has signed\n")


if __name__ == "__main__":
    main()
