"""A candidate over HTTP: who is answered by it, what the answer says, what metadata tell."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message

from serving.app import build
from serving.engine import Engine
from serving.lineup import Lineup, State
from serving.protocol import Answer, Rows
from serving.reporter import Reporter
from serving.trials.ledger import Writer
from serving.trials.traffic import on_canary
from tests.fakes import FakeModel, a_trial, a_version
from tests.servers import eventually
from tests.serving.samples import read
from tests.serving.tensor_models import TensorModel, total
from tests.serving.trials.on_trial import OnTrial, on_trial

ROWS = {"dataframe_split": {"columns": ["a", "b", "c"], "data": [[1, 2, 3]]}}
TENSOR = {"inputs": [{"name": "rows", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]}
INFER = "/v2/models/iris/infer"


@pytest.fixture
async def http(lineup: Lineup, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Callers say who they are in `x-tenant`."""
    engine = Engine(lineup, key_header="x-tenant")
    app = build(engine, reporter=Reporter(engine, trials=tmp_path))
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://slipway") as client:
        yield client


Begin = Callable[..., OnTrial]


@pytest.fixture
def begin(lineup: Lineup) -> Begin:
    return lambda *words, **options: on_trial(*words, engine=Engine(lineup), **{"inline_rows": 8, **options})


def wrong(rows: Rows) -> Answer:
    return Answer((total(rows).outputs[0] + 1,))


async def versions(http: httpx.AsyncClient, path: str, body: Any, keys: list[str]) -> list[str]:
    answers = [await http.post(path, json=body, headers={"x-tenant": key}) for key in keys]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.headers["x-model-version"] for answer in answers]


