import asyncio
import gc
import gzip
import json
import random
import weakref
import zlib
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import InvalidInput, QueueFull, TooLarge, UnsupportedEncoding
from serving.lineup import Lineup
from serving.metrics.declared import Route
from serving.rest.wire import MOST_MEMBERS, Asked, unpacked
from tests.serving.tensor_models import put

PACK: dict[bytes, Callable[[bytes], bytes]] = {b"gzip": gzip.compress, b"deflate": zlib.compress}
BODY = json.dumps({"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}).encode()


@given(st.binary(max_size=2000), st.sampled_from(sorted(PACK)))
def test_what_was_packed_is_unpacked(body: bytes, packing: bytes) -> None:
    assert unpacked(PACK[packing](body), packing, len(body)) == body


@given(st.binary(max_size=200), st.sampled_from(sorted(PACK)))
def test_any_bytes_are_unpacked_or_invalid_input(body: bytes, packing: bytes) -> None:
    with suppress(InvalidInput):
        unpacked(body, packing, 1000)


@pytest.mark.parametrize("packing", sorted(PACK))
@pytest.mark.parametrize("wrong", ["cut", "more"])
def test_what_is_cut_off_or_goes_on_is_refused(packing: bytes, wrong: str) -> None:
    packed = PACK[packing](BODY)

    with pytest.raises(InvalidInput):
        unpacked(packed[:-1] if wrong == "cut" else packed + b"x", packing, 1000)


@pytest.mark.parametrize("packing", sorted(PACK))
def test_no_more_is_unpacked_than_a_body_may_have(packing: bytes) -> None:
    bomb = PACK[packing](bytes(100_000_000))

    with pytest.raises(TooLarge, match="stream of lines; SERVING_LARGEST_BODY"):
        unpacked(bomb, packing, 1000)


def test_gzip_in_endlessly_many_empty_members_is_refused_before_they_have_cost_anything() -> None:
    """20 bytes each: a body of the largest size would take a thread, and Python's lock, seven seconds."""
    with pytest.raises(InvalidInput, match="in more than 10000 members: pack it in one"):
        unpacked(gzip.compress(b"") * (MOST_MEMBERS + 1), b"gzip", 1000)


def test_identity_is_no_packing() -> None:
    assert unpacked(b"x", b"Identity", 1) == b"x"


def test_another_packing_is_refused_by_naming_those_there_are() -> None:
    with pytest.raises(UnsupportedEncoding, match="one of gzip, deflate; or leave"):
        unpacked(b"secret", b"br", 10)


@pytest.mark.parametrize("packing", sorted(PACK))
async def test_a_packed_body_is_answered(client: httpx.AsyncClient, lineup: Lineup, packing: bytes) -> None:
    put(lineup)
    headers = {"content-type": "application/json", "content-encoding": packing.decode()}

    answer = await client.post("/invocations", content=PACK[packing](BODY), headers=headers)

    assert answer.json() == {"predictions": [6]}


@pytest.mark.parametrize("media_type", ["application/json", "application/x-ndjson"])
async def test_a_packing_that_is_not_known_is_a_415(client: httpx.AsyncClient, lineup: Lineup, media_type: str) -> None:
    put(lineup)
    headers = {"content-type": media_type, "content-encoding": "br"}

    answer = await client.post("/invocations", content=b"secret", headers=headers)

    assert (answer.status_code, answer.json()["type"]) == (415, "urn:slipway:problem:unsupported-encoding")


def test_many_members_of_gzip_are_unpacked_in_one_go() -> None:
    """With a copy of the rest for each: minutes."""
    member = random.Random(1).randbytes(5000)  # noqa: S311 - what does not grow smaller

    assert unpacked(gzip.compress(member) * MOST_MEMBERS, b"gzip", 64 << 20) == member * MOST_MEMBERS


async def test_who_is_refused_while_waiting_leaves_nothing_to_the_garbage_collector() -> None:
    """In an overload that is thousands a second, and nothing is answered while it collects."""
    refused: list[weakref.ref[QueueFull]] = []

    async def refuse() -> None:
        await asyncio.sleep(0)
        error = QueueFull(3)
        refused.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error  # or this frame would be such a circle

    async def quiet() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    gc.disable()
    try:
        with suppress(QueueFull):
            await Asked({}, quiet, {}, "", 10, Route.INVOCATIONS).unless_gone(refuse())
        await asyncio.sleep(0)
        assert refused[0]() is None
    finally:
        gc.enable()
