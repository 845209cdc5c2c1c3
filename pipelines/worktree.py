"""The code of a run in a folder of its own: a git worktree at its commit, with its uncommitted change put back.

The checkout, branch, index and stash of whoever asks are left alone.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import lineage
from pipelines.errors import NotReproducible
from pipelines.progress import say

# Hooks are for people: DVC's would check data out into the worktree, another may run a whole test suite.
GIT = ("git", "-c", "core.hooksPath=/dev/null")


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
        if keep:
            say(f"reproduce: kept {folder}; `git worktree remove --force {folder}` when it is done with")
        else:
            _git(Path(), "worktree", "remove", "--force", str(folder))


def head(folder: Path) -> str:
    return _git(folder, "rev-parse", "HEAD")


def tree(folder: Path) -> str:
    """Git's name for the files in `folder`, to be compared with a run's `slipway.git.tree`."""
    return lineage.change(folder)[1]


def has(commit: str) -> bool:
    return _ask("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def file_at(commit: str, path: Path) -> bytes | None:
    """The content of a committed file; None where this clone has no such commit or file."""
    found = _ask("cat-file", "blob", f"{commit}:./{path.as_posix()}")
    return found.stdout if found.returncode == 0 else None


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
        raise NotReproducible(f"`git {' '.join(words[:2])}` failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout.strip()


def _ask(*words: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *words], capture_output=True, check=False)
    except FileNotFoundError as missing:
        raise NotReproducible("there is no git on the PATH") from missing
