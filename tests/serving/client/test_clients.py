"""Both clients, over both transports, against serving's own app and engine."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serving.client import (
    AsyncClient,
    CallerError,
    Client,
    ClientError,
    DeadlineExpired,
    InvalidInput,
    NoProbabilities,
    PredictionFailed,
    RowsRefused,
    UnknownModel,
)
from serving.errors import RowsRefused as Refuses
from serving.protocol import PREDICT_PROBA, Answer, Column, Param, Rows, Signature
from tests.serving.client.conftest import Running, Transport
from tests.serving.tensor_models import THREE, Held, TensorModel, total

FRAME = pd.DataFrame({"a": [1.0, 4.0], "b": [2.0, 5.0], "c": [3.0, 6.0]}, index=["one", "two"])
PROBABLY = [[0.06, 0.94], [0.15, 0.85]]


@pytest.fixture(autouse=True)
def first_version(running: Running) -> Iterator[None]:
    """Whoever promotes another one leaves this one behind."""
    yield
    running.put(TensorModel())


def test_what_goes_in_decides_what_comes_out(client: Client) -> None:
    pd.testing.assert_series_equal(client.predict(FRAME), pd.Series([6, 15], index=FRAME.index, name="prediction"))
    np.testing.assert_array_equal(client.predict(FRAME.to_numpy()), [6, 15])
    assert client.predict(FRAME.to_dict("list")) == [6, 15]
    assert client.predict(FRAME.to_dict("records")) == [6, 15]
    assert client.predict([[1, 2, 3]]) == [6]
    assert client.predict({"a": 1, "b": 2, "c": 3}) == [6]


def test_probabilities_have_a_column_a_class(client: Client) -> None:
    pd.testing.assert_frame_equal(client.predict_proba(FRAME), pd.DataFrame(PROBABLY, index=FRAME.index))
    np.testing.assert_array_equal(client.predict_proba(FRAME.to_numpy()), PROBABLY)
    assert client.predict_proba(FRAME.to_dict("list")) == PROBABLY


async def test_the_asynchronous_client_has_the_same_verbs(running: Running, transport: Transport) -> None:
    async with running.async_client(transport) as client:
        answer = await client.ask(FRAME)
        pd.testing.assert_series_equal(answer.predictions, pd.Series([6, 15], index=FRAME.index, name="prediction"))
        assert await client.predict([[1, 2, 3]]) == [6]
        assert await client.predict_proba(FRAME.to_dict("list")) == PROBABLY
        assert [each async for each in client.stream([[1, 2, 3]])] == [6]
        assert (await client.interface()).version == answer.version == "7"
        assert await asyncio.gather(*(client.predict([[at, 0, 0]]) for at in range(20))) == [[at] for at in range(20)]


def test_an_answer_names_the_version_and_the_request(client: Client) -> None:
    first, second = client.ask(FRAME), client.ask(FRAME)

    assert (first.model, first.version) == ("iris", "7")
    assert first.request_id
    assert first.request_id != second.request_id


def test_params_reach_the_model(running: Running, client: Client) -> None:
    def scaled(rows: Rows) -> Answer:
        return Answer((rows.blocks[0][:, 0] * float(str(rows.params["scale"])),))

    signature = Signature(THREE.inputs, THREE.outputs, (Param("scale", "double", 1.0),))
    running.put(TensorModel(signature, scaled))

    assert client.predict(FRAME.to_dict("list")) == [1, 4]
    assert client.predict(FRAME.to_dict("list"), params={"scale": 2.5}) == [2.5, 10]


def test_texts_tables_and_missing_numbers_are_the_same_over_either_transport(running: Running, client: Client) -> None:
    def table(rows: Rows) -> Answer:
        texts = np.array(["é"] * rows.count, object)
        return Answer((texts, np.array([np.nan, 0.5])[: rows.count]), ("word", "number"))

    running.put(TensorModel(answers=table))

    assert client.predict([[1, 2, 3]]) == [{"word": "é", "number": None}]
    expected = pd.DataFrame({"word": ["é"] * 2, "number": [np.nan, 0.5]}, index=FRAME.index)
    pd.testing.assert_frame_equal(client.predict(FRAME), expected)


@pytest.mark.parametrize("kind", ["float16", "float32", "bool", "int8", "uint64"])
def test_answers_of_any_type_are_the_same_over_either_transport(running: Running, client: Client, kind: str) -> None:
    answer = np.array([[0, 1], [1, 0]], kind)
    running.put(TensorModel(answers=lambda rows: Answer((answer[: rows.count],))))

    assert client.predict(FRAME.to_dict("list")) == answer.tolist()


@pytest.mark.parametrize(
    ("rows", "kind", "reason"),
    [
        ({"a": [1.0], "b": [2.0]}, InvalidInput, "column 'c' is missing"),
        ([{"a": "secret", "b": 1, "c": 1}], InvalidInput, "column 'a': expected a double, got"),
        ([[1, 2]], InvalidInput, "a row of this model has 3 values"),
        (np.zeros(3), InvalidInput, "a row of this model has 3 values"),
        (np.zeros((1, 3, 3)), InvalidInput, "3 values|expected a number|expected a double|list"),
    ],
)
def test_a_refusal_is_the_same_over_either_transport(
    client: Client, rows: Any, kind: type[ClientError], reason: str
) -> None:
    with pytest.raises(kind, match=reason) as refusal:
        client.predict(rows)

    assert refusal.value.code == kind.code
    assert "secret" not in str(refusal.value)


def test_no_rows_are_no_predictions(running: Running, client: Client) -> None:
    running.put(TensorModel(answers=lambda rows: Answer((rows.blocks[0][:, 0],))))

    nothing = client.predict(FRAME.head(0))

    assert (type(nothing), len(nothing)) == (pd.Series, 0)
    assert len(client.predict(np.zeros((0, 3)))) == 0
    assert client.predict({"a": [], "b": [], "c": []}) == client.predict([]) == []


def test_a_refusal_names_the_version_and_the_request(client: Client) -> None:
    with pytest.raises(InvalidInput) as refusal:
        client.predict({"a": [1.0]})

    assert refusal.value.version == "7"
    assert refusal.value.request_id in str(refusal.value)


def test_what_is_wrong_with_the_model_is_told_by_kind(running: Running, client: Client) -> None:
    def crash(_rows: Rows) -> Answer:
        raise ZeroDivisionError("secret")

    running.put(TensorModel(probabilities=False, answers=crash))

    with pytest.raises(PredictionFailed, match="the server's log has the cause"):
        client.predict(FRAME)
    with pytest.raises(NoProbabilities):
        client.predict_proba(FRAME)


def test_another_model_is_unknown(running: Running, transport: Transport) -> None:
    with Client(running.url(transport), model="nobody's") as client, pytest.raises(UnknownModel, match="no such model"):
        client.predict(FRAME)


def test_without_a_name_the_servers_first_model_answers(running: Running) -> None:
    with Client(running.url("http")) as client:
        assert client.ask(FRAME.to_numpy()).model == "iris"
    with pytest.raises(ValueError, match="over gRPC the model has to be named"):
        Client(running.url("grpc"))


def test_the_server_gives_up_when_the_time_is_up(running: Running, transport: Transport) -> None:
    held = Held()
    running.put(TensorModel(answers=held, runtime="native"))
    try:
        with running.client(transport) as client, pytest.raises(DeadlineExpired):
            client.predict(FRAME, timeout=0.3)
    finally:
        held.release.set()


def test_a_promotion_of_another_signature_fails_no_call(running: Running, client: Client) -> None:
    """The columns that were learnt are those of the former version."""
    assert client.predict([[1, 2, 3]]) == [6]
    running.put(TensorModel(Signature(tuple(Column(name, "double") for name in "xyz"))), 8)
    assert client.ask([[1, 2, 3]]).version == "8"
    running.put(TensorModel(Signature((Column("x", "double"),))), 9)
    assert client.ask([[1]]).version == "9"


def test_several_threads_may_use_one_client(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda at: client.predict([[at, 0, 0]]), range(100)))

    assert answers == [[at] for at in range(100)]


def test_a_stream_answers_rows_of_every_form_in_order(client: Client) -> None:
    rows = [[1, 2, 3], {"a": 4, "b": 5, "c": 6}, np.zeros(3), FRAME.iloc[0]]

    assert list(client.stream(rows)) == [6, 15, 0, 6]
    assert list(client.stream(FRAME)) == [6, 15]
    assert list(client.stream([])) == []


def test_a_refused_row_ends_a_stream_or_is_answered_by_its_error(running: Running, client: Client) -> None:
    def picky(rows: Rows) -> Answer:
        if (rows.blocks[0][:, 0] < 0).any():
            raise Refuses("not below 0")
        return total(rows)

    running.put(TensorModel(answers=picky))
    rows = [[at, 0, 0] for at in range(300)]
    rows[270] = [-1, 0, 0]
    rows[280] = ["secret", 0, 0]  # type: ignore[list-item]  # as a caller may

    outcomes = list(client.stream(rows, on_refused="yield"))

    refused, invalid = outcomes[270], outcomes[280]
    assert [each for at, each in enumerate(outcomes) if at not in {270, 280}] == [
        at for at in range(300) if at not in {270, 280}
    ]
    assert (type(refused), refused.reason, refused.row) == (RowsRefused, "not below 0", 271)
    assert (type(invalid), invalid.row) == (InvalidInput, 281)
    answered = client.stream(rows)
    assert [next(answered) for _ in range(270)] == list(range(270))
    with pytest.raises(RowsRefused, match=r"^row 271: not below 0"):
        next(answered)


def test_a_stream_takes_rows_no_sooner_than_it_needs_them(client: Client) -> None:
    taken = 0

    def rows() -> Iterator[list[int]]:
        nonlocal taken
        for at in range(10_000):
            taken = at
            yield [at, 0, 0]

    answers = client.stream(rows())

    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    assert taken < 1000


async def test_an_asynchronous_stream_takes_rows_from_an_asynchronous_source(
    running: Running, transport: Transport
) -> None:
    async def rows() -> AsyncIterator[list[int]]:
        for at in range(600):
            await asyncio.sleep(0)
            yield [at, 0, 0]

    async with running.async_client(transport) as client:
        assert [each async for each in client.stream(rows())] == list(range(600))


def test_a_long_stream_is_answered_in_constant_memory(client: Client) -> None:
    """The server is in this process too, so that its memory counts as well."""

    def peak(rows: int) -> int:
        gc.collect()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        assert sum(1 for _ in client.stream([at, 0, 0] for at in range(rows))) == rows
        return tracemalloc.get_traced_memory()[1] - before

    peak(2000)
    tracemalloc.start()
    try:
        few, many = peak(2000), peak(40_000)
    finally:
        tracemalloc.stop()

    assert many < few + (2 << 20)


def test_a_refusal_of_the_whole_stream_is_raised(running: Running, transport: Transport) -> None:
    with Client(running.url(transport), model="nobody's") as client, pytest.raises(CallerError, match="no such model"):
        list(client.stream([[1, 2, 3]], on_refused="yield"))


@pytest.mark.parametrize(
    ("url", "transport"),
    [("ftp://here", None), ("here:8000", None), ("http://", None), ("http://here", "grpc"), ("here", "smoke")],
)
def test_an_address_that_leads_nowhere_is_refused_at_once(url: str, transport: Any) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="http"):
            kind(url, model="iris", transport=transport)


def test_a_bare_address_takes_a_transport(running: Running) -> None:
    for transport, port in (("http", running.http), ("grpc", running.grpc)):
        with Client(f"127.0.0.1:{port}", model="iris", transport=transport) as client:  # type: ignore[arg-type]  # either
            assert client.predict([[1, 2, 3]]) == [6]


def test_probabilities_are_asked_for_by_servings_own_name() -> None:
    from serving.client.connection import PREDICT_PROBA as OURS

    assert OURS == PREDICT_PROBA
