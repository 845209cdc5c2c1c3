"""The words of `python -m serving score`, and what it says. Imports nothing heavy until it is asked to score."""

import argparse
import logging
import signal
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import load_dotenv

from serving import own_hosts

if TYPE_CHECKING:
    from serving.scoring.choosing import Catalogue
    from serving.settings import Settings

ABOUT = "score a CSV or Parquet file by a version of a registered model"
MISCONFIGURED = 2
INTERRUPTED = 130
CHUNK_ROWS = 65_536
ENGINES = ("local", "ray")
HOSTED = ("native", "pyfunc")
"""Runtimes that need a host whatever the version has."""


def describe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN", help="a .csv or .parquet file, here or s3://bucket/key")
    parser.add_argument("output", metavar="OUT", help="likewise; it appears once it is whole, in place of one before")
    parser.add_argument("--model", required=True, metavar="NAME", help="registered model")
    parser.add_argument("--version", type=_positive, metavar="N", help="the Production version if not given")
    parser.add_argument("--keys", type=_names, default=(), metavar="ID,...", help="columns to put beside predictions")
    parser.add_argument("--proba", action="store_true", help="probabilities instead of predictions")
    parser.add_argument("--chunk-rows", type=_positive, default=CHUNK_ROWS, metavar="N", help="default: %(default)s")
    parser.add_argument("--engine", choices=ENGINES, default="local", help="ray: on all nodes of a Ray cluster")
    parser.add_argument("--ray-address", metavar="HOST:PORT", help="of that; a Ray of its own here if not given")


def run(words: argparse.Namespace) -> int:
    """Score, and say how it went; the exit status. SIGINT and SIGTERM leave what is done to the next run."""
    from serving import logs, settings
    from serving.errors import ServingError
    from serving.scoring.refusal import NotScored

    load_dotenv(".env")
    try:
        chosen = settings.read((words.model,))
    except settings.SettingsInvalid as error:
        return _refuse(*error.lines, status=MISCONFIGURED)
    logs.configure(chosen.log_level, sys.stderr, chosen.log_format)
    logging.getLogger("serving").setLevel(logging.WARNING)  # how a download went is nobody's question
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _score(words, chosen)
    except KeyboardInterrupt:
        return _refuse("stopped; the same command goes on from here", status=INTERRUPTED)
    except (NotScored, ServingError, OSError) as error:
        return _refuse(str(error), status=1)
    return 0


def _score(words: argparse.Namespace, settings: "Settings") -> None:
    with ExitStack() as held:
        # Before anything is imported here: it imports for seconds itself, on another core.
        door = held.enter_context(own_hosts.served(settings.models)) if settings.runtime in HOSTED else None
        _score_by(words, settings, door)


def _score_by(words: argparse.Namespace, settings: "Settings", door: Path | None) -> None:
    """`door`: to a fork server, where it is known that one is needed."""
    from serving.scoring.asking import Task
    from serving.scoring.choosing import chosen
    from serving.scoring.engines import on_ray
    from serving.scoring.here import calls_for, overlapping
    from serving.scoring.loading import fetched, loaded
    from serving.scoring.places import pair
    from serving.scoring.progress import shown
    from serving.scoring.reading import Source
    from serving.scoring.work import Progress, score

    given, out = pair(words.input, words.output)
    task = Task(Source(given), out, words.keys, words.proba, words.chunk_rows)
    registry = None if settings.offline else _registry(settings.tracking_uri)
    choice = chosen(words.model, words.version, registry, settings.store)
    _say(*choice.notes)
    with fetched(choice, registry, settings) as folder, ExitStack() as held:
        model, vouched = held.enter_context(loaded(folder, choice.version, settings, door))
        _say(f"{words.model}, version {choice.version.number}; trust: {vouched}; runtime: {model.runtime}")
        engine = overlapping(calls_for(model))
        if words.engine == "ray":
            engine = on_ray(choice.version, folder, words.ray_address, _say)
            held.close()  # its actors have models of their own; of this one only what it says of itself is wanted
        done = score(task, choice.version, model, engine, Progress(partial(shown, sys.stderr), _say))
    lines = done.lines(f"{words.model} {choice.version.number}", model.runtime, words.output)
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _registry(tracking_uri: str) -> "Catalogue":
    from serving.following.registry import MlflowRegistry

    return MlflowRegistry(tracking_uri)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _say(*lines: str) -> None:
    sys.stderr.writelines(f"score: {line}\n" for line in lines)
    sys.stderr.flush()


def _refuse(*lines: str, status: int) -> int:
    _say(*lines)
    return status
