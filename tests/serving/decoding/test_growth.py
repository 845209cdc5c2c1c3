"""Bodies of some hundred kilobytes that would take gigabytes, or minutes, once they are laid out."""

import json
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from serving.decoding import growth, plan
from serving.errors import InvalidInput
from serving.protocol import CSV, JSON, Column, Signature, Tensor

MANY = 20_000
NUMBER = Signature((Column("x", "double"),))
TEXT = Signature((Column("x", "string"),))
TEXTS = Signature((Tensor("x", "str", (-1,)),))
LONG = "y" * MANY
MOST_BYTES = 100_000_000

BODIES: dict[str, tuple[Signature, str, object]] = {
    "one long row among empty ones": (NUMBER, JSON, {"dataframe_split": {"data": [[0] * MANY] + [[]] * MANY}}),
    "a column of its own in every row": (NUMBER, JSON, {"dataframe_records": [{f"a{at}": 1} for at in range(MANY)]}),
    "one long line of CSV": (NUMBER, CSV, "," * MANY + "\n" + "1\n" * MANY),
    "one long text": (TEXT, JSON, {"inputs": {"x": [LONG] + [""] * MANY, "more": [1] * (MANY + 1)}}),
    "one long text that nobody asked for": (TEXT, JSON, {"inputs": {"x": ["a"], "more": [LONG] + [""] * MANY}}),
    "one long text by row": (TEXT, JSON, {"instances": [{"x": LONG, "more": 1}] + [{"x": "", "more": 1}] * MANY}),
    "one long text of a tensor": (TEXTS, JSON, {"inputs": {"x": [LONG] + [""] * MANY}}),
    "one long number as a text": (TEXT, JSON, {"inputs": {"x": [10**4000] + [1] * MANY, "more": [1] * (MANY + 1)}}),
}


def memory(work: Callable[[], object]) -> int:
    """The most that Python and numpy had at a time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BODIES)
def test_what_is_mostly_gaps_is_refused_before_it_takes_room(name: str) -> None:
    signature, media_type, content = BODIES[name]
    body = (content if isinstance(content, str) else json.dumps(content)).encode()
    decoder = plan.compile(signature)
    assert decoder is not None

    def refused() -> None:
        with pytest.raises(InvalidInput, match=r"do not fill a table|is missing"):
            decoder.rows(media_type, body)

    assert memory(refused) < MOST_BYTES


def test_one_long_text_of_a_binary_tensor_is_refused() -> None:
    decoder = plan.compile(TEXTS)
    assert decoder is not None
    texts = np.array([LONG.encode()] + [b""] * MANY, object)

    with pytest.raises(InvalidInput, match="input 'x': the values do not fill a table"):
        decoder.tensors({"x": texts})


def test_values_that_are_the_same_in_every_row_take_the_room_of_one() -> None:
    decoder = plan.compile(NUMBER)
    assert decoder is not None
    single = {f"a{at}": 1 for at in range(2000)}
    body = json.dumps({"inputs": {"x": [0.5] * MANY, **single}}).encode()

    assert memory(lambda: decoder.rows(JSON, body)) < MOST_BYTES


def test_a_header_that_says_one_name_again_and_again_is_read_in_one_go() -> None:
    decoder = plan.compile(NUMBER)
    assert decoder is not None
    body = b"x," * 50_000 + b"y\n" + b"1," * 50_000 + b"1\n"

    assert decoder.rows(CSV, body).count == 1  # by a look at all names for each, a minute


def test_a_small_table_may_have_as_many_gaps_as_it_likes() -> None:
    growth.check(1, 1000)
    growth.check_texts(["long " * 100, *([""] * 100)])
    with pytest.raises(growth.Sprawling):
        growth.check(1, 2_000_000)
