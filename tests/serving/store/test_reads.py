import os
import time
from pathlib import Path

import pytest

from serving.store.reads import Reads
from tests.servers import eventually


def test_a_model_that_was_never_read_says_so(tmp_path: Path) -> None:
    assert Reads(tmp_path).last("iris") is None


def test_the_last_time_counts_and_is_told_to_another_process(tmp_path: Path) -> None:
    Reads(tmp_path / "store").note("iris")
    first = Reads(tmp_path / "store").last("iris")
    assert first is not None
    assert abs(time.time() - first) < 60

    def later() -> bool:
        Reads(tmp_path / "store").note("iris")
        last = Reads(tmp_path / "store").last("iris")
        return last is not None and last > first

    eventually(later)


@pytest.mark.parametrize("name", ["two words & ü", ".read", "a%2Fb"])
def test_every_model_has_its_own(tmp_path: Path, name: str) -> None:
    Reads(tmp_path).note(name)

    assert Reads(tmp_path).last(name) is not None
    assert Reads(tmp_path).last("iris") is None


def test_it_takes_no_room_on_a_disk_that_is_full(small_disk: Path) -> None:
    reads = Reads(small_disk)
    reads.note("iris")
    os.utime(small_disk / ".read" / "iris", (1, 1))
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "full").write_bytes(bytes(16 << 20))

    reads.note("iris")

    last = reads.last("iris")
    assert last is not None
    assert last > 1


def test_a_store_that_cannot_be_written_to_leaves_it_unknown(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    Reads(tmp_path / "file").note("iris")

    assert Reads(tmp_path / "file").last("iris") is None
