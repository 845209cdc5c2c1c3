import gc
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.errors import PredictionFailed
from serving.hosting.draining import drain
from serving.hosting.hosted import HostedModel, Hosts
from serving.protocol import Rows
from serving.store import holds
from serving.store.versions import Bounds, Store
from tests.fakes import FakeModel, a_version
from tests.servers import eventually
from tests.serving.hosting.conftest import WITH_CODE, Forking, a_pyfunc
from tests.serving.hosting.test_hosted import answers, hosted, x_of

ON_13 = "x[0] == 13 and (print('stuck', flush=True), {})"
STUCK = ON_13.format("threading.Event().wait()")
STUCK_IN_C = ON_13.format("__import__('ctypes').PyDLL(None).sleep(600)")


@pytest.fixture
def hosts(forking: Forking) -> Hosts:
    return Hosts(forking.door, rules=WITH_CODE)


def asked(model: HostedModel, rows: Rows, forking: Forking) -> tuple[threading.Thread, list[str]]:
    """A caller whose request is stuck in the model by now."""
    before, told = forking.log.read_text().count("stuck"), list[str]()

    def call() -> None:
        try:
            model.predict(rows)
        except PredictionFailed:
            told.append("PredictionFailed")

    caller = threading.Thread(target=call)
    caller.start()
    eventually(lambda: forking.log.read_text().count("stuck") > before)
    return caller, told


@pytest.mark.parametrize("predicting", [STUCK, STUCK_IN_C], ids=["in python", "in c"])
def test_a_request_that_hangs_in_an_old_version_fails_and_its_host_ends(
    hosts: Hosts, forking: Forking, tmp_path: Path, predicting: str
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "old", predicting=predicting))
    caller, told = asked(model, x_of(13), forking)

    drain(model, 0.1)
    del model

    caller.join(20)
    assert told == ["PredictionFailed"]
    del caller
    eventually(lambda: gc.collect() >= 0 and not forking.hosts())


def test_a_host_that_ends_so_is_told_once_and_not_as_a_crash(
    hosts: Hosts, forking: Forking, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "old", predicting=STUCK))
    caller, _ = asked(model, x_of(13), forking)

    drain(model, 0.1)
    caller.join(20)

    assert [record.message for record in caplog.records] == [
        "host ended: a request hung in it after its version was swapped out"
    ]


def test_a_stream_that_began_with_an_old_version_goes_on_call_by_call(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    """For longer than one call may take, in the same host."""
    model = hosted(hosts, a_pyfunc(tmp_path / "old"))
    before, looks = forking.hosts(), []
    looking = model.end_late_calls
    model.end_late_calls = lambda seconds: looks.append(1) or looking(seconds)  # type: ignore[method-assign, func-returns-value]

    drain(model, 0.05)

    def went_on() -> bool:
        assert model.predict(x_of(2)).outputs[0].tolist() == [2]
        return len(looks) >= 5

    eventually(went_on)
    assert forking.hosts() == before


def test_who_is_asked_after_a_hang_gets_an_answer_of_the_old_version(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "old", predicting=f"{STUCK}; x = x * 3"))
    caller, told = asked(model, x_of(13), forking)
    drain(model, 0.1)
    caller.join(20)

    assert model.predict(x_of(2)).outputs[0].tolist() == [6]
    caller, told = asked(model, x_of(13), forking)  # and the next one that hangs is ended as well
    caller.join(20)
    assert told == ["PredictionFailed"]


def test_calls_that_are_quick_enough_are_all_answered(hosts: Hosts, tmp_path: Path) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "old", predicting="x = x * 2"))
    drain(model, 30)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda value: model.predict(x_of(value)).outputs[0].tolist(), range(20)))

    assert answers == [[2 * value] for value in range(20)]


def test_a_version_that_is_not_in_a_host_needs_none_of_it() -> None:
    threads = threading.active_count()

    drain(FakeModel(), 1)

    assert threading.active_count() == threads


def test_nothing_is_kept_alive_by_being_watched(hosts: Hosts, forking: Forking, tmp_path: Path) -> None:
    model = hosted(hosts, a_pyfunc(tmp_path / "old"))
    drain(model, 600)

    del model
    gc.collect()

    eventually(lambda: not forking.hosts())


def test_a_version_keeps_its_files_until_it_is_let_go(hosts: Hosts, tmp_path: Path) -> None:
    folder = a_pyfunc(tmp_path / "old")
    model = hosted(hosts, folder)
    assert holds.held(folder)

    del model
    gc.collect()

    assert not holds.held(folder)


def test_an_old_version_whose_host_dies_gets_another_although_the_store_has_moved_on(
    hosts: Hosts, forking: Forking, tmp_path: Path
) -> None:
    store = Store(tmp_path, Bounds(former=0))
    folder = store.fetch(a_version(1), lambda _, incoming: a_pyfunc(incoming / "model"))
    model = hosted(hosts, folder)
    assert store.keep("iris", [a_version(2)])
    (host,) = forking.hosts()

    os.kill(host, signal.SIGKILL)

    eventually(lambda: answers(model))
    assert forking.hosts() != {host}
