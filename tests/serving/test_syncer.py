import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from serving.following.follower import Tools
from serving.protocol import Version, View
from serving.store.posted import Board
from serving.store.reads import Reads
from serving.store.versions import Store
from serving.syncer import LEAST_SECONDS, Syncer
from serving.trust import Trust
from tests.fakes import FakeRegistry, a_version, in_production
from tests.servers import eventually


@dataclass
class Stumbling(FakeRegistry):
    """Raises what nobody expects at its first reads."""

    stumbles: int = 1

    def read(self, name: str) -> View:
        view = super().read(name)
        if self.reads <= self.stumbles:
            raise ZeroDivisionError
        return view


def accept(folder: Path, _unwanted: object) -> None:
    """Every version is fine."""


def test_a_poll_that_crashes_does_not_end_the_following(tmp_path: Path) -> None:
    registry, board = Stumbling(in_production(a_version(1))), Board(("iris",), tmp_path)
    syncer = Syncer(Tools(registry, Store(tmp_path), board, accept, Trust("off")), poll_seconds=0.01)

    syncer.start()
    try:
        eventually(lambda: board.posting("iris").version)
    finally:
        syncer.stop()


def test_the_same_crash_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = Stumbling(stumbles=5, view=in_production(a_version(1)))
    board = Board(("iris",), tmp_path)
    syncer = Syncer(Tools(registry, Store(tmp_path), board, accept, Trust("off")), poll_seconds=0.01)

    syncer.start()
    try:
        eventually(lambda: board.posting("iris").version)
    finally:
        syncer.stop()

    assert [record.message for record in caplog.records].count("following stumbled") == 1


def test_every_model_is_followed(tmp_path: Path) -> None:
    board = Board(("iris", "wine"), tmp_path)
    syncer = Syncer(
        Tools(FakeRegistry(in_production(a_version(1))), Store(tmp_path), board, accept, Trust("off")),
        poll_seconds=0.01,
    )

    syncer.start()
    try:
        eventually(lambda: all(board.posting(name).version for name in board.names))
    finally:
        syncer.stop()


def test_a_model_that_is_hurried_is_polled_long_before_its_time(tmp_path: Path) -> None:
    registry, board = FakeRegistry(), Board(("iris",), tmp_path)
    syncer = Syncer(Tools(registry, Store(tmp_path), board, accept, Trust("off")), poll_seconds=3600)
    promoted = threading.Event()

    def names() -> Iterator[str]:
        assert promoted.wait(20)
        yield from ("another", "iris")

    syncer.start(names())
    try:
        eventually(lambda: "no model" in board.posting("iris").waiting_for)
        registry.view = in_production(a_version(1))
        promoted.set()

        eventually(lambda: board.posting("iris").version)
    finally:
        syncer.stop()


def test_a_flood_hurries_no_more_than_a_few_polls(tmp_path: Path) -> None:
    registry, sent = FakeRegistry(), threading.Event()
    syncer = Syncer(
        Tools(registry, Store(tmp_path), Board(("iris",), tmp_path), accept, Trust("off")), poll_seconds=3600
    )

    def flood() -> Iterator[str]:
        for _ in range(100_000):
            yield "iris"
        sent.set()

    began = time.monotonic()
    syncer.start(flood())
    try:
        assert sent.wait(60)
        eventually(lambda: registry.reads > 1)
        assert registry.reads <= 2 + (time.monotonic() - began) / LEAST_SECONDS
    finally:
        syncer.stop()


def test_who_cannot_be_hurried_polls_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Deaf:
        def __iter__(self) -> Iterator[str]:
            raise OSError("no such folder")

    board = Board(("iris",), tmp_path)
    tools = Tools(FakeRegistry(in_production(a_version(1))), Store(tmp_path), board, accept, Trust("off"))
    syncer = Syncer(tools, poll_seconds=0.01)

    syncer.start(Deaf())
    try:
        eventually(lambda: board.posting("iris").version)
        eventually(lambda: "nobody can hurry the syncer" in caplog.messages)
    finally:
        syncer.stop()


@dataclass
class Slow(FakeRegistry):
    """Its downloads take until they are released."""

    released: threading.Event = field(default_factory=threading.Event)

    def download(self, version: Version, folder: Path) -> Path:
        assert self.released.wait(60)
        return super().download(version, folder)


def test_a_download_that_takes_long_does_not_make_the_registry_look_lost(tmp_path: Path) -> None:
    registry, reads = Slow(in_production(a_version(1))), Reads(tmp_path)
    board = Board(("iris",), tmp_path)
    syncer = Syncer(Tools(registry, Store(tmp_path), board, accept, Trust("off")), poll_seconds=0.01)

    def read_again() -> bool:
        return (reads.last("iris") or 0) > (first or 0)

    syncer.start()
    try:
        first = eventually(lambda: reads.last("iris"))
        assert first is not None
        eventually(read_again)
        registry.released.set()
        eventually(lambda: board.posting("iris").version)
    finally:
        syncer.stop()


def test_a_lineup_that_cannot_be_written_is_one_line_that_says_what_to_do(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, board = Store(small_disk), Board(("iris",), small_disk)
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "full").write_bytes(bytes(16 << 20))
    registry = FakeRegistry(in_production(a_version(1)))
    syncer = Syncer(Tools(registry, store, board, accept, Trust("off")), poll_seconds=0.01)

    syncer.start()
    try:
        eventually(lambda: registry.reads > 5)
        (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
        assert record.exc_info is None
        assert "cannot be written to the store: No space left on device" in record.__dict__["reason"]
        (small_disk / "full").unlink()
        eventually(lambda: board.posting("iris").version)
    finally:
        syncer.stop()
