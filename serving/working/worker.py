"""`python -m serving.working.worker`: one process that works at jobs. Started by `python -m serving jobs`."""

import argparse
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import load_dotenv

from serving import lifeline, logs, settings
from serving.working import alive

if TYPE_CHECKING:
    from serving.protocol import Model, Version
    from serving.settings import Settings

log = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 5
"""For jobs that run at SIGTERM; what takes longer is begun again by whoever comes next."""
MORE_MODELS = 2
"""Versions that stay loaded beside one of each model."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m serving.working.worker")
    parser.add_argument("--hosts", type=Path, required=True, help="the fork server's socket")
    parser.add_argument("--name", required=True, help="which of this machine's it is")
    parser.add_argument(lifeline.FLAG, type=int, help="file descriptor of a pipe that ends with the parent")
    words = parser.parse_args()
    load_dotenv(".env")
    chosen = settings.read()
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)
    lifeline.end_with_parent(sys.argv)
    sign = alive.place()
    _home(words.hosts.parent / words.name)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    stop = _composed(chosen, words.hosts, f"{socket.gethostname()}/{words.name}", sign)
    ended.wait()
    stop()
    logging.shutdown()
    os._exit(0)  # Python would wait for its threads, and one may be in a model that hangs


def _home(folder: Path) -> None:
    """A place of this worker's own for what it downloads; what its predecessor left there goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tempfile.tempdir = str(folder)


def _composed(chosen: "Settings", hosts: Path, name: str, sign: Path) -> Callable[[], None]:
    """Works from now on; call what is returned to stop it."""
    from serving.jobs.callbacks import Caller
    from serving.jobs.opening import database, shelf, terms
    from serving.jobs.turns import Turns
    from serving.tracing.opening import opened
    from serving.working import durable
    from serving.working.caretaker import Caretaker
    from serving.working.models import Models
    from serving.working.predicting import Tools, outcome
    from serving.working.traced import traced

    wanted = chosen.jobs
    turns, place = Turns(database(wanted), terms(wanted)), shelf(wanted)
    models = Models(partial(_loaded, chosen, hosts), len(chosen.models) + MORE_MODELS)
    tools = Tools(models, partial(_latest, chosen), place, wanted.inline_bytes)
    secret = wanted.callback_secret
    caller = Caller(secret.get_secret_value(), private=wanted.private_callbacks) if secret else None
    how = durable.Terms(
        wanted.at_once, wanted.attempts, wanted.backoff_seconds, wanted.most_starts, wanted.callback_attempts
    )
    turns.beat(name)  # before it has a job: who has one and is not known would be missed by nobody
    tracer = opened(chosen.tracing)
    answer = outcome if tracer is None else traced(outcome, tracer)
    durable.start(name, turns, lambda job, tell: answer(job, tools, tell), caller, how)
    caretaker = Caretaker(name, turns, place, sign)
    caretaker.start()
    log.info("working at jobs", extra={"worker": name, "at_once": wanted.at_once})

    def stop() -> None:
        caretaker.stop()
        durable.stop(SHUTDOWN_SECONDS)
        turns.leave(name)
        if tracer is not None:
            tracer.close()

    return stop


@contextmanager
def _loaded(chosen: "Settings", hosts: Path, version: "Version") -> "Iterator[Model]":
    from serving.scoring.choosing import Choice, folder_of
    from serving.scoring.loading import fetched, loaded

    choice = Choice(version, folder_of(version, chosen.store))
    registry = None
    if choice.folder is None and chosen.offline:
        from serving.errors import VersionRefused

        raise VersionRefused("the store does not have this version, and SERVING_OFFLINE asks no registry for it")
    if choice.folder is None:
        from serving.following.registry import MlflowRegistry

        registry = MlflowRegistry(chosen.tracking_uri)
    with fetched(choice, registry, chosen) as folder, loaded(folder, version, chosen, hosts) as (model, _):
        yield model


def _latest(chosen: "Settings", name: str) -> "Version | None":
    """As the store has it, which a server follows the registry into."""
    from serving.store import posted

    return next((each.version for each in posted.read(chosen.store) if each.name == name), None)


if __name__ == "__main__":
    main()
