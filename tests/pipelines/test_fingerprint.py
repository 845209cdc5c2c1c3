"""A changed byte is found without the original, and never where there is none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.fingerprint import BLOCK, ChangedByte, changed_byte, fingerprint, restored
from pipelines.lineage import file_md5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize("offset", [0, 7, BLOCK - 1, BLOCK, 2 * BLOCK + 5])
def test_one_changed_byte_is_found_wherever_it_is(file: Path, offset: int) -> None:
    content = bytearray(b"abcd" * (BLOCK // 2 + 10))
    file.write_bytes(content)
    was = fingerprint(file)
    before = content[offset]
    content[offset] = 0xFF
    file.write_bytes(content)

    change = changed_byte(file, was)

    assert change == ChangedByte(offset, 0xFF, before)
    assert str(change) == f"byte {offset} is 0xff and was 0x{before:02x}"


@given(st.binary(min_size=1, max_size=50), st.data())
def test_any_byte_of_any_file_can_be_put_back(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("any") / "file"
    file.write_bytes(content)
    was = fingerprint(file)
    offset = data.draw(st.integers(0, len(content) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda value: value != content[offset]))
    file.write_bytes(content[:offset] + bytes([other]) + content[offset + 1 :])

    change = changed_byte(file, was)

    assert change is not None
    assert restored(file, change) == content


@pytest.mark.parametrize("now", [b"abcdefgh", b"abXdeXgh", b"badcefgh", b"abcdefghi", b"abcdefg", b""])
def test_nothing_is_found_unless_exactly_one_byte_differs(file: Path, now: bytes) -> None:
    file.write_bytes(b"abcdefgh")
    was = fingerprint(file)
    file.write_bytes(now)

    assert changed_byte(file, was) is None


def test_the_md5_is_dvcs(file: Path) -> None:
    file.write_bytes(b"abc" * BLOCK)

    assert fingerprint(file).md5 == file_md5(file)
    assert fingerprint(file).size == 3 * BLOCK
