"""The whole path: `dvc repro`, then `dvc push`; and what a wiped server or folder lost is made again.

DVC looks at files only: it cannot see that MLflow lost its database or its bucket, and would go on believing in runs
that are gone; so this looks there too. `make train`, `make demo` and `mlflow run .` call it.
"""

import subprocess
import sys
from pathlib import Path

import yaml

from pipelines import tracking
from pipelines.errors import StageFailed, run
from pipelines.progress import say
from pipelines.records import RUNS, VERSION, Registered, Runs
from pipelines.settings import load_settings

LOCK = Path("dvc.lock")
CACHE = Path(".dvc/cache/files/md5")


def main() -> None:
    tracking.connect(load_settings())
    if _lost_objects():
        say("path: the DVC cache has gaps; fetching what the remote has")
        _dvc("fetch", "--quiet", may_fail=True)  # what the remote lacks too is made again below
    _dvc("repro", "train")
    if RUNS.exists() and not tracking.have_runs(Runs.model_validate_json(RUNS.read_text())):
        say("path: MLflow has lost the runs of these models; training again")
        _dvc("repro", "--force", "--single-item", "train")
    _dvc("repro")
    if not tracking.has_version(Registered.model_validate_json(VERSION.read_text())):
        say("path: the registry has lost the version; registering again")
        _dvc("repro", "--force", "--single-item", "register")
    _dvc("push")


def _lost_objects() -> bool:
    """Does the cache lack anything that dvc.lock names?"""
    stages = yaml.safe_load(LOCK.read_text())["stages"] if LOCK.exists() else {}
    outs = [out for stage in stages.values() for out in stage.get("outs", [])]
    return any(not (CACHE / out["md5"][:2] / out["md5"][2:]).exists() for out in outs if out["path"] not in _uncached())


def _uncached() -> set[str]:
    """Outputs that dvc.yaml keeps out of the cache: reports, which are small and made again."""
    stages = yaml.safe_load(Path("dvc.yaml").read_text())["stages"].values()
    kept = [out for stage in stages for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    return {path for out in kept if isinstance(out, dict) for path, how in out.items() if how.get("cache") is False}


def _dvc(*words: str, may_fail: bool = False) -> None:
    """DVC speaks for itself; so does the stage that failed, just above."""
    failed = subprocess.run([sys.executable, "-m", "dvc", *words], check=False, capture_output=may_fail).returncode
    if failed and not may_fail:
        raise StageFailed(f"`dvc {' '.join(words)}` failed; the reason is above")


if __name__ == "__main__":
    run(main)
