"""Whatever is sent is answered, or refused with a reason: a real model, the app and the gRPC server in this process."""

import asyncio
from collections.abc import Iterator

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.engine import Engine
from serving.rest.front import Front
from serving.rest.watched import Watched
from serving.rpc.server import Options, start
from tests.fuzz import asking, bodies, calls
from tests.fuzz.house import an_app
from tests.servers import free_port

PATHS = (
    "/invocations",
    "/v1/models/iris/jobs",
    "/v2/models/iris/infer",
    "/v2/models/iris/versions/7/infer",
)
SHORT = settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
SHORT_CALL = settings(SHORT, max_examples=30)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Front | Watched, Engine]]:
    with an_app(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.mark.parametrize("path", PATHS)
def test_any_body_under_any_headers_is_answered_or_refused_with_a_reason(
    house: tuple[Front | Watched, Engine], path: str
) -> None:
    async def asked(body: bytes, headers: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(house[0])
        async with httpx.AsyncClient(transport=transport, base_url="http://slipway") as client:
            sent = {name: value.encode("latin-1") for name, value in headers.items()}
            return await client.post(path, content=body, headers=sent)  # type: ignore[arg-type]  # bytes are taken, too

    with asyncio.Runner() as runner:

        @SHORT
        @given(bodies.anything, st.sampled_from(bodies.MEDIA_TYPES), st.sampled_from(bodies.ENCODINGS), bodies.headers)
        def one(body: bytes, media_type: str, encoding: str | None, headers: dict[str, str]) -> None:
            packing = {} if encoding is None else {"content-encoding": encoding}
            answer = runner.run(asked(body, {"content-type": media_type, **packing, **headers}))
            assert asking.wrong_with(answer) is None

        one()


@pytest.mark.parametrize("method", calls.METHODS, ids=calls.named)
def test_any_message_is_answered_or_refused_with_a_reason(
    house: tuple[Front | Watched, Engine], method: calls.Method
) -> None:
    with asyncio.Runner() as runner:
        address = f"127.0.0.1:{free_port()}"
        server = runner.run(start(house[1], address, Options(health_poll_seconds=0.01)))
        channel = runner.run(_opened(address))

        @SHORT_CALL
        @given(st.lists(calls.messages(method), min_size=1, max_size=3))
        def one(messages: list[bytes]) -> None:
            assert runner.run(asking.wrong_with_call(channel, method, messages)) is None

        try:
            one()
        finally:
            runner.run(channel.close())
            runner.run(server.stop(None))


async def _opened(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address)
