import errno
from pathlib import Path

import pytest

from serving.errors import RegistryUnreachable
from serving.store import room


def caused(by: Exception) -> Exception:
    error = RegistryUnreachable("the following failures occurred")
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError(errno.ECONNRESET, "Connection reset by peer"), False),
        (ValueError("28"), False),
        (Exception("##### File model.skops #####\n[Errno 28] No space left on device"), True),
    ],
)
def test_a_full_disk_is_told_from_other_errors(error: Exception, short: bool) -> None:
    assert room.is_short(error) is short
    assert room.is_short(caused(error)) is short


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (20 << 30, "20 GiB"), (5000 << 40, "5000 TiB")],
)
def test_sizes_are_told_in_words(size: int, told: str) -> None:
    assert room.shown(size) == told


def test_the_refusal_says_where_and_what_to_do() -> None:
    assert str(room.refusal(Path("/s"), needed=2048, free=0)) == (
        "no room in the store /s: it needs 2 KiB and 0 bytes are free; free some, give SERVING_STORE a larger disk, "
        "or keep fewer former versions (SERVING_KEEP_VERSIONS)"
    )
