"""A real server that asks for keys, with two workers."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from serving.access import key_file
from serving.access.opening import lacking
from serving.settings import Auth
from tests.servers import Server, Stack, eventually
from tests.serving.access.conftest import MakeKey
from tests.serving.conftest import Registrar, slope

Process = Callable[..., AbstractContextManager[tuple[Server, httpx.Client]]]
BODY = {"dataframe_split": {"columns": ["x", "size"], "data": [[2.0, 1.0]]}}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.org"])  # noqa: S104 - never bound
def test_a_port_that_others_reach_is_not_opened_without_asking_who_they_are(
    host: str, key_path: Path, make_key: MakeKey
) -> None:
    make_key("predict")

    (line,) = lacking(Auth(), host)
    assert "SERVING_AUTH__KEYS" in line
    assert "SERVING_AUTH__ANYONE=true" in line
    assert lacking(Auth(anyone=True), host) == []
    assert lacking(Auth(keys=key_path), host) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_on_this_machine_nobody_is_asked(host: str) -> None:
    assert lacking(Auth(), host) == []


def test_a_file_that_has_no_keys_in_it_is_told_at_the_start(key_path: Path) -> None:
    key_path.write_text("no keys")

    (line,) = lacking(Auth(keys=key_path), "127.0.0.1")

    assert line.startswith("SERVING_AUTH__KEYS: ")


@pytest.fixture
def serving(
    process: Process, registrar: Registrar, key_path: Path, make_key: MakeKey, stack: Stack
) -> Iterator[tuple[Server, httpx.Client, str]]:
    key = make_key("predict", rate=0.02)
    number = registrar.register(slope(2))
    registrar.stage(number)
    with process(SERVING_AUTH__KEYS=str(key_path), SERVING_WORKERS="2", SERVING_LIMITS__BURST="10") as (server, http):
        eventually(lambda: http.get("/v2/health/ready").is_success, seconds=60)
        yield server, http, key


def test_keys_count_while_it_runs_and_a_rate_is_one_for_all_workers(
    serving: tuple[Server, httpx.Client, str], key_path: Path, make_key: MakeKey
) -> None:
    server, http, key = serving
    headers = {"authorization": f"Bearer {key}"}
    assert http.post("/invocations", json=BODY).status_code == 401

    statuses: Counter[int] = Counter()
    for _ in range(30):  # a connection each, so that both workers are asked
        statuses[httpx.post(f"{server.url}/invocations", json=BODY, headers=headers).status_code] += 1
    assert statuses == {200: 10, 429: 20}
    assert int(http.post("/invocations", json=BODY, headers=headers).headers["retry-after"]) > 1

    late = {"x-api-key": make_key("predict")}
    eventually(lambda: all(_status(server, late) == 200 for _ in range(4)))
    with key_file.changing(key_path) as records:
        records.clear()
    eventually(lambda: all(_status(server, late) == 401 for _ in range(4)))
    log = server.log.read_text()
    assert key not in log
    assert late["x-api-key"] not in log


def _status(server: Server, headers: dict[str, str]) -> int:
    return httpx.post(f"{server.url}/invocations", json=BODY, headers=headers).status_code
