"""Tell a disk that is full from whatever else goes wrong while files are written."""

import errno
from collections.abc import Iterator
from pathlib import Path

from serving.errors import OutOfRoom

_FULL = (errno.ENOSPC, errno.EDQUOT)


def refusal(store: Path, *, needed: int | None = None, free: int = 0) -> OutOfRoom:
    what = f"it needs {shown(needed)} and {shown(free)} are free" if needed is not None else "the disk is full"
    return OutOfRoom(
        f"no room in the store {store}: {what}; free some, give SERVING_STORE a larger disk, "
        "or keep fewer former versions (SERVING_KEEP_VERSIONS)"
    )


def is_short(error: BaseException) -> bool:
    """Was a full disk, or a quota, the cause of it?"""
    return any(_says_so(each) for each in _chain(error))


def shown(size: int) -> str:
    """Bytes, for people: `1.5 GiB`."""
    amount, unit = float(size), "bytes"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.4g} {unit}"


def _says_so(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    # MLflow tells what went wrong with each file only in the text of one error about all of them.
    text = str(error)
    return any(f"[Errno {number}]" in text for number in _FULL)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
