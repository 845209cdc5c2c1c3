import socket
from collections.abc import Iterator
from datetime import date
from multiprocessing.connection import Connection, Pipe
from threading import Thread
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from serving.errors import InvalidInput, PredictionFailed, QueueFull, RowsRefused, ServingError
from serving.hosting import messages
from serving.hosting.messages import Began, Failed
from serving.logs import where
from serving.protocol import PREDICT, Answer, NotRows, Rows

TEXTS = st.one_of(st.text(), st.none(), st.binary(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats())
VALUES = st.recursive(TEXTS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
NUMBERS = st.one_of(
    nps.boolean_dtypes(),
    nps.integer_dtypes(),
    nps.unsigned_integer_dtypes(),
    nps.floating_dtypes(),
    nps.unicode_string_dtypes(),
)


@st.composite
def objects(draw: st.DrawFn) -> Any:
    values = draw(st.lists(VALUES, max_size=6))
    found = np.empty(len(values), object)
    found[:] = values
    return found


ARRAYS = st.one_of(objects(), nps.arrays(NUMBERS, nps.array_shapes(max_dims=3, min_side=0, max_side=4)))


class Echo:
    """A model on the other side of a line: what it is asked, and what it says."""

    def __init__(self) -> None:
        self.here, self._there = Pipe()

    def says(self, result: messages.Result) -> None:
        self.result = result
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        self.asked = messages.question(self._there)
        self._there.send_bytes(messages.encoded(self.result))

    def heard(self) -> tuple[str, tuple[Any, ...]]:
        self._thread.join(20)
        return self.asked

    def close(self) -> None:
        self.here.close()
        self._there.close()


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


def same(one: Any, other: Any) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return repr(one.tolist()) == repr(other.tolist())


@given(st.lists(ARRAYS, min_size=1, max_size=3), st.none() | st.lists(st.text(), max_size=3))
def test_an_answer_arrives_as_it_was_given(echo: Echo, outputs: list[Any], names: list[str] | None) -> None:
    echo.says(messages.answered(Answer(tuple(outputs), None if names is None else tuple(names))))

    answer = messages.ask(echo.here, Rows((), 0))

    assert [same(mine, theirs) for mine, theirs in zip(answer.outputs, outputs, strict=True)] == [True] * len(outputs)
    assert answer.names == (None if names is None else tuple(names))


@given(st.lists(ARRAYS, max_size=3), st.dictionaries(st.text(), VALUES, max_size=2))
def test_rows_arrive_as_they_were_sent(echo: Echo, blocks: list[Any], params: dict[str, Any]) -> None:
    echo.says(messages.answered(Answer(())))
    rows = Rows(tuple(blocks), 3, PREDICT, params, ("one",))

    messages.ask(echo.here, rows)

    method, (arrived,) = echo.heard()
    assert method == "predict"
    assert [same(mine, theirs) for mine, theirs in zip(arrived.blocks, blocks, strict=True)] == [True] * len(blocks)
    assert (arrived.count, arrived.method, repr(arrived.params), arrived.names) == (3, PREDICT, repr(params), ("one",))


@pytest.mark.parametrize("value", [date(2026, 1, 1), 2**64, -(2**63) - 1, {1: "a"}, object(), 1j])
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_would_arrive_as_something_else_is_not_sent(value: Any, wrapped: bool) -> None:
    array = np.empty(1, object)
    array[0] = [value] if wrapped else value

    with pytest.raises(NotRows):
        messages.answered(Answer((array,)))


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (np.float32(0.1), np.float32(0.1).item()),
        (np.str_("a"), "a"),
        (np.array([[1.5], [2.5]]), [[1.5], [2.5]]),
        ((1, (2,)), [1, [2]]),
        ({"a": np.int64(1)}, {"a": 1}),
    ],
)
def test_what_a_library_wraps_values_in_arrives_as_json_has_it(echo: Echo, value: Any, arrives: Any) -> None:
    array = np.empty(1, object)
    array[0] = value
    echo.says(messages.answered(Answer((array,))))

    (output,) = messages.ask(echo.here, Rows((), 0)).outputs

    assert output.tolist() == [arrives]
    assert type(output[0]) is type(arrives)


def test_an_answer_cannot_bring_code_along() -> None:
    """Not a pickle: what a model's process sends may be wrong, and no more."""
    here, there = Pipe()
    with here, there:
        there.send(Answer((np.zeros(1),)))

        with pytest.raises(msgspec.DecodeError):
            messages.ask(here, Rows((), 0))


@pytest.mark.parametrize(
    ("error", "arrives", "says"),
    [
        (InvalidInput("row 1"), InvalidInput, "row 1"),
        (RowsRefused("row 2"), RowsRefused, "row 2"),
        (NotRows(), NotRows, str(NotRows())),
        (QueueFull(3), PredictionFailed, str(PredictionFailed())),
        (ValueError("secret"), PredictionFailed, str(PredictionFailed())),
        (type("InvalidInput", (Exception,), {})("secret"), PredictionFailed, str(PredictionFailed())),
        (SystemExit(3), PredictionFailed, str(PredictionFailed())),
    ],
)
def test_an_error_arrives_as_the_one_it_is(
    echo: Echo, error: BaseException, arrives: type[ServingError], says: str
) -> None:
    echo.says(messages.failed(error))

    with pytest.raises(ServingError) as caught:
        messages.ask(echo.here, Rows((), 0))

    assert (type(caught.value), str(caught.value)) == (arrives, says)
    assert type(error).__name__ in where(caught.value)


@pytest.mark.parametrize("wrong", [messages.Written(b"{}"), Failed("Unheard", "", "somewhere")])
def test_an_answer_to_another_question_is_none(echo: Echo, wrong: messages.Result) -> None:
    echo.says(wrong)

    with pytest.raises((EOFError, PredictionFailed)):
        messages.ask(echo.here, Rows((), 0))


def test_news_is_told_apart() -> None:
    here, there = Pipe()
    with here, there:
        messages.send(there, Began(7))

        assert messages.about(here) == Began(7)


def test_lines_are_handed_over_until_the_other_side_closes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        mine = [messages.give_channel(ours) for _ in range(3)]
        ours.close()

        given_over: list[Connection] = list(messages.channels(theirs))

    for number, (here, there) in enumerate(zip(mine, given_over, strict=True)):
        there.send_bytes(str(number).encode())
        assert here.recv_bytes() == str(number).encode()
        here.close()
        there.close()


def test_no_line_is_made_to_who_is_gone() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(OSError, match="Broken pipe"):
        messages.give_channel(ours)
