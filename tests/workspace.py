"""A copy of the project that a test may work in: its own git repository, DVC cache, model name and experiment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.servers import ROOT

SMALL: dict[str, Any] = {  # enough to be worth measuring, quick enough to be trained in every test run
    "train.forest.trees": 10,
    "train.boosting.iterations": 20,
    "train.network.hidden": [16],
    "train.network.epochs": 8,
    "train.network.patience": 3,
}


@dataclass(frozen=True)
class Workspace:
    """`env` is what its commands run with."""

    folder: Path
    env: Mapping[str, str]

    def run(self, *words: str, fails: bool = False) -> str:
        """What `python -m WORDS` printed; AssertionError unless it ended as told."""
        return self.command(sys.executable, "-m", *words, fails=fails)

    def command(self, *words: str, fails: bool = False) -> str:
        done = subprocess.run(
            words, cwd=self.folder, env=dict(self.env), capture_output=True, text=True, check=False, timeout=600
        )
        said = done.stdout + done.stderr
        assert bool(done.returncode) is fails, f"{words} ended with {done.returncode}:\n{said[-5000:]}"
        return said

    def git(self, *words: str) -> str:
        return self.command("git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", *words).strip()

    def set(self, changes: Mapping[str, Any]) -> None:
        """Edit params.yaml: `section.name` -> value; None takes the name away."""
        path = self.folder / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        for name, value in changes.items():
            *sections, last = name.split(".")
            branch = tree
            for section in sections:
                branch = branch[section]
            if value is None:
                branch.pop(last)
            else:
                branch[last] = value
        path.write_text(yaml.safe_dump(tree, sort_keys=False))


def make(folder: Path, env: Mapping[str, str], *, model: str, params: Mapping[str, Any] = SMALL) -> Workspace:
    """The project as it is in the work tree, committed, in `folder`; `model` names its registered model."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    workspace = Workspace(
        folder, {**env, "MLFLOW_EXPERIMENT_NAME": model, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}
    )
    workspace.set({"register.model": model, **params})
    workspace.git("init", "--quiet")
    for name, value in (("user.name", "tests"), ("user.email", "tests@localhost")):  # what DVC itself commits by
        workspace.git("config", name, value)
    workspace.git("add", "--all")
    workspace.git("commit", "--quiet", "--message", "start")
    return workspace


def quiet_environment() -> dict[str, str]:
    """This process's environment without names that lead to a stack; for commands that need none."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_", "SERVING_"))}
