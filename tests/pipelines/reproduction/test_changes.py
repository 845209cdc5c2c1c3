"""Data that is not what it was: told by its bytes, and in a table by row and column."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.fingerprint import Fingerprint, fingerprint
from pipelines.reproduction import changes

TABLE = pd.DataFrame({"age": [31.0, 42.0, None], "town": ["Bath", "York", "Ely"]})


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Plain, so that a byte of the file is a byte of a value."""
    return write(tmp_path / "original.parquet", TABLE)


@pytest.fixture
def was(original: Path) -> Fingerprint:
    return fingerprint(original)


def write(path: Path, frame: pd.DataFrame) -> Path:
    plain: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    frame.to_parquet(path, index=False, **plain)
    return path


def with_byte(path: Path, place: int, value: int) -> Path:
    content = bytearray(path.read_bytes())
    content[place] = value
    changed = path.with_name("changed.parquet")
    changed.write_bytes(content)
    return changed


def test_the_same_bytes_are_nothing_to_tell_of(original: Path, was: Fingerprint) -> None:
    assert changes.told(original, was) == ""


def test_a_changed_byte_in_a_table_is_named_with_its_row_and_column_without_the_original(
    original: Path, was: Fingerprint
) -> None:
    place = original.read_bytes().index(b"York")
    changed = with_byte(original, place, ord("F"))

    told = changes.told(changed, was)

    assert f"md5 {fingerprint(changed).md5}, not {was.md5}" in told
    assert f"byte {place} is 0x46 and was 0x59" in told
    assert "column 'town', row 2: 'Fork' was 'York'" in told


def test_several_changed_bytes_are_named_where_the_original_is_at_hand(original: Path, was: Fingerprint) -> None:
    changed = write(original.with_name("changed.parquet"), TABLE.assign(age=[31.0, 43.0, 50.0]))

    told = changes.told(changed, was, original)

    assert "the first other byte is " in told
    assert "column 'age', row 2: '43.0' was '42.0', and 1 more" in told


def test_several_changed_bytes_without_the_original_are_told_as_such(original: Path, was: Fingerprint) -> None:
    content = original.read_bytes().replace(b"York", b"Hull")
    changed = original.with_name("changed.parquet")
    changed.write_bytes(content)

    assert changes.told(changed, was).endswith("more than one byte has changed")


def test_a_table_that_can_be_read_no_more_is_told_as_such(original: Path, was: Fingerprint) -> None:
    changed = with_byte(original, original.stat().st_size - 1, 0)

    assert changes.told(changed, was).endswith("it can no longer be read as Parquet")


def test_a_file_cut_short_is_told_by_its_size(original: Path, was: Fingerprint) -> None:
    changed = original.with_name("changed.parquet")
    changed.write_bytes(original.read_bytes()[:-10])

    assert f"{was.size - 10} bytes, not {was.size}" in changes.told(changed, was, original)
    assert f"the first other byte is {was.size - 10}" in changes.told(changed, was, original)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (TABLE.rename(columns={"age": "years"}), "its columns are others"),
        (TABLE.head(2), "2 rows, not 3"),
        (TABLE.astype({"age": "float32"}), "every cell is the same"),
    ],
)
def test_tables_of_another_shape_are_told_by_that(
    original: Path, was: Fingerprint, now: pd.DataFrame, told: str
) -> None:
    changed = write(original.with_name("changed.parquet"), now)

    assert changes.told(changed, was, original).endswith(told)


def test_what_is_no_table_is_told_by_its_bytes_only(tmp_path: Path) -> None:
    (tmp_path / "about.json").write_text('{"rows": 3}')
    was = fingerprint(tmp_path / "about.json")
    (tmp_path / "about.json").write_text('{"rows": 4}')

    assert changes.told(tmp_path / "about.json", was).endswith("byte 9 is 0x34 and was 0x33")
