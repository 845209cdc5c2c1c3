"""Models behind the real engine and plan, that answer with what can be seen in the rows."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from serving.decoding import plan
from serving.errors import too_many_rows
from serving.lineup import Lineup, Served, Standing
from serving.protocol import PREDICT_PROBA, Answer, Column, Decoder, Rows, Signature
from tests.fakes import a_version

THREE = Signature(tuple(Column(name, "double") for name in "abc"), (Column("label", "long"),))
"""Three numbers in, one label out."""


def total(rows: Rows) -> Answer:
    """The sum of a row, as a whole number; a share of it for each of two classes as probabilities."""
    sums = sum(block.reshape(rows.count, -1).astype(float).sum(axis=1) for block in rows.blocks)
    sums = np.nan_to_num(np.asarray(sums))
    if rows.method == PREDICT_PROBA:
        return Answer((np.column_stack([sums / 100, 1 - sums / 100]),))
    return Answer((sums.astype(np.int64),))


@dataclass(frozen=True, eq=False)
class TensorModel:
    signature: Signature = THREE
    answers: Callable[[Rows], Answer] = total
    probabilities: bool = True
    joins: bool = True
    runtime: str = "onnx"
    platform: str = "mlflow_fake"
    example: str | None = None
    body: Callable[[bytes], bytes] | None = None
    """What `invoke` answers. A line is a row."""

    @cached_property
    def plan(self) -> Decoder | None:
        return plan.compile(self.signature) if self.signature.inputs else plan.FreePlan()

    def predict(self, rows: Rows) -> Answer:
        return self.answers(rows)

    def invoke(self, media_type: str, body: bytes, most_rows: int | None = None) -> bytes:
        assert self.body is not None
        if most_rows is not None and body.count(b"\n") > most_rows:
            raise too_many_rows(most_rows)
        return self.body(body)


@dataclass
class Held:
    """Answers once released."""

    started: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    seen: list[int] = field(default_factory=list)
    """How many rows each call had."""

    def __call__(self, rows: Rows) -> Answer:
        self.seen.append(rows.count)
        self.started.set()
        assert self.release.wait(20)
        return total(rows)


def put(lineup: Lineup, model: TensorModel | None = None, number: int = 7, inline_rows: int = 256) -> Served:
    """Make it the version of `iris` that answers."""
    served = Served(a_version(number), model or TensorModel(), inline_rows)
    lineup.put(Standing("iris", served))
    return served
