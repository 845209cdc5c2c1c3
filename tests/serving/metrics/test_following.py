"""What it takes to follow the registry is counted, by those who do it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import RegistryUnreachable, VersionRefused
from serving.following.counted import Counted
from serving.following.follower import Follower, Outage, Tools
from serving.lineup import Lineup
from serving.metrics import exposition, merged
from serving.metrics.following import Following
from serving.protocol import Model, Version
from serving.runtimes import choice
from serving.store.posted import Board
from serving.store.versions import Store
from serving.trust import Found, Trust
from serving.watching.watcher import Loading, Watcher
from tests.fakes import Clock, FakeRegistry, a_version, in_production
from tests.serving.samples import Samples, read
from tests.serving.twins import post


def seen(following: Following) -> Samples:
    text, _ = exposition.text(merged.of_one(following.blocks(), ()), "")
    return read(text.decode())


def test_each_poll_is_counted_by_its_outcome() -> None:
    registry, following = FakeRegistry(), Following()
    counted = Counted(registry, following)

    counted.read("iris")
    registry.down = True
    for _ in range(2):
        with pytest.raises(RegistryUnreachable):
            counted.read("iris")

    polls = seen(following).series("slipway_registry_polls_total", model="iris")
    assert {labels["outcome"]: count for labels, count in polls} == {"ok": 1, "failed": 2}


def test_a_registry_that_never_answered_has_an_age_all_the_same() -> None:
    following = Following()

    with pytest.raises(RegistryUnreachable):
        Counted(FakeRegistry(down=True), following).read("iris")

    assert len(list(seen(following).series("slipway_registry_age_seconds", model="iris"))) == 1


def test_a_download_is_counted_with_its_time_and_its_bytes(tmp_path: Path) -> None:
    clock, following = Clock(), Following()

    class Slow(FakeRegistry):
        def download(self, version: Version, folder: Path) -> Path:
            clock.now += 3
            home = super().download(version, folder)
            (home / "data").mkdir()
            (home / "data" / "weights").write_bytes(bytes(1000))
            return home

    Counted(Slow(), following, clock).download(a_version(7), tmp_path)

    samples = seen(following)
    assert samples.value("slipway_download_bytes_total", model="iris") == 1000 + len("7")
    assert samples.value("slipway_download_seconds_sum", model="iris") == 3
    assert samples.value("slipway_download_seconds_bucket", le="5.0") == 1
    assert samples.value("slipway_download_seconds_bucket", le="2.5") == 0


def test_a_download_that_fails_is_no_download(tmp_path: Path) -> None:
    following = Following()

    with pytest.raises(OSError, match="half-way"):
        Counted(FakeRegistry(broken={7}), following).download(a_version(7), tmp_path)

    assert seen(following).value("slipway_download_seconds_count") == 0


def test_the_syncer_counts_what_it_refuses(tmp_path: Path) -> None:
    def attempt(_folder: Path, _unwanted: object) -> None:
        raise VersionRefused("no module named xgboost")

    clock, following = Clock(), Following()
    registry, board = FakeRegistry(in_production(a_version(7))), Board(("iris",), tmp_path)
    tools = Tools(registry, Store(tmp_path), board, attempt, Trust("off"), clock, following)
    follower = Follower("iris", tools, Outage())

    for _ in range(5):
        follower.poll()
    assert seen(following).value("slipway_refusals_total", model="iris", by="syncer") == 1
    clock.now += 100
    follower.poll()

    assert seen(following).value("slipway_refusals_total", model="iris", by="syncer") == 2


def test_a_worker_counts_what_it_takes_and_what_it_refuses(tmp_path: Path) -> None:
    def check(_folder: Path, version: Version) -> Found:
        if version.number == 2:
            raise VersionRefused("files differ")
        return "none"

    def load(folder: Path, _check: Callable[[], object]) -> Model:
        return choice.load(folder)

    def run(work: Callable[[], None]) -> None:
        work()

    following = Following()
    watcher = Watcher(tmp_path, Lineup(("iris",)), Loading(check, load, lambda _model: 0, counts=following), (run, run))

    for number in (1, 2, 3):
        post(tmp_path, number)
        for _ in range(3):
            watcher.look()

    samples = seen(following)
    assert samples.value("slipway_swaps_total", model="iris", slot="production") == 2
    assert samples.value("slipway_load_seconds_count", model="iris") == 2
    assert samples.value("slipway_refusals_total", model="iris", by="worker") == 1
