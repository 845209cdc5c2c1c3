import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serving.store import holds
from tests.servers import ROOT


class Holder:
    """Whatever answers with a folder."""


def test_a_folder_is_held_for_as_long_as_one_holder_is_there(tmp_path: Path) -> None:
    assert not holds.held(tmp_path)
    one, other = Holder(), Holder()
    holds.hold(tmp_path, one)
    holds.hold(tmp_path, other)

    del one
    assert holds.held(tmp_path)
    del other
    assert not holds.held(tmp_path)


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_asking_holds_nothing(tmp_path: Path) -> None:
    before = handles()
    for _ in range(3):
        assert not holds.held(tmp_path)

    assert handles() == before


def test_what_another_process_held_is_free_once_that_was_killed(tmp_path: Path) -> None:
    program = f"""
import sys, time
from pathlib import Path
from serving.store import holds

class Holder: pass
holder = Holder()
holds.hold(Path({str(tmp_path)!r}), holder)
print("held", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert holds.held(tmp_path)
        other.send_signal(signal.SIGKILL)

    assert not holds.held(tmp_path)


def test_a_folder_that_is_gone_is_not_held_and_cannot_be(tmp_path: Path) -> None:
    assert not holds.held(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        holds.hold(tmp_path / "gone", Holder())
