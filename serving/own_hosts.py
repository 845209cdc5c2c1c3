"""A fork server for a command that loads versions itself: `serving.bake`, and `python -m serving score`."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from serving import supervisor
from serving.hosting import door


@contextmanager
def served(models: tuple[str, ...]) -> Iterator[Path]:
    """The socket to one that lives as long as the block, and no longer than this process. OSError.

    `models`: whatever the environment says of them, for it reads its settings there.
    """
    reading, writing = os.pipe()
    with TemporaryDirectory(prefix="slipway-") as folder, os.fdopen(writing, "wb"), os.fdopen(reading, "rb"):
        with door.made(Path(folder)) as hosts:
            path, program = Path(hosts.getsockname()), supervisor.fork_server(hosts)
            running = subprocess.Popen(
                program.command(reading),
                pass_fds=(*program.inherits, reading),
                env={**program.environment, **os.environ, "SERVING_MODELS": ",".join(models)},
            )
        # From here on it alone listens: once it is gone, whoever asks is told at once.
        try:
            yield path
        finally:
            running.terminate()
            with suppress(subprocess.TimeoutExpired):
                running.wait(supervisor.STOP_SECONDS)
            running.kill()
            running.wait()
