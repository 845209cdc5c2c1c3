import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from serving.following.hurry import Line
from tests.servers import eventually


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's own: the path of a socket is a hundred letters long at most.
    with TemporaryDirectory() as name:
        yield Path(name)


def hearing(folder: Path, count: int) -> tuple[threading.Thread, list[str]]:
    """Hears `count` names, in a thread that listens by now."""
    heard: list[str] = []
    there = set(folder.iterdir())
    thread = threading.Thread(target=lambda: heard.extend(islice(Line(folder).names(), count)), daemon=True)
    thread.start()
    eventually(lambda: set(folder.iterdir()) - there or there)
    return thread, heard


def test_names_arrive_in_order(folder: Path) -> None:
    thread, heard = hearing(folder, 2)

    for name in ("iris", "zwei Wörter"):
        Line(folder).send(name)
    thread.join(20)

    assert heard == ["iris", "zwei Wörter"]


def test_nobody_there_is_no_error(folder: Path) -> None:
    Line(folder).send("iris")
    Line(folder / "gone").send("iris")


def test_a_listener_that_does_not_listen_blocks_nobody(folder: Path) -> None:
    names = Line(folder).names()
    first = threading.Thread(target=lambda: next(names), daemon=True)
    first.start()
    eventually(lambda: list(folder.iterdir()))
    Line(folder).send("iris")
    first.join(20)

    for _ in range(2000):  # more than any queue of datagrams has room for
        Line(folder).send("iris")


def test_the_next_syncer_takes_the_place_of_one_that_was_killed(folder: Path) -> None:
    thread, _ = hearing(folder, 1)
    Line(folder).send("iris")
    thread.join(20)  # its socket's file is still there

    again, heard = hearing(folder, 1)

    def answered() -> bool:
        Line(folder).send("wine")
        return not again.is_alive()

    eventually(answered)
    assert heard == ["wine"]
