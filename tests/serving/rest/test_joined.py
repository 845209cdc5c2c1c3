import asyncio
from collections.abc import Iterable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.rest.joined import Joined

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Wire:
    """A transport that remembers each write."""

    def __init__(self) -> None:
        self.writes: list[bytes | tuple[bytes, ...]] = []
        self.closed_after = -1

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.writes.append(tuple(parts))

    def close(self) -> None:
        self.closed_after = len(self.writes)

    def is_closing(self) -> bool:
        return self.closed_after >= 0

    def get_write_buffer_size(self) -> int:
        return 7

    def _nothing(self, *_: object) -> None:
        """Of what is not asked here."""

    pause_reading = resume_reading = get_extra_info = _nothing


class Loop:
    """Calls when it is told to."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def call_soon(self, call: object) -> None:
        self.calls.append(call)

    def round(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            assert callable(call)
            call()


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def joined(wire: Wire, loop: Loop) -> Joined:
    return joining(wire, loop)


def joining(wire: Wire, loop: Loop) -> Joined:
    return Joined(cast("asyncio.Transport", wire), cast("asyncio.AbstractEventLoop", loop))


def test_a_head_and_its_body_are_one_write(joined: Joined, wire: Wire, loop: Loop) -> None:
    joined.write(HEAD)
    assert wire.writes == []
    joined.write(b"body")
    loop.round()

    assert wire.writes == [HEAD + b"body"]


def test_a_head_without_its_body_goes_out_when_the_loop_has_nothing_before_it(
    joined: Joined, wire: Wire, loop: Loop
) -> None:
    joined.write(HEAD)
    loop.round()
    assert wire.writes == [HEAD]

    joined.write(b"body")
    assert wire.writes == [HEAD, b"body"]


def test_a_large_body_is_not_copied(joined: Joined, wire: Wire) -> None:
    body = bytes(1 << 20)
    joined.write(HEAD)
    joined.write(body)

    assert isinstance(wire.writes[0], tuple)
    assert wire.writes[0][1] is body


def test_what_is_no_head_is_written_at_once(joined: Joined, wire: Wire) -> None:
    joined.write(HEAD + b"body")
    joined.write(b"more")

    assert wire.writes == [HEAD + b"body", b"more"]


def test_who_closes_leaves_no_head_behind(joined: Joined, wire: Wire, loop: Loop) -> None:
    joined.write(HEAD)
    joined.close()
    loop.round()

    assert wire.writes == [HEAD]
    assert wire.closed_after == 1
    assert joined.is_closing()


def test_whatever_else_a_transport_is_asked_it_answers(joined: Joined) -> None:
    assert joined.get_write_buffer_size() == 7


@given(st.lists(st.sampled_from([HEAD, b"body", b"", b"\r\n\r\n", b"HTTP/1.1 ", None])))
def test_what_is_written_comes_out_whole_and_in_order(written: list[bytes | None]) -> None:
    wire, loop = Wire(), Loop()
    joined = joining(wire, loop)
    for each in written:  # None: the loop's next round
        if each is None:
            loop.round()
        else:
            joined.write(each)
    joined.close()

    out = b"".join(b"".join(each) if isinstance(each, tuple) else each for each in wire.writes)
    assert out == b"".join(each for each in written if each is not None)