async def answered(app: ASGIApp) -> tuple[str, bytes]:
    """The version that an answer names, and its body; a client would cost more than all else here."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(ROWS).encode()}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    await app({"type": "http", "method": "POST", "path": "/invocations", "headers": headers}, receive, send)
    return dict(sent[0]["headers"])[b"x-model-version"].decode(), sent[1]["body"]


async def test_ten_percent_of_ten_thousand_requests_are_answered_by_the_canary(begin: Begin) -> None:
    """Without a key of the caller's own it is the request's id that counts, which differs each time."""
    app = build(begin("canary", 10, candidate=TensorModel(answers=wrong)).engine)

    named = Counter([await answered(app) for _ in range(10_000)])

    # Each answer is that of the version it names.
    assert set(named) == {("6", b'{"predictions":[6]}'), ("7", b'{"predictions":[7]}')}
    assert named["7", b'{"predictions":[7]}'] == pytest.approx(1000, abs=100)


@pytest.mark.parametrize(("path", "body"), [("/invocations", ROWS), (INFER, TENSOR)])
async def test_a_callers_key_decides_and_is_the_same_on_every_path(
    http: httpx.AsyncClient, begin: Begin, path: str, body: Any
) -> None:
    begin("canary", 30)
    keys = [f"tenant-{number}" for number in range(60)]

    expected = ["7" if on_canary(a_trial(a_version(7), percent=30), key.encode()) else "6" for key in keys]

    assert await versions(http, path, body, keys) == expected
    assert await versions(http, path, body, keys) == expected
    assert set(expected) == {"6", "7"}


async def test_a_caller_on_the_canary_stays_on_it_while_the_percent_grows(
    http: httpx.AsyncClient, begin: Begin
) -> None:
    trial = begin("canary", 0)
    keys = [f"tenant-{number}" for number in range(50)]
    before: set[str] = set()
    for percent in (0, 10, 50, 100):
        trial.say("canary", percent)

        named = await versions(http, "/invocations", ROWS, keys)

        now = {key for key, version in zip(keys, named, strict=True) if version == "7"}
        assert before <= now
        before = now
    assert before == set(keys)


async def test_the_request_id_is_the_key_of_who_has_no_other(http: httpx.AsyncClient, begin: Begin) -> None:
    begin("canary", 50)

    answers = [await http.post("/invocations", json=ROWS, headers={"x-request-id": "same"}) for _ in range(20)]

    assert len({answer.headers["x-model-version"] for answer in answers}) == 1


async def test_a_stream_of_lines_is_answered_by_one_version(http: httpx.AsyncClient, begin: Begin) -> None:
    trial = begin("canary", 100, candidate=TensorModel(answers=wrong))

    answer = await http.post(
        "/invocations", content=b"[1,2,3]\n[4,5,6]\n", headers={"content-type": "application/x-ndjson"}
    )

    assert answer.headers["x-model-version"] == "7"
    assert answer.text == '{"prediction":7}\n{"prediction":16}\n'
    assert trial.tally.candidate.requests >= 1


@pytest.mark.parametrize("mode", ["shadow", "canary"])
async def test_a_version_that_is_named_answers_whatever_the_mode_and_is_no_part_of_the_trial(
    http: httpx.AsyncClient, begin: Begin, mode: str
) -> None:
    trial = begin(mode, 50)

    answers = [await http.post(f"/v2/models/iris/versions/{version}/infer", json=TENSOR) for version in (6, 7, 8)]

    assert [answer.headers.get("x-model-version") for answer in answers] == ["6", "7", None]
    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert (trial.tally.candidate.requests, trial.tally.beside.requests, trial.tally.compared) == (0, 0, 0)


@pytest.mark.parametrize(("path", "body"), [("/invocations", ROWS), (INFER, TENSOR)])
async def test_a_shadow_hears_every_request_and_is_never_named(
    http: httpx.AsyncClient, begin: Begin, path: str, body: Any
) -> None:
    trial = begin("shadow", candidate=TensorModel(answers=wrong))

    answers = [await http.post(path, json=body) for _ in range(5)]

    assert {answer.headers["x-model-version"] for answer in answers} == {"6"}
    assert {answer.text for answer in answers} != {""}
    assert all("7" not in answer.json().get("predictions", [6]) for answer in answers)
    assert eventually(lambda: trial.tally.disagreed == 5)


async def test_bytes_that_a_canary_alone_refuses_are_its_error(http: httpx.AsyncClient, begin: Begin) -> None:
    from serving.protocol import Column, Signature

    needs_more = Signature((*(Column(name, "double") for name in "abcd"),), (Column("label", "long"),))
    trial = begin("canary", 100, candidate=TensorModel(needs_more))

    answers = [
        await http.post("/invocations", json=ROWS),
        await http.post(INFER, json={"inputs": [{**TENSOR["inputs"][0], "shape": [1, 3]}]}),
        await http.post("/invocations", content=b"[1,2,3]\n", headers={"content-type": "application/x-ndjson"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 200]
    assert eventually(lambda: trial.tally.candidate.errors == 3)


async def test_nonsense_is_the_callers_fault_whoever_answers(http: httpx.AsyncClient, begin: Begin) -> None:
    trial = begin("canary", 100)

    for content in (b"{", b'{"dataframe_split": {"columns": ["z"], "data": [[1]]}}'):
        answer = await http.post("/invocations", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400
    await http.post("/invocations", json=ROWS)

    assert eventually(lambda: trial.tally.candidate.requests == 1)
    assert trial.tally.candidate.errors == 0


NOTHING = {"requests": 0, "errors": 0, "p99_ms": None}


async def test_metadata_tell_of_the_candidate_what_all_workers_counted(
    http: httpx.AsyncClient, begin: Begin, lineup: Lineup, tmp_path: Path
) -> None:
    trial = begin("canary", 12.5)
    assert (await http.get("/v2/models/iris")).json()["candidate"] == {
        "version": 7,
        "mode": "canary",
        "percent": 12.5,
        "since_ms": 1,
        "state": "running",
        "reason": "",
        **NOTHING,
        "compared": 0,
        "disagreed": 0,
        "dropped": 0,
        "production": {"version": 6, **NOTHING},
    }
    other = on_trial("canary")
    for each in (trial, other):
        each.counter.failed(7)
        each.counter.answered(6, 0.25)
        each.counter.compared(agreed=False)
        Writer(tmp_path, each.lineup.tallies).write()

    told = (await http.get("/v2/models/iris")).json()["candidate"]

    assert (told["requests"], told["errors"], told["compared"], told["disagreed"]) == (2, 2, 2, 2)
    assert told["production"] == {"version": 6, "requests": 2, "errors": 0, "p99_ms": pytest.approx(250, rel=0.1)}
    (in_all,) = (await http.get("/v2")).json()["candidates"]
    assert in_all == {"model": "iris", **told}


async def test_metadata_say_why_a_candidate_is_out(http: httpx.AsyncClient, begin: Begin, lineup: Lineup) -> None:
    begin("canary")
    standing = lineup.standing("iris")
    assert standing.candidate is not None
    out = replace(standing.candidate, state="out", reason="it failed", served=None, shadow=None)
    lineup.put(replace(standing, candidate=out))

    found = (await http.get("/v2/models/iris")).json()

    assert (found["candidate"]["state"], found["candidate"]["reason"]) == ("out", "it failed")
    assert found["versions"] == ["6"]
    assert (await http.post("/invocations", json=ROWS)).headers["x-model-version"] == "6"
    assert (await http.post("/v2/models/iris/versions/7/infer", json=TENSOR)).status_code == 404


async def test_metadata_of_the_candidates_version_are_its_own(http: httpx.AsyncClient, begin: Begin) -> None:
    begin("shadow")

    both, own = [(await http.get(path)).json() for path in ("/v2/models/iris", "/v2/models/iris/versions/7")]

    assert (both["version"], both["versions"]) == (6, ["6", "7"])
    assert own["version"] == 7
    assert (await http.get("/v2/models/iris/versions/7/ready")).status_code == 200


async def test_without_a_candidate_there_is_none_to_tell_of(http: httpx.AsyncClient, serve: Callable[..., Any]) -> None:
    serve(6, FakeModel())

    assert (await http.get("/v2/models/iris")).json()["candidate"] is None
    assert (await http.get("/v2")).json()["candidates"] == []


async def test_what_a_candidate_does_is_in_the_metrics(http: httpx.AsyncClient, begin: Begin) -> None:
    trial = begin("canary", 50, candidate=TensorModel(answers=wrong))
    named = await versions(http, "/invocations", ROWS, [f"caller {number}" for number in range(40)])

    trial.counter.compared(agreed=False)
    trial.counter.dropped()
    said = read((await http.get("/metrics")).text)

    of = {labels["of"]: count for labels, count in said.series("slipway_candidate_requests", model="iris", version="7")}
    assert of == {"candidate": named.count("7"), "production": named.count("6")}
    assert said.value("slipway_candidate_p99_seconds", of="candidate") > 0
    outcomes = {labels["outcome"]: count for labels, count in said.series("slipway_candidate_comparisons")}
    assert outcomes == {"agreed": 0, "disagreed": 1, "dropped": 1}
    assert said.value("slipway_candidate", version="7", state="running") == 1
    assert said.value("slipway_lineup", slot="candidate", version="7") == 1


@pytest.mark.parametrize("state", ["out", "refused"])
async def test_a_candidate_that_takes_no_part_is_in_the_metrics_with_its_state(
    http: httpx.AsyncClient, begin: Begin, state: State
) -> None:
    lineup = begin("canary").lineup
    standing = lineup.standing("iris")
    assert standing.candidate is not None

    lineup.put(replace(standing, candidate=replace(standing.candidate, state=state, served=None, shadow=None)))

    said = read((await http.get("/metrics")).text)
    assert {labels["state"] for labels, _ in said.series("slipway_candidate")} == {state}
    assert said.labels("slipway_lineup", "slot") == {"production"}
