"""A real fork server for the tests of this folder, and versions that do what a test says."""

import gc
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from serving.admission.rules import Rules
from serving.lifeline import FLAG
from serving.supervisor import ONE_THREAD
from tests.servers import ROOT, eventually
from tests.serving.twins import X_AND_SIZE, write_mlmodel

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith(("SERVING_", "MLFLOW_"))},
    "PYTHONPATH": str(ROOT),
    "SERVING_MODELS": "iris",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    "SERVING_LOG_LEVEL": "error",
    **ONE_THREAD,
}
WITH_CODE = Rules(code=True)
"""For `a_pyfunc`."""


@dataclass
class Forking:
    """A fork server: its process, the socket to it, and what it and its hosts say."""

    process: "subprocess.Popen[bytes]"
    door: Path
    log: Path
    let_go: Callable[[], None]
    """What its parent's end does."""

    @property
    def counted(self) -> Path:
        """The folder of what it counts."""
        return self.door.parent / "fork-server"

    def hosts(self) -> set[int]:
        return {each.pid for each in psutil.Process(self.process.pid).children() if alive(each)}


def alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


@pytest.fixture(scope="module")
def new_fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Forking]]:
    with ExitStack() as held:

        def start() -> Forking:
            # Not pytest's own: the path of a socket is a hundred letters long at most.
            door = Path(held.enter_context(TemporaryDirectory())) / "hosts"
            log = tmp_path_factory.mktemp("forkserver") / "log"
            ending, writing = os.pipe()
            parent = held.enter_context(os.fdopen(writing, "wb"))
            with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as output:
                listener.bind(str(door))
                listener.listen()
                command = [sys.executable, "-m", "serving.hosting.forkserver", "--hosts", str(listener.fileno())]
                command += ["--counted", str(door.parent / "fork-server")]
                process = subprocess.Popen(
                    [*command, FLAG, str(ending)],
                    env=ENVIRONMENT,
                    stdout=output,
                    stderr=output,
                    pass_fds=(listener.fileno(), ending),
                )
            os.close(ending)
            held.callback(_end, process)
            return Forking(process, door, log, parent.close)

        yield start


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(20)


@pytest.fixture(scope="module")
def shared_fork_server(new_fork_server: Callable[[], Forking]) -> Forking:
    return new_fork_server()


@pytest.fixture
def forking(shared_fork_server: Forking) -> Forking:
    """One for all tests that do not end it; the hosts of the test before are gone."""

    def idle() -> bool:
        gc.collect()
        return not shared_fork_server.hosts()

    eventually(idle)
    return shared_fork_server


def a_pyfunc(folder: Path, loading: str = "pass", predicting: str = "pass") -> Path:
    """A version that does what `loading` and `predicting` say, then answers `x`; each has a module of its own."""
    module = f"loader_of_{folder.parent.name}_{folder.name}"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / f"{module}.py").write_text(
        f"""
import os, signal, threading

class Model:
    def predict(self, rows, params=None):
        x = rows["x"].to_numpy()
        {predicting}
        return x

def _load_pyfunc(path):
    {loading}
    return Model()
"""
    )
    write_mlmodel(folder, X_AND_SIZE)
    about = json.loads((folder / "MLmodel").read_text())
    about["flavors"] = {"python_function": {"loader_module": module, "code": "code", "env": {}}}
    (folder / "MLmodel").write_text(json.dumps(about))
    (folder / "serving_input_example.json").write_text('{"dataframe_records": [{"x": 1.0, "size": 2.0}]}')
    return folder
