"""A fork server for a command of one's own."""

import os
import socket

import psutil

from serving import own_hosts


def test_it_lives_as_long_as_the_block() -> None:
    with own_hosts.served(("iris",)) as door:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(door))
        (child,) = (each for each in psutil.Process(os.getpid()).children() if "forkserver" in " ".join(each.cmdline()))

    assert not child.is_running()
    assert not door.exists()
