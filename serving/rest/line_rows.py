"""Predict lines of JSON, each a row, together where that changes no answer. `lines.py` reads and writes them."""

import json
import logging
from functools import partial
from typing import Any

import msgspec
from msgspec import Raw

from serving import invocations, logs
from serving.engine import Call, Engine
from serving.errors import Busy, CallerError, DeadlineExpired, InvalidInput, RowsRefused, ServingError
from serving.lineup import Served
from serving.protocol import JSON, Answer, Model, Rows, Unplanned
from serving.rest import mlflow
from serving.rest.line_bodies import Bodies, kind

log = logging.getLogger(__name__)

Outcome = bytes | ServingError
"""A prediction as JSON, or why there is none."""


class _Predictions(msgspec.Struct):
    predictions: list[Raw]


_predictions = msgspec.json.Decoder(_Predictions).decode


class LineRows:
    def __init__(self, engine: Engine, served: Served, call: Call) -> None:
        self._engine, self._served, self._call = engine, served, call
        self._bodies = Bodies(served.model.signature)

    async def answers(self, lines: list[bytes]) -> list[Outcome]:
        """One for each of `lines`, which are not blank and have no space around them. DeadlineExpired."""
        together = await self._together(lines) if len(lines) > 1 else None
        return together or [await self._alone(line) for line in lines]

    async def _together(self, lines: list[bytes]) -> list[Outcome] | None:
        """None where a row might be answered otherwise than alone: MLflow fills in what only some rows lack."""
        rows = self._rows(lines)
        if rows is None:
            return None
        try:
            if self._call.sample is not None:  # each is asked for itself where this fails
                self._call.sample.question = None
            answer = await self._engine.answer(self._served, rows, self._call)
        except DeadlineExpired:
            raise
        except Busy as error:
            return [error] * len(lines)
        except ServingError:  # perhaps because of one row only
            return None
        return _each(answer, len(lines))

    def _rows(self, lines: list[bytes]) -> Rows | None:
        decoder = self._served.model.plan
        if decoder is None or not decoder.blocks or len({kind(line) for line in lines}) > 1:
            return None
        try:
            return decoder.fast(self._bodies.of(lines))
        except (Unplanned, InvalidInput):
            return None

    async def _alone(self, line: bytes) -> Outcome:
        try:
            content = JSON, self._bodies.of([line])
            if self._call.sample is not None:
                self._call.sample.asked(partial(_read, line), len(line))
            answer = mlflow.at_once(self._engine, self._served, content, self._call)
            if not isinstance(answer, bytes):
                answer = await mlflow.score(self._engine, self._served, (*content, answer), self._call)
            return _only(answer)
        except DeadlineExpired:
            raise
        except ServingError as error:
            if self._call.sample is not None:
                self._call.sample.refused(error)
            if not isinstance(error, CallerError | Busy):
                log.error("row failed", extra={"code": error.code, **self._call.about(), "cause": logs.where(error)})
            return error


def _read(line: bytes, model: Model) -> Rows:
    """As that model takes it: where columns are not named, it is by their order."""
    return invocations.read((JSON, Bodies(model.signature).of([line])), model)


def _each(answer: Answer, count: int) -> list[Outcome] | None:
    predictions = _predictions(invocations.encode(answer)).predictions
    return [bytes(each) for each in predictions] if len(predictions) == count else None


def _only(answer: bytes) -> bytes:
    """The one prediction in MLflow's JSON. RowsRefused when there is not one."""
    try:
        predictions: list[Any] = _predictions(answer).predictions
    except msgspec.MsgspecError:  # MLflow writes NaN, which is no JSON; or something that is no list
        found = json.loads(answer)
        predictions = found.get("predictions") if isinstance(found, dict) else None  # type: ignore[assignment]
    if not isinstance(predictions, list) or len(predictions) != 1:
        raise RowsRefused("this model's answer to a row is not one value; ask for it without streaming")
    return msgspec.json.encode(predictions[0])
