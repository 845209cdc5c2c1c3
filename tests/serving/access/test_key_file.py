import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.access import key_file, secret
from serving.access.key_file import KeysUnreadable, Record


def a_record(name: str = "somebody", **fields: object) -> Record:
    made = secret.made()
    told = {"id": made.id, "name": name, "digest": made.digest, "scopes": ("predict",), "created": datetime.now(UTC)}
    return Record(**(told | fields))  # type: ignore[arg-type]  # by field name


def test_what_is_written_is_read(key_path: Path) -> None:
    first = a_record(expires=datetime.now(UTC), rate=2.5)
    with key_file.changing(key_path) as records:
        records[first.id] = first

    assert key_file.read(key_path) == (first,)


def test_the_file_may_be_read_by_servers_of_other_users_and_holds_no_key(key_path: Path) -> None:
    made = secret.made()
    with key_file.changing(key_path) as records:
        records[made.id] = a_record(id=made.id, digest=made.digest)

    assert stat.S_IMODE(key_path.stat().st_mode) == 0o644
    assert made.key.rpartition("_")[2] not in key_path.read_text()


def test_changes_made_at_once_are_all_kept(key_path: Path) -> None:
    def add() -> None:
        for _ in range(10):
            with key_file.changing(key_path) as records:
                one = a_record()
                records[one.id] = one

    threads = [threading.Thread(target=add) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(key_file.read(key_path)) == 40


def test_a_change_that_fails_changes_nothing_and_leaves_nothing(key_path: Path) -> None:
    with key_file.changing(key_path) as records:
        records["a"] = a_record(id="a")
    before = key_path.read_bytes()

    def spoil() -> None:
        with key_file.changing(key_path) as records:
            records.clear()
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        spoil()

    assert key_path.read_bytes() == before
    assert {each.name for each in key_path.parent.iterdir()} == {"keys.json", ".keys.json.lock"}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[{}]",
        '[{"id":"a","name":"b","digest":"@","scopes":["root"],"created":"2026-01-01T00:00:00Z"}]',
        '[{"id":"a","name":"b","digest":"@","scopes":[],"created":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00"}]',
        '[{"id":"a","name":"b","digest":"@","scopes":[],"created":"2026-01-01T00:00:00Z","more":1}]',
        '[{"id":"a","name":"b","digest":"\u00fc@","scopes":[],"created":"2026-01-01T00:00:00Z"}]',
        '[{"id":"a","name":"b","digest":"c","scopes":[],"created":"2026-01-01T00:00:00Z"}]',
    ],
)
def test_what_is_no_file_of_keys_is_named_and_left_alone(key_path: Path, content: str) -> None:
    content = content.replace("@", "0" * 64)
    key_path.write_text(content)

    with pytest.raises(KeysUnreadable, match=r"keys\.json"), key_file.changing(key_path):
        pass

    assert key_path.read_text() == content


def test_a_file_that_is_not_there_is_named(key_path: Path) -> None:
    with pytest.raises(KeysUnreadable, match=r"there is no file .*keys create` makes it"):
        key_file.read(key_path)


def test_a_file_behind_a_link_is_changed_and_the_link_stays(key_path: Path) -> None:
    behind = key_path.with_name("elsewhere") / "real.json"
    behind.parent.mkdir()
    behind.write_text("[]")
    key_path.symlink_to(behind)

    with key_file.changing(key_path) as records:
        records["a"] = a_record(id="a")

    assert key_path.is_symlink()
    assert [each.id for each in key_file.read(behind)] == ["a"]


def test_a_folder_that_is_made_can_be_entered_by_servers_of_other_users(key_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with key_file.changing(key_path.parent / "access" / "keys.json"):
            pass
    finally:
        os.umask(before)

    assert stat.S_IMODE((key_path.parent / "access").stat().st_mode) == 0o755
