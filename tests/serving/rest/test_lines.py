import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engine import Call, Engine
from serving.errors import RowsRefused
from serving.lineup import Lineup, Served
from serving.protocol import Answer, Column, Rows, Signature, Tensor
from serving.rest.line_rows import LineRows
from serving.rest.lines import Limits, stream
from tests.serving.tensor_models import THREE, Held, TensorModel, put, total


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Engine]:
    made = Engine(lineup)
    yield made
    made.close()


async def arriving(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def answered(
    engine: Engine, served: Served, *chunks: bytes, call: Call | None = None, **limits: int
) -> list[Any]:
    parts = stream(LineRows(engine, served, call or Call()), arriving(*chunks), limits=Limits(**limits))
    return [json.loads(line) async for part in parts for line in part.decode().splitlines()]


ROW = b'{"a": 1, "b": 2, "c": 3}\n'


@pytest.mark.parametrize(
    "row", [b'{"c": 3, "a": 1, "b": 2}', b"[1, 2, 3]", b'  {"a": 1, "b": 2, "c": 3, "more": [1]}  \r']
)
async def test_a_line_is_an_object_or_a_list(engine: Engine, row: bytes) -> None:
    assert await answered(engine, put(engine.lineup), row + b"\n" + row) == [{"prediction": 6}, {"prediction": 6}]


@pytest.mark.parametrize(
    ("signature", "row"),
    [
        (Signature((Tensor(None, "float64", (-1, 3)),)), b"[1, 2, 3]"),
        (Signature((Tensor("x", "float64", (-1, 3)),)), b"[1, 2, 3]"),
        (Signature((Tensor("x", "float64", (-1,)),)), b"6"),
        (Signature((Tensor("x", "float64", (-1,)), Tensor("y", "float64", (-1, 2)))), b'{"x": 1, "y": [2, 3]}'),
        (Signature((Column("x", "double"),)), b"6"),
        (Signature((Column(None, "double"), Column(None, "double"))), b"[1, 5]"),
    ],
)
async def test_a_line_is_what_the_model_takes(engine: Engine, signature: Signature, row: bytes) -> None:
    served = put(engine.lineup, TensorModel(signature))

    assert await answered(engine, served, row + b"\n", row) == [{"prediction": 6}, {"prediction": 6}]


async def test_a_bad_line_is_named_and_the_stream_goes_on(engine: Engine) -> None:
    bad = b'{"a": 1, "b": "secret", "c": 3}\n'

    answers = await answered(engine, put(engine.lineup), ROW + bad + b"\n" + ROW + b"secret}\n7\n", ROW)

    assert answers == [
        {"prediction": 6},
        {"error": "column 'b': expected a double, got a string", "code": "invalid-input", "row": 2},
        {"prediction": 6},
        {"error": "the line is not JSON", "code": "invalid-input", "row": 4},
        {
            "error": "a line is an object or a list with a (double), b (double), c (double)",
            "code": "invalid-input",
            "row": 5,
        },
        {"prediction": 6},
    ]


async def test_a_row_is_answered_as_it_would_be_alone(engine: Engine) -> None:
    """In one body, MLflow would take what other rows have for missing here."""
    answers = await answered(engine, put(engine.lineup), ROW + b'{"a": 1, "b": 2}\n[1, 2]\n')

    assert [set(each) for each in answers] == [{"prediction"}, {"error", "code", "row"}, {"error", "code", "row"}]
    assert "column 'c' is missing" in answers[1]["error"]


async def test_a_line_cannot_leave_its_place(engine: Engine) -> None:
    splice = b'{"a": 1, "b": 2, "c": 3}], "params": {"predict_proba": true}, "x": [{}\n'

    (answer,) = await answered(engine, put(engine.lineup), splice)

    assert answer == {"error": "the line is not JSON", "code": "invalid-input", "row": 1}


async def test_lines_that_arrived_together_are_predicted_together(engine: Engine) -> None:
    sizes: list[int] = []

    def counted(rows: Rows) -> Answer:
        sizes.append(rows.count)
        return total(rows)

    served = put(engine.lineup, TensorModel(answers=counted))

    await answered(engine, served, ROW * 600, ROW, ROW[:5], ROW[5:])

    assert sizes == [256, 256, 88, 1, 1]


async def test_no_line_waits_for_the_next(engine: Engine) -> None:
    asked: list[str] = []

    async def talking() -> AsyncIterator[bytes]:
        for turn in ("first", "second"):
            asked.append(turn)
            yield ROW

    parts = stream(LineRows(engine, put(engine.lineup), Call()), talking())

    assert await anext(parts) == b'{"prediction":6}\n'
    assert asked == ["first"]  # and nothing is read before that answer is taken
    assert [part async for part in parts] == [b'{"prediction":6}\n']


async def test_a_row_that_the_model_refuses_takes_no_other_with_it(engine: Engine) -> None:
    def picky(rows: Rows) -> Answer:
        if (rows.blocks[0][:, 0] < 0).any():
            raise RowsRefused("not below 0")
        return total(rows)

    answers = await answered(engine, put(engine.lineup, TensorModel(answers=picky)), ROW + b"[-1,0,0]\n" + ROW)

    refused = {"error": "not below 0", "code": "rows-refused", "row": 2}
    assert answers == [{"prediction": 6}, refused, {"prediction": 6}]


async def test_a_crash_of_the_model_says_nothing_of_it(engine: Engine) -> None:
    def crash(_rows: Rows) -> Answer:
        raise ZeroDivisionError("secret")

    (answer,) = await answered(engine, put(engine.lineup, TensorModel(answers=crash)), ROW)

    assert "secret" not in str(answer)
    assert (answer["code"], answer["row"]) == ("prediction-failed", 1)


async def test_a_version_is_the_streams_own(engine: Engine) -> None:
    served = put(engine.lineup)

    async def swapped() -> AsyncIterator[bytes]:
        yield ROW
        put(engine.lineup, TensorModel(answers=lambda rows: Answer((rows.blocks[0][:, 0],))), 8)
        yield ROW

    parts = [part async for part in stream(LineRows(engine, served, Call()), swapped())]

    assert parts == [b'{"prediction":6}\n'] * 2


@pytest.mark.parametrize("tail", [b"[" + b" " * 100 + b"1,2,3]\n" + ROW, b"[" * 100, ROW.strip() + b'"' * 99 + b"\n"])
async def test_a_line_without_end_ends_the_stream(engine: Engine, tail: bytes) -> None:
    chunks = [ROW + tail[:50], tail[50:], ROW]

    answers = await answered(engine, put(engine.lineup), *chunks, line_bytes=64)

    end = {"error": "a line is longer than 64 bytes; the stream ends here", "code": "too-large", "row": 2}
    assert answers == [{"prediction": 6}, end]


async def test_a_deadline_ends_the_stream(engine: Engine) -> None:
    call = Call(deadline=time.monotonic() - 1)

    answers = await answered(engine, put(engine.lineup), ROW * 3, call=call)

    assert [(each["code"], each["row"]) for each in answers] == [("deadline-expired", 1)]


async def test_a_caller_who_hangs_up_is_not_predicted_for(engine: Engine) -> None:
    held = Held()
    served = put(engine.lineup, TensorModel(answers=held), inline_rows=0)
    reading = asyncio.create_task(answered(engine, served, ROW, ROW))
    assert await asyncio.to_thread(held.started.wait, 20)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    held.release.set()

    assert held.seen == [1]


async def test_a_model_whose_bodies_only_mlflow_reads_is_asked_row_by_row(engine: Engine) -> None:
    nested = Signature((Column("a", "array"),))
    bodies: list[bytes] = []

    def own(body: bytes) -> bytes:
        bodies.append(body)
        return b'{"predictions": [NaN]}' if b"2" in body else b'{"predictions": [{"y": 1}]}'

    answers = await answered(engine, put(engine.lineup, TensorModel(nested, body=own)), b'{"a": [1]}\n{"a": [2]}\n')

    assert answers == [{"prediction": {"y": 1}}, {"prediction": None}]
    assert bodies[0] == b'{"dataframe_records":[{"a": [1]}]}'


async def test_an_answer_with_columns_is_an_object(engine: Engine) -> None:
    def table(rows: Rows) -> Answer:
        return Answer((rows.blocks[0][:, 0], rows.blocks[0][:, 1]), ("low", "high"))

    answers = await answered(engine, put(engine.lineup, TensorModel(answers=table)), ROW * 2)

    assert answers == [{"prediction": {"low": 1.0, "high": 2.0}}] * 2


LINE = st.sampled_from([ROW, b"[1,2,3]\n", b"[1,null,3]\n", b"nonsense\n", b"\n", b"{}\n", b"7\n", b"\xff\n"])


@given(st.lists(LINE, max_size=12), st.data())
@settings(deadline=None)
async def test_how_a_stream_is_cut_changes_no_answer(lines: list[bytes], data: st.DataObject) -> None:
    engine = Engine(Lineup(("iris",)))
    served = put(engine.lineup, TensorModel(THREE))
    body = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    whole, cut = await answered(engine, served, body), await answered(engine, served, *pieces, rows=2)
    engine.close()

    assert whole == cut
    assert len(whole) == len([line for line in lines if line.strip()])
