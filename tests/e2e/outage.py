"""An S3 server and an MLflow server that can be killed, each by itself, and started again where they were."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests import servers
from tests.servers import Server


class Mortal:
    """A server that runs until it is killed, and again once it is revived."""

    def __init__(self, start: Callable[[], AbstractContextManager[Server]]) -> None:
        self._start, self._held = start, ExitStack()
        self.revive()

    def revive(self) -> None:
        """On the same port and the same files, until it answers."""
        self._running = self._held.enter_context(self._start())

    def kill(self) -> None:
        """-9, with all that it has started."""
        os.killpg(self._running.process.pid, signal.SIGKILL)
        self.end()

    def end(self) -> None:
        self._held.close()


@dataclass(frozen=True)
class MortalStack:
    """`env`: the names that lead to both."""

    env: dict[str, str]
    s3: Mortal
    mlflow: Mortal


@contextmanager
def mortal_stack(folder: Path) -> Iterator[MortalStack]:
    env = servers.stack_environment(folder)
    with ExitStack() as held:
        s3 = Mortal(partial(servers.s3, env, folder))
        held.callback(s3.end)
        servers.make_buckets(env)
        mlflow = Mortal(partial(servers.mlflow, env, folder))
        held.callback(mlflow.end)
        yield MortalStack(env, s3, mlflow)
