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
        '[{"id":"a","name":"b","digest":"c","scopes":["root"],"created":"2026-01-01T00:00:00Z"}]',
        '[{"id":"a","name":"b","digest":"c","scopes":[],"created":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00"}]',
        '[{"id":"a","name":"b","digest":"c","scopes":[],"created":"2026-01-01T00:00:00Z","more":1}]',
    ],
)
def test_what_is_no_file_of_keys_is_named_and_left_alone(key_path: Path, content: str) -> None:
    key_path.write_text(content)

    with pytest.raises(KeysUnreadable, match=r"keys\.json"), key_file.changing(key_path):
        pass

    assert key_path.read_text() == content


def test_a_file_that_is_not_there_is_named(key_path: Path) -> None:
    with pytest.raises(KeysUnreadable, match="No such file"):
        key_file.read(key_path)
