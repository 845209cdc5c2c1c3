"""Keep a version's folder in the store for as long as somebody answers with it.

A shared lock on the folder itself: the kernel takes it away with whoever held it, so that nothing is kept for a worker
that was killed. A worker takes it, the syncer's `versions.py` asks for it. On a file system without such locks (some
NFS) nothing is held, and the store keeps only what it counts.
"""

import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path


def hold(folder: Path, holder: object) -> None:
    """Until `holder` is gone, or this process. OSError where the folder is not there."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    with suppress(OSError):  # no such locks here
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    weakref.finalize(holder, os.close, handle)


def held(folder: Path) -> bool:
    """Does any process hold it just now?"""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such locks here
        return False
    finally:
        os.close(handle)
    return False
