"""`python -m serving score` as a process."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.servers import eventually
from tests.serving.scoring.files import left_beside


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "serving", "score", *map(str, words)]


def score(env: Mapping[str, str], *words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*words), cwd=cwd, env=dict(env), capture_output=True, text=True, timeout=300, check=False
    )


def stopped(env: Mapping[str, str], *words: str | Path, cwd: Path, parts: int, by: signal.Signals) -> int:
    """The status of a run that gets a signal once there are so many parts; `words` begin with its two files."""
    with subprocess.Popen(command(*words), cwd=cwd, env=dict(env), stderr=subprocess.DEVNULL) as running:
        eventually(lambda: len(left_beside(Path(words[1]))) > parts, seconds=120, every=0.002)
        running.send_signal(by)
        return running.wait(60)
