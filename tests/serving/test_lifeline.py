import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import psutil
import pytest

from serving import lifeline
from tests.servers import ROOT, eventually

CHILD = "import sys, signal; from serving import lifeline; lifeline.end_with_parent(sys.argv); print(1); signal.pause()"
PARENT = f"""
import os, signal, subprocess, sys
from serving.lifeline import FLAG
end, held = os.pipe()
child = subprocess.Popen([sys.executable, "-uc", {CHILD!r}, FLAG, str(end)], pass_fds=[end], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def parent() -> Iterator["subprocess.Popen[bytes]"]:
    """Prints the number of its child, which is ready to see it go."""
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE) as running:
        yield running
        running.kill()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_however_that_ended(
    parent: "subprocess.Popen[bytes]", end: signal.Signals
) -> None:
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))

    parent.send_signal(end)

    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_child_is_asked_to_end_and_not_killed() -> None:
    end, held = os.pipe()
    command = [sys.executable, "-uc", CHILD, lifeline.FLAG, str(end)]
    with subprocess.Popen(command, cwd=ROOT, pass_fds=[end], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.close(end)
        assert child.poll() is None

        os.close(held)

        assert child.wait(20) == -signal.SIGTERM


def test_a_program_that_somebody_typed_has_no_lifeline() -> None:
    lifeline.end_with_parent(["serving.worker", "--listen", "3"])

    assert "lifeline" not in {thread.name for thread in threading.enumerate()}
