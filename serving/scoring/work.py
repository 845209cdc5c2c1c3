"""Score a file: an engine answers its chunks, each is put aside as a part, and in the end the parts are joined."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Protocol

from serving.errors import NoProbabilities
from serving.protocol import Model, Version
from serving.scoring.asking import Asking, Engine, Task
from serving.scoring.parts import Parts
from serving.scoring.progress import Advance
from serving.scoring.refusal import BadInput
from serving.scoring.summary import Done, Predictions


class Shown(Protocol):
    def __call__(self, *, total: int | None, done: int) -> AbstractContextManager[Advance]:
        """As `progress.shown`."""


@dataclass(frozen=True)
class Progress:
    shown: Shown
    say: Callable[[str], None]


def score(task: Task, version: Version, model: Model, engine: Engine, progress: Progress) -> Done:
    """`model` says what is asked; `engine` has others like it, perhaps, that answer.

    NotScored, and nothing of the output is there then; NoProbabilities; OSError.
    """
    if task.probabilities and not model.probabilities:
        raise NoProbabilities(version.name)
    began = time.perf_counter()
    asking = Asking(task, model)
    task.source.require(asking.columns)
    with closing(Parts(task.out, _described(task, version, model))) as parts:
        rows_before = parts.rows
        _tell(parts, progress.say)
        try:
            _answer_all(task, asking, engine, parts, progress)
            if task.source.place.seen() != task.source.seen:
                raise BadInput(f"{task.uri}: it was changed while it was read; give the same command again")
        except BadInput:
            parts.remove()
            raise
        predictions = Predictions(task.keys)
        parts.assemble(predictions.add)
    return Done(parts.rows, rows_before, time.perf_counter() - began, predictions)


def _answer_all(task: Task, asking: Asking, engine: Engine, parts: Parts, progress: Progress) -> None:
    with (
        progress.shown(total=task.source.rows, done=parts.rows) as advance,
        closing(engine(task, asking, parts.rows)) as answers,
    ):
        for answer in answers:
            parts.put(answer)
            advance(parts.rows)
    if not parts.rows:
        raise BadInput(f"{task.uri}: it has no rows")


def _tell(parts: Parts, say: Callable[[str], None]) -> None:
    if parts.anew:
        say("an earlier run of this output read another input, or had another version or options; starting anew")
    if parts.rows:
        say(f"going on after row {parts.rows:,}, where an earlier run stopped")


def _described(task: Task, version: Version, model: Model) -> Mapping[str, object]:
    """All that the output depends on."""
    which = {"name": version.name, "number": version.number, "created_ms": version.created_ms, "source": version.source}
    options = {"keys": task.keys, "probabilities": task.probabilities, "chunk_rows": task.chunk_rows}
    by = {**which, "manifest": version.manifest, "runtime": model.runtime}
    return {"format": 1, "input": task.source.seen, "version": by, "options": options}
