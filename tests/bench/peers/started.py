"""A peer as a server that is measured, once it has shown that it answers what the model predicts."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.bench import processes
from tests.bench.peers.environments import Environment
from tests.bench.peers.handed import Handed
from tests.bench.peers.starts import ALONE, STARTS, Place, Start
from tests.bench.targets import Target
from tests.servers import eventually, free_port, server
from tests.workspace import quiet_environment


class AnswersOtherwise(Exception):
    def __init__(self, peer: str, answer: object) -> None:
        super().__init__(f"{peer} does not predict what the model does: {str(answer)[:500]}")


@contextmanager
def peer(environment: Environment, handed: Handed, folder: Path, *, batch: int) -> Iterator[Target]:
    """Enters the block once every body was answered with the model's own labels."""
    port = free_port()
    title = environment.title if batch == ALONE else f"{environment.title}, batching"
    name = f"{environment.peer}-{handed.model.parent.name}-{batch}"
    folder = folder / name
    folder.mkdir()
    start = STARTS[environment.peer](environment, handed, Place(folder, port, batch))
    env = {**quiet_environment(), "PATH": f"{environment.folder / 'bin'}:/usr/bin:/bin", **start.env}
    with _swept() as started, server(name, start.command, port=port, env=env, folder=folder, ready=None) as one:
        url = one.url + start.path
        eventually(lambda: one.listens() and _answers(url, start), seconds=90)
        _check(title, url, start, handed)
        started.extend(processes.family([one.process.pid]))
        yield Target(title, (one,), path=start.path, bodies=start.bodies)


@contextmanager
def _swept() -> Iterator[list[psutil.Process]]:
    """BentoML's and Ray's workers leave the process group that a server is stopped by: end what is left of them."""
    started: list[psutil.Process] = []
    try:
        yield started
    finally:
        for each in started:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def _post(url: str, body: Path) -> httpx.Response:
    return httpx.post(url, content=body.read_bytes(), headers={"Content-Type": "application/json"}, timeout=60)


def _answers(url: str, start: Start) -> bool:
    """All workers do, if twenty answers in a row say so."""
    body = start.bodies[min(start.bodies)]
    try:
        return all(_post(url, body).status_code == 200 for _ in range(20))
    except httpx.TransportError:
        return False


def _check(title: str, url: str, start: Start, handed: Handed) -> None:
    for count, body in start.bodies.items():
        answer = _post(url, body).json()
        if start.labels(answer) != handed.labels[count]:
            raise AnswersOtherwise(title, answer)
