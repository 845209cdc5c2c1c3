"""The code of a run in a folder of its own: a git worktree at its commit, with its uncommitted change put back.

The checkout, branch, index and stash of whoever asks are left alone.
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import lineage
from pipelines.errors import NotReproducible
from pipelines.progress import say

COMMIT = re.compile(r"[0-9a-f]{40,64}")
"""Whatever else a tag says must not become an option of git."""
GIT = ("git", "-c", "core.hooksPath=/dev/null")
"""Hooks are for people: DVC's would check data out into the worktree, another may run a whole test suite."""


@contextmanager
def checked_out(commit: str, patch: bytes, folder: Path, *, keep: bool = False) -> Iterator[Path]:
    """The project in a worktree at `folder`, which must not exist yet; removed at the end unless it is to be kept.

    NotReproducible when this clone lacks the commit, or the patch does not fit it.
    """
    _want(commit)
    prefix = _git(Path(), "rev-parse", "--show-prefix")  # the project may be a folder of a larger repository
    _git(Path(), "worktree", "add", "--quiet", "--detach", str(folder), commit)
    try:
        if patch:
            _apply(patch, folder)
        yield folder / prefix
    finally:
        remove = ["worktree", "remove", "--force", str(folder)]
        if keep:
            say(f"reproduce: kept {folder}; `git {shlex.join(remove)}` when it is done with")
        elif _ask(*remove).returncode:  # not raised: why it all ended matters more
            say(f"reproduce: {folder} could not be removed; `git {shlex.join(remove)}`")


def head(folder: Path) -> str:
    return _git(folder, "rev-parse", "HEAD")


def tree(folder: Path) -> str:
    """Git's name for the files in `folder`, to be compared with a run's `slipway.git.tree`."""
    return lineage.change(folder)[1]


def has(commit: str) -> bool:
    return COMMIT.fullmatch(commit) is not None and _ask("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def file_at(commit: str, path: Path) -> bytes | None:
    """The content of a committed file; None where this clone has no such commit or file."""
    found = _ask("cat-file", "blob", f"{commit}:./{path.as_posix()}") if has(commit) else None
    return found.stdout if found is not None and found.returncode == 0 else None


def _want(commit: str) -> None:
    if _ask("rev-parse", "--git-dir").returncode:
        raise NotReproducible(f"{Path.cwd()} is no clone of the project's git repository; run this in one")
    if has(commit):
        return
    shallow = _ask("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
    how = (
        "it is a shallow one: `git fetch --unshallow`"
        if shallow
        else "`git fetch --all`; if that brings it not, whoever made the version has not pushed it"
    )
    raise NotReproducible(f"this clone does not have commit {commit}; {how}")


def _apply(patch: bytes, folder: Path) -> None:
    done = subprocess.run(
        [*GIT, "apply", "--whitespace=nowarn", "-"], cwd=folder, input=patch, capture_output=True, check=False
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[:1]
        raise NotReproducible(f"its uncommitted change does not fit its commit: {''.join(reason)}")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run([*GIT, *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReproducible(f"`git {' '.join(words[:2])}` failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout.strip()


def _ask(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *words], capture_output=True, check=False)
    except FileNotFoundError as missing:
        raise NotReproducible("there is no git on the PATH") from missing
