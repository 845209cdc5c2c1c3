"""The same questions, many more of them, to the real processes: none of them ends, and none grows without bounds."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from serving.store.posted import Board, Posting
from tests.fakes import a_version
from tests.fuzz import asking, bodies, calls
from tests.fuzz.test_here import PATHS
from tests.fuzz.test_openapi import ANYHOW, KNOWN, check, operations
from tests.servers import Server, eventually
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.test_supervisor import WORKER, children, serving

pytestmark = pytest.mark.slow

LONG = settings(ANYHOW, max_examples=600)
LONG_CALL = settings(ANYHOW, max_examples=150)
LONG_OPERATION = settings(ANYHOW, max_examples=60)
MOST_GROWTH_BYTES = 400 << 20


@pytest.fixture(scope="module", params=["twin", "hosted"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Answers by an ONNX twin in the workers, or by a version in a host of its own. Every one of them lives on."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    more = {"SERVING_JOBS__DATABASE": f"sqlite:///{folder}/jobs.sqlite", "SERVING_ALLOW_CODE": "true"}
    with serving(folder, workers=2, SERVING_LARGEST_BODY=str(1 << 20), SERVING_TRUST="off", **more) as made:
        if request.param == "hosted":
            a_pyfunc(folder / "store" / "iris" / "7")
            Board(("iris",), folder / "store").put(Posting("iris", a_version(7), "iris/7"))
            eventually(lambda: httpx.get(f"{made.url}/v2/models/iris", timeout=60).json()["version"] == 7, seconds=60)
        before = {each.pid: each.memory_info().rss for each in children(made, WORKER)}
        yield made
        after = {each.pid: each.memory_info().rss for each in children(made, WORKER)}
        assert after.keys() == before.keys(), "a worker has ended"
        assert max(after[pid] - before[pid] for pid in before) < MOST_GROWTH_BYTES


@pytest.mark.parametrize("path", PATHS)
def test_any_body_under_any_headers_is_answered_or_refused_with_a_reason(running: Server, path: str) -> None:
    with httpx.Client(base_url=running.url, timeout=asking.SECONDS) as client:

        @LONG
        @given(bodies.anything, st.sampled_from(bodies.MEDIA_TYPES), st.sampled_from(bodies.ENCODINGS), bodies.headers)
        def one(body: bytes, media_type: str, encoding: str | None, headers: dict[str, str]) -> None:
            packing = {} if encoding is None else {"content-encoding": encoding}
            all_of_them = {**packing, **headers, "content-type": media_type}
            sent = {name.encode(): value.strip().encode("latin-1") for name, value in all_of_them.items()}
            where = path.replace("/versions/7", "")  # the twin is version 1
            answer = client.post(where, content=body, headers=sent)
            assert asking.wrong_with(answer) is None

        one()


@pytest.mark.parametrize("method", calls.METHODS, ids=calls.named)
def test_any_message_is_answered_or_refused_with_a_reason(running: Server, method: calls.Method) -> None:
    environment = psutil.Process(running.process.pid).environ()
    with asyncio.Runner() as runner:
        channel = runner.run(_opened(f"127.0.0.1:{environment['SERVING_GRPC_PORT']}"))

        @LONG_CALL
        @given(st.lists(calls.messages(method), min_size=1, max_size=3))
        def one(messages: list[bytes]) -> None:
            assert runner.run(asking.wrong_with_call(channel, method, messages)) is None

        one()
        runner.run(channel.close())


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_operation_answers_or_refuses_with_a_reason(running: Server, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    ones = {"inputs": {"x": [1.0], "size": [2.0]}}
    job = httpx.post(f"{running.url}/v1/models/iris/jobs", json=ones, timeout=asking.SECONDS).json()["id"]
    for operation in operations(schema):
        check(operation, mode, KNOWN | {"job": job}, LONG_OPERATION)


async def _opened(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address)
