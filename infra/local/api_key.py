"""Make the first API keys, so that containers, which ask for one, have somebody to answer.

`python -m infra.local.api_key` is part of `make compose-up`. It makes one key that may do everything and fills it into
the empty line SLIPWAY_API_KEY of .env, where this machine's clients look for it; and one that may read /metrics, for
Prometheus. What is there already stays.
"""

import subprocess
import sys
from pathlib import Path

from dotenv import set_key

from infra.local import settings
from infra.local.errors import StackError
from infra.local.settings import Settings

NAME = "SLIPWAY_API_KEY"
FOLDER, KEYS, TOKEN = Path(".slipway/access"), "keys.json", "scrape-token"
"""As `python -m serving keys` has it, and docker-compose.yml."""


def main() -> None:
    try:
        here = settings.load(Path.cwd())
        folder = here.root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # whatever the umask: containers are other users, and what is in it opens nothing
        if not (folder / TOKEN).is_file():
            # Prometheus's container is another user; whoever reads it can read /metrics, and nothing else.
            (folder / TOKEN).write_text(made(here, folder / KEYS, "Prometheus", "metrics") + "\n")
        (folder / TOKEN).chmod(0o644)
        if not here.env.get(NAME):
            fill_in(here, made(here, folder / KEYS, "whoever made .env", "admin"))
    except (StackError, OSError) as failure:
        sys.exit(f"slipway: {failure}")


def made(here: Settings, path: Path, name: str, scopes: str) -> str:
    """A key, which is in `path` from now on. StackError."""
    words = ("--file", str(path), "create", "--name", name, "--scopes", scopes)
    done = subprocess.run(
        [sys.executable, "-m", "serving", "keys", *words], cwd=here.root, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise StackError("`python -m serving keys` made no key; the reason is above")
    return done.stdout.strip()


def fill_in(here: Settings, key: str) -> None:
    """StackError."""
    try:
        set_key(here.root / ".env", NAME, key, quote_mode="never", follow_symlinks=True)
    except OSError as error:
        raise StackError(f".env: {error.strerror}; add the line {NAME}={key}") from error
    sys.stderr.write(f"slipway: .env now has it as {NAME}: `Authorization: Bearer ${NAME}` asks the containers\n")


if __name__ == "__main__":
    main()
