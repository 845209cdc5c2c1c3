"""Where a run came from: code, data, parameters, environment. Written as tags; `reproduce` goes back by them.

python -m pipelines.lineage VERSION      version, run, commit, data and environment, and what of it can be had here
python -m pipelines.lineage --data MD5   every run and version that saw this data, and which one serves

The identity of data is DVC's md5, not MLflow's dataset digest, which reads 10,000 rows at most.
"""

import hashlib
import json
import os
import subprocess
import tempfile
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from pipelines.data import without_secrets
from pipelines.errors import run
from pipelines.settings import Params

LOCK = Path("requirements/pipelines.txt")
WRITTEN_BY_RUNS = ("dvc.lock",)
"""A run changes these itself; they do not make its code dirty."""
SECRETS = (".env*", "*/.env*", "*.pem", "*.key")
"""Never part of a patch: it is published with the run."""
LARGEST_PATCH = 5_000_000


@dataclass(frozen=True)
class Lineage:
    """Everything a version says about its origin."""

    commit: str
    tree: str
    """What git calls the files as they were run, the uncommitted change included; empty without git."""
    patch: bytes
    """The uncommitted change; empty when there is none, and when it is too large to be kept."""
    patch_bytes: int
    """How large it is, kept or not."""
    data_md5: str
    data_url: str
    params_hash: str
    lock_hash: str

    @property
    def dirty(self) -> bool:
        return self.patch_bytes > 0

    def tags(self) -> dict[str, str]:
        """By the names that the MLflow UI shows; `mlflow.source.git.commit` is the one MLflow itself links."""
        too_large = f"too large ({self.patch_bytes / 1e6:.1f} MB), not kept"
        patch = {"slipway.git.patch": "attached" if self.patch else too_large} if self.dirty else {}
        return patch | {
            "slipway.git.commit": self.commit,
            "slipway.git.tree": self.tree,
            "slipway.git.dirty": str(self.dirty).lower(),
            "slipway.data.md5": self.data_md5,
            "slipway.data.url": self.data_url,
            "slipway.params.sha256": self.params_hash,
            "slipway.lock.sha256": self.lock_hash,
        }


def trace(raw: Path, params: Params, *, folder: Path = Path()) -> Lineage:
    """The lineage of a run made now in `folder` from the raw data file `raw`."""
    patch, tree = change(folder)
    md5 = file_md5(folder / raw)
    return Lineage(
        commit=_commit(folder),
        tree=tree,
        patch=patch if len(patch) <= LARGEST_PATCH else b"",
        patch_bytes=len(patch),
        data_md5=md5,
        data_url=object_url(md5, folder=folder),
        params_hash=params_hash(params),
        lock_hash=hashlib.sha256((folder / LOCK).read_bytes()).hexdigest(),
    )


def file_md5(path: Path) -> str:
    """The md5 that DVC gives a file."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def object_url(md5: str, *, folder: Path = Path()) -> str:
    """Where `dvc push` puts the content with this md5; empty without a default remote."""
    config = ConfigParser()
    config.read([folder / ".dvc/config", folder / ".dvc/config.local"])
    remote = config.get("core", "remote", fallback="")
    url = config.get(f"'remote \"{remote}\"'", "url", fallback="")
    return f"{without_secrets(url).rstrip('/')}/files/md5/{md5[:2]}/{md5[2:]}" if url else ""


def params_hash(params: Params) -> str:
    """The same for the same values, whatever the order or the comments in the file."""
    return hashlib.sha256(json.dumps(params.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def _commit(folder: Path) -> str:
    return _git(folder, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip() or "unknown"


def change(folder: Path) -> tuple[bytes, str]:
    """What `git apply` needs to make HEAD into this work tree, new files included, and git's name for the result.

    Leaves the repository alone. A patch's bytes differ from clone to clone; the tree's name does not.
    """
    theirs = _git(folder, "rev-parse", "--path-format=absolute", "--git-path", "objects").decode().strip()
    with tempfile.TemporaryDirectory() as scratch:
        # Not into the repository's own objects: `git add` copies every new file, however large.
        own = {
            **os.environ,
            "GIT_INDEX_FILE": str(Path(scratch) / "index"),
            "GIT_OBJECT_DIRECTORY": scratch,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": theirs,
        }
        _git(folder, "read-tree", "HEAD", env=own)
        _git(
            folder, "add", "--all", "--", ".", *(f":(exclude){name}" for name in (*WRITTEN_BY_RUNS, *SECRETS)), env=own
        )
        plain = ["--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/"]
        patch = _git(folder, "diff", "--cached", "--binary", *plain, "HEAD", env=own)
        return patch, _git(folder, "write-tree", env=own).decode().strip()


def _git(folder: Path, *words: str, env: dict[str, str] | None = None) -> bytes:
    """What git printed; nothing where there is no git, no repository or no commit yet."""
    try:
        return subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def main() -> None:
    from pipelines.reproduction import ancestry  # what is above is imported by every stage, and must stay light

    ancestry.main(__doc__)


if __name__ == "__main__":
    run(main)
