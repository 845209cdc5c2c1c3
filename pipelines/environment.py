"""The environment that a lock describes: is this one it, and if not, make it. Locks are requirements/*.txt."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import which

from packaging.requirements import Requirement

from pipelines.errors import NotReproducible
from pipelines.progress import say


def apart(lock: str) -> list[str]:
    """What differs between the text of a lock and what is installed here, a package each; empty when nothing does.

    `2.13.0+cpu` is 2.13.0: which build of PyTorch is installed is decided outside the lock.
    """
    return [said for wanted in _wanted(lock) if (said := _difference(wanted))]


def minor(python: str) -> str:
    """3.11 of 3.11.7: patches change no result."""
    return ".".join(python.split(".")[:2])


def build(lock: Path, python: str, folder: Path) -> Path:
    """The interpreter of a new virtual environment in `folder` with what `lock` pins; else NotReproducible."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else which("uv")
    if uv is None:
        raise NotReproducible("this is not the locked environment, and there is no uv to make it: pip install uv")
    say(f"reproduce: making the locked environment with uv, Python {minor(python)}")
    found, names = folder / "bin/python", _uv_names()
    _run([uv, "venv", "--quiet", "--python", minor(python), str(folder)], names)
    _run([uv, "pip", "install", "--python", str(found), *_pytorch(), "--requirements", str(lock)], names)
    return found


def _wanted(lock: str) -> Iterator[Requirement]:
    """Of this platform: a universal lock names other platforms' packages too."""
    for line in lock.splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate():
            yield wanted


def _difference(wanted: Requirement) -> str:
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} is missing"
    return (
        "" if wanted.specifier.contains(found, prereleases=True) else f"{wanted.name} {found}, not {wanted.specifier}"
    )


def _uv_names() -> dict[str, str]:
    """uv reads none of pip's variables by itself; the same as infra/setup.sh."""
    index = os.environ.get("PIP_INDEX_URL")
    return {**os.environ, **({"UV_DEFAULT_INDEX": index} if index and "UV_DEFAULT_INDEX" not in os.environ else {})}


def _pytorch() -> list[str]:
    """Where PyTorch comes from: the build asked for, a folder of wheels that has it, or its own index for CPUs."""
    if backend := os.environ.get("TORCH_BACKEND"):
        return ["--torch-backend", backend]
    for folder in os.environ.get("PIP_FIND_LINKS", "").split():
        if any(Path(folder).glob("torch-*.whl")):
            return ["--find-links", folder]
    return ["--torch-backend", "cpu"]


def _run(words: list[str], env: dict[str, str]) -> None:
    """uv shows its own progress, and says itself why it failed."""
    if subprocess.run(words, env=env, check=False).returncode:
        raise NotReproducible(f"the locked environment could not be made: `{' '.join(words[:3])}` failed; see above")
