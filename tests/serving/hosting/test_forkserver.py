import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from serving.errors import PredictionFailed, VersionRefused
from serving.hosting.hosted import Hosts
from serving.metrics import exposition, merged, now
from tests.servers import eventually
from tests.serving.hosting.conftest import WITH_CODE, Forking, a_pyfunc, alive
from tests.serving.hosting.test_hosted import ONE_ROW
from tests.serving.samples import read


def gone(pids: set[int]) -> bool:
    return not any(psutil.pid_exists(pid) and alive(psutil.Process(pid)) for pid in pids)


def sockets(pid: int) -> int:
    """How many it has, counting one that it has twice once."""
    targets = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return sum(target.startswith("socket:") for target in targets)


def test_a_host_finds_the_libraries_imported(forking: Forking, tmp_path: Path) -> None:
    wanted = "{'mlflow.pyfunc', 'sklearn', 'skops.io', 'pandas'} - set(__import__('sys').modules)"
    loading = f"missing = {wanted}\n    if missing or '_load_pyfunc' not in globals(): raise OSError(missing)"

    Hosts(forking.door, rules=WITH_CODE).attempt(a_pyfunc(tmp_path / "model", loading))


def test_a_host_has_nothing_of_the_others(forking: Forking, tmp_path: Path) -> None:
    """Neither the socket that leads to the fork server nor the line to another host."""
    hosts = Hosts(forking.door, rules=WITH_CODE)
    models = [hosts.load(a_pyfunc(tmp_path / f"model{number}")) for number in range(3)]

    assert [sockets(pid) for pid in forking.hosts()] == [1, 1, 1]
    assert len(models) == 3


@pytest.mark.parametrize("how", ["SIGTERM", "the parent's end"])
def test_it_ends_when_told_to_and_takes_stuck_hosts_along(
    new_fork_server: Callable[[], Forking], tmp_path: Path, how: str
) -> None:
    forking = new_fork_server()
    model = Hosts(forking.door, rules=WITH_CODE).load(a_pyfunc(tmp_path / "model"))
    hosts = forking.hosts()
    assert len(hosts) == 1

    if how == "SIGTERM":
        forking.process.send_signal(signal.SIGTERM)
    else:
        forking.let_go()

    assert forking.process.wait(20) == 0
    eventually(lambda: gone(hosts))
    with pytest.raises(PredictionFailed):
        model.predict(ONE_ROW)


def test_hosts_outlive_a_fork_server_that_was_killed(new_fork_server: Callable[[], Forking], tmp_path: Path) -> None:
    forking = new_fork_server()
    model = Hosts(forking.door, rules=WITH_CODE).load(a_pyfunc(tmp_path / "model"))
    (host,) = forking.hosts()

    forking.process.kill()
    forking.process.wait(20)

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]
    del model
    eventually(lambda: gone({host}))


def test_a_control_c_of_the_terminal_ends_neither_it_nor_a_host(forking: Forking, tmp_path: Path) -> None:
    model = Hosts(forking.door, rules=WITH_CODE).load(a_pyfunc(tmp_path / "model"))

    for pid in (forking.process.pid, *forking.hosts()):
        os.kill(pid, signal.SIGINT)

    assert model.predict(ONE_ROW).outputs[0].tolist() == [2]
    Hosts(forking.door, rules=WITH_CODE).attempt(a_pyfunc(tmp_path / "another"))


def test_without_a_free_descriptor_it_waits_and_goes_on(forking: Forking, tmp_path: Path) -> None:
    folder, server = a_pyfunc(tmp_path / "model"), psutil.Process(forking.process.pid)
    soft, hard = server.rlimit(psutil.RLIMIT_NOFILE)
    server.rlimit(psutil.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(VersionRefused, match="within 1 s"):
            Hosts(forking.door, rules=WITH_CODE, patience_seconds=1).attempt(folder)
    finally:
        server.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))

    Hosts(forking.door, rules=WITH_CODE).attempt(folder)

    assert forking.process.poll() is None
    assert "nobody welcomed" in forking.log.read_text()


def test_it_counts_hosts_and_those_that_died_though_they_were_wanted(
    new_fork_server: Callable[[], Forking], tmp_path: Path
) -> None:
    forking = new_fork_server()
    hosts = Hosts(forking.door, rules=WITH_CODE)

    def counted() -> tuple[float, float, set[int]]:
        """Started, died, and which run."""
        text, _ = exposition.text(merged.of_all(forking.counted.parent), "")
        running = set(now.told(forking.counted, forking.process.pid).hosts)
        started, died = (read(text.decode()).value(f"slipway_hosts_{what}_total") for what in ("started", "died"))
        return started, died, running

    hosts.attempt(a_pyfunc(tmp_path / "good"))
    with pytest.raises(VersionRefused):
        hosts.attempt(a_pyfunc(tmp_path / "bad", "raise OSError"))
    model = hosts.load(a_pyfunc(tmp_path / "model"))
    eventually(lambda: counted() == (3, 0, forking.hosts()))

    (running,) = forking.hosts()
    os.kill(running, signal.SIGKILL)
    eventually(lambda: counted() == (3, 1, set()))
    with pytest.raises(VersionRefused):
        hosts.attempt(a_pyfunc(tmp_path / "crashing", "os.abort()"))

    eventually(lambda: counted() == (4, 2, set()))
    unwanted = hosts.load(a_pyfunc(tmp_path / "unwanted"))
    (stopped,) = forking.hosts()
    os.kill(stopped, signal.SIGSTOP)  # it cannot end by itself: the fork server kills it
    del model, unwanted
    gc.collect()
    eventually(lambda: counted() == (5, 2, set()))
