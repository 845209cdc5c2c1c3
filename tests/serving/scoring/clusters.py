"""A real Ray cluster of two nodes, both on this machine, with one processor each."""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import START_SECONDS, Server, eventually, free_port, server

STORE_BYTES = 80 << 20
"""About the least that Ray takes."""
KEY = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 2}
"""Of the cluster, for its nodes and for whoever uses it."""


@contextmanager
def two_nodes(folder: Path) -> Iterator[str]:
    """The address of its head. `folder`: for what the nodes print."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with ExitStack() as held:
        # Not in `folder`: a socket's path may not be long.
        home = held.enter_context(TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True))
        for name, words in (
            ("head", ["--head", f"--port={port}", "--no-monitor", "--include-dashboard=false", f"--temp-dir={home}"]),
            ("second", [f"--address={address}"]),
        ):
            node = held.enter_context(_node(name, words, port, folder))
            eventually(partial(_is_up, node), seconds=START_SECONDS)
        yield address


def _node(name: str, words: list[str], port: int, folder: Path) -> AbstractContextManager[Server]:
    """A process that takes all of the node's with it when it ends."""
    size = ["--num-cpus=1", f"--object-store-memory={STORE_BYTES}", "--min-worker-port=0", "--max-worker-port=0"]
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--include-log-monitor=false"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SERVING_", "PYTHONPATH"))}
    env |= {**KEY, "RAY_USAGE_STATS_ENABLED": "0"}
    return server(name, [*command, *size, *words], port=port, env=env, folder=folder, ready=None)


def _is_up(node: Server) -> bool:
    assert node.process.poll() is None, f"{node.name} died:\n{node.log.read_text()[-3000:]}"
    return "block forever" in node.log.read_text()
