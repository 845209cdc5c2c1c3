import asyncio
import errno
import logging
import os
from pathlib import Path

import pytest

from serving.access import key_file, secret
from serving.access.keys import NEVER, Book, Keys, Known
from serving.access.scopes import Caller, Scope
from tests.fakes import no_descriptor_free
from tests.servers import eventually
from tests.serving.access.conftest import MakeKey


def test_a_key_is_known_by_itself_alone(key_path: Path, make_key: MakeKey) -> None:
    key, other = make_key("predict:iris", rate=5), make_key("jobs")
    keys = Keys(key_path)

    caller = keys.caller(key.encode())

    assert caller is not None
    assert caller.may(Scope.PREDICT, "iris")
    assert caller.rate == 5
    assert key not in repr(caller)
    name, _, rest = other.rpartition("_")
    mixed = f"{name}_{key.rpartition('_')[2]}"
    for wrong in (mixed, key[:-1], key + "x", "", "slipway_", rest):
        assert keys.caller(wrong.encode()) is None


def test_an_expired_key_is_none(key_path: Path, make_key: MakeKey) -> None:
    key = make_key("predict", expires_in=-1)

    assert Keys(key_path).caller(key.encode()) is None


def test_a_key_that_was_recognised_expires_all_the_same(key_path: Path, make_key: MakeKey) -> None:
    key = make_key("predict", expires_in=2).encode()
    keys = Keys(key_path)
    assert keys.caller(key) is not None

    eventually(lambda: keys.caller(key) is None)


def test_what_an_old_file_recognised_says_nothing_of_the_new_one() -> None:
    """Also where the file was read while a key was being recognised by the one before."""
    made = secret.made()
    known = Known(made.digest.encode(), NEVER, Caller("x", frozenset()))
    old, new = Book({made.id: known}), Book({})

    assert old.find(made.key.encode()) is known
    assert new.find(made.key.encode()) is None


def test_a_key_counts_once_it_is_made_and_until_it_is_revoked(key_path: Path, make_key: MakeKey) -> None:
    make_key("predict")
    keys = Keys(key_path)

    key = make_key("jobs")
    keys.look()
    assert keys.caller(key.encode()) is not None
    with key_file.changing(key_path) as records:
        records.clear()
    keys.look()
    assert keys.caller(key.encode()) is None


async def test_the_file_is_looked_at_without_being_asked(key_path: Path, make_key: MakeKey) -> None:
    make_key("predict")
    keys = Keys(key_path, look_seconds=0.01)
    following = asyncio.create_task(keys.follow())

    key = make_key("jobs").encode()

    await asyncio.to_thread(eventually, lambda: keys.caller(key) is not None)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_a_look_that_fails_is_told_of_and_is_not_the_last_one(
    key_path: Path, make_key: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    class Stumbling(Keys):
        """On a machine that had no thread left, once."""

        stumbled = False

        def look(self) -> None:
            if not self.stumbled:
                self.stumbled = True
                raise RuntimeError("can't start new thread")
            super().look()

    make_key("predict")
    keys = Stumbling(key_path, look_seconds=0.01)
    following = asyncio.create_task(keys.follow())

    key = make_key("jobs").encode()

    await asyncio.to_thread(eventually, lambda: keys.caller(key) is not None)
    assert "looking at the keys stumbled" in [each.getMessage() for each in caplog.records]
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


def test_a_file_that_was_spoilt_or_lost_changes_nothing_and_is_told_of_once(
    key_path: Path, make_key: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    key = make_key("predict")
    keys = Keys(key_path)

    with caplog.at_level(logging.ERROR, "serving.access.keys"):
        key_path.write_text("[")
        keys.look()
        keys.look()
        assert len(caplog.records) == 1
        key_path.unlink()
        keys.look()
        keys.look()
    assert len(caplog.records) == 2
    assert keys.caller(key.encode()) is not None
    late = make_key("predict")
    keys.look()
    assert keys.caller(late.encode()) is not None


def test_a_look_that_could_not_open_the_file_takes_no_revocation_away(
    key_path: Path, make_key: MakeKey, caplog: pytest.LogCaptureFixture
) -> None:
    key = make_key("predict").encode()
    keys = Keys(key_path)
    with key_file.changing(key_path) as records:
        records.clear()

    with no_descriptor_free():
        keys.look()
        keys.look()

    assert [record.__dict__["reason"] for record in caplog.records] == [f"{key_path}: {os.strerror(errno.EMFILE)}"]
    assert keys.caller(key) is not None, "as long as nobody knows better"
    keys.look()
    assert keys.caller(key) is None


def test_a_copy_that_keeps_time_and_size_is_noticed(key_path: Path, make_key: MakeKey) -> None:
    """As `rsync --inplace --times` makes one."""
    key = make_key("predict").encode()
    keys = Keys(key_path)
    before = key_path.stat()
    spaces = b"[]".ljust(before.st_size)

    def copied() -> bool:
        """The file's clock moves on in steps of milliseconds."""
        key_path.write_bytes(spaces)
        os.utime(key_path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return key_path.stat().st_ctime_ns != before.st_ctime_ns

    eventually(copied)
    keys.look()

    assert key_path.stat().st_mtime_ns == before.st_mtime_ns
    assert keys.caller(key) is None
