"""A body of `/invocations` as rows, and MLflow's JSON of an answer: whatever brings them."""

from typing import Any

import msgspec
import numpy as np

from serving.decoding.depth import refuse_deep
from serving.errors import UnsupportedMedia
from serving.protocol import JSON, MEDIA_TYPES, Answer, Decoder, Model, NotRows, Rows, Unplanned


def read(content: tuple[str, bytes], model: Model) -> Rows:
    """A media type and a body, as that model takes it. InvalidInput; NotRows where only MLflow itself can read it."""
    if model.plan is None or not model.plan.blocks:
        raise NotRows
    return rows(model.plan, content)


def rows(decoder: Decoder, content: tuple[str, bytes]) -> Rows:
    """InvalidInput."""
    if content[0] != JSON:
        return decoder.rows(*content)
    try:
        return decoder.fast(content[1])
    except Unplanned:
        refuse_deep(content[1])
        return decoder.rows(*content)


def encode(answer: Answer) -> bytes:
    """`{"predictions": [...]}`, an entry a row; an object each where the answer is a table. NaN becomes null."""
    columns = [output.tolist() for output in answer.outputs]
    if answer.names is None:
        return b'{"predictions":' + _encoder.encode(columns[0]) + b"}"
    table = [dict(zip(answer.names, values, strict=True)) for values in zip(*columns, strict=True)]
    return b'{"predictions":' + _encoder.encode(table) + b"}"


def _plain(value: object) -> Any:
    """What numpy objects inside an answer are in JSON."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError


def media_type_of(content_type: str) -> str:
    """Without its parameters. UnsupportedMedia for what MLflow's server answers 415 to, and for none at all."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type not in MEDIA_TYPES or any(each != "charset=utf-8" for each in parameters):
        raise UnsupportedMedia(MEDIA_TYPES)
    return media_type


_encoder = msgspec.json.Encoder(enc_hook=_plain)
