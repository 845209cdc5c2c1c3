"""Is a version's data on the DVC remote? Asked of DVC's own filesystem for it, with the settings in .dvc/config.

Whatever kind of remote it is: S3, a folder, any that DVC has a plugin for. One that does not answer is told as such.
"""

from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from pipelines.data import without_secrets

PATIENCE_SECONDS = 30.0
SHOWN = 200
"""Characters of somebody else's error message."""


def missing(url: str, *, folder: Path = Path(), seconds: float = PATIENCE_SECONDS) -> str | None:
    """Why the object that lineage calls `url` cannot be had; None when it is there. Asks for at most `seconds`."""
    said: SimpleQueue[str | None] = SimpleQueue()
    # A thread, not a setting: not every kind of remote has a timeout. It ends with the process.
    Thread(target=lambda: said.put(_missing(url, folder)), daemon=True).start()
    try:
        return said.get(timeout=seconds)
    except Empty:
        return f"the DVC remote did not say within {seconds:g} s whether it has {url}; see that it is up, and try again"


def _missing(url: str, folder: Path) -> str | None:
    try:
        found = _remote(url, folder)
        if found is None:
            return f"no remote in .dvc/config is the one it was pushed to, {url}; `dvc remote add` names it again"
        filesystem, path = found
        return None if filesystem.exists(path) else f"{url} is not there; `dvc push` uploads it"
    except Exception as cause:  # noqa: BLE001 - every kind of remote fails in its own way
        text = without_secrets(" ".join(str(cause).split()))[:SHOWN]
        return f"the DVC remote cannot be asked for {url} ({type(cause).__name__}: {text}); see that it is up"


def _remote(url: str, folder: Path) -> tuple[Any, str] | None:
    """The filesystem of the remote that `url` is on, and where the object is in it."""
    from dvc.config import Config
    from dvc.fs import get_cloud_fs

    config = Config(str(folder / ".dvc"))
    for name, told in _as_written(folder, Config.load_file).items():
        head = f"{without_secrets(told).rstrip('/')}/"
        if url.startswith(head) and name in config["remote"]:
            kind, settings, root = get_cloud_fs(config, name=name)
            filesystem = kind(**settings)
            return filesystem, filesystem.join(root, *url.removeprefix(head).split("/"))
    return None


def _as_written(folder: Path, load: Callable[[str], dict[str, Any]]) -> dict[str, str]:
    """The address of every remote, as lineage records it: DVC itself makes other ones of relative paths."""
    found: dict[str, str] = {}
    for name in ("config", "config.local"):
        path = folder / ".dvc" / name
        remotes = load(str(path)).get("remote", {}) if path.exists() else {}
        found |= {remote: told["url"] for remote, told in remotes.items() if "url" in told}
    return found
