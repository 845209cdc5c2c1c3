"""The real process, a real registry, real HTTP."""

import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from tests.fakes import Relay
from tests.servers import Server, Stack, eventually, free_port
from tests.serving.conftest import Registrar, predicted, rows, slope

Process = Callable[..., AbstractContextManager[tuple[Server, httpx.Client]]]
MARKER = "secret-payload"


def answering(http: httpx.Client, number: int) -> Callable[[], bool]:
    return lambda: http.post("/invocations", json=rows(1.0)).headers.get("x-model-version") == str(number)


def events(running: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.log.read_text().splitlines()]


def test_it_waits_for_a_production_version_and_then_follows_stage_and_alias(
    process: Process, registrar: Registrar
) -> None:
    with process() as (_, http):
        eventually(lambda: "the registry has no model" in http.get("/v2/health/ready").text)
        one, three = registrar.register(slope(1)), registrar.register(slope(3))
        eventually(lambda: "is Production yet; promote one" in http.get("/v2/health/ready").text)
        refused = http.post("/invocations", json=rows(1.0))
        assert (refused.status_code, refused.headers["content-type"]) == (503, "application/problem+json")

        registrar.stage(one)
        eventually(answering(http, one), seconds=60)  # the first one has scikit-learn to import
        assert http.get("/v2/health/ready").json() == {"live": True, "ready": True}
        assert predicted(http.post("/invocations", json=rows(1.0, 5.0))) == [1.0, 5.0]

        registrar.alias(three)
        eventually(answering(http, three), seconds=3)
        assert predicted(http.post("/invocations", json=rows(1.0, 5.0))) == [3.0, 15.0]
        told = http.get(f"/v2/models/{registrar.name}").json()["disagreements"]
        assert told == [
            f"stage Production names version {one}, alias production names version {three}; {three} is served"
        ]

        registrar.stage(three)
        eventually(lambda: http.get(f"/v2/models/{registrar.name}").json()["disagreements"] == [], seconds=3)

        registrar.stage(one)
        eventually(answering(http, one), seconds=3)


@pytest.mark.slow
def test_swaps_under_load_fail_no_request_and_every_answer_is_its_versions(
    process: Process, registrar: Registrar
) -> None:
    factors = {registrar.register(slope(factor)): factor for factor in (1.0, 3.0)}
    registrar.stage(1)
    with process() as (running, http):
        eventually(answering(http, 1), seconds=60)
        wrong: list[str] = []
        answers: list[int] = []
        enough = threading.Event()

        def caller() -> None:
            with httpx.Client(base_url=running.url, timeout=20) as mine:
                while not enough.is_set():
                    try:
                        answer = mine.post("/invocations", json=rows(2.0))
                        number = int(answer.headers["x-model-version"])
                        assert predicted(answer) == [2.0 * factors[number]]
                        answers.append(number)
                    except Exception as error:  # noqa: BLE001 - collected and asserted on
                        wrong.append(repr(error))

        callers = [threading.Thread(target=caller) for _ in range(4)]
        for each in callers:
            each.start()
        try:
            for number in (2, 1, 2, 1):
                registrar.stage(number)
                eventually(answering(http, number))
        finally:
            enough.set()
            for each in callers:
                each.join(20)

    assert wrong == []
    assert set(answers) == {1, 2}


def test_a_broken_version_is_reported_and_the_old_one_answers(
    process: Process, registrar: Registrar, stack: Stack
) -> None:
    good, bad = registrar.register(slope(1)), registrar.register(slope(2))
    source = registrar.client.get_model_version(registrar.name, str(bad)).source or ""
    model_id = source.rpartition("/")[2]
    (damaged,) = (stack.folder / "s3" / "mlflow").rglob(f"*{model_id}*/**/model.skops")
    damaged.write_bytes(b"not a model")
    registrar.stage(good)

    with process() as (running, http):
        eventually(answering(http, good), seconds=60)
        registrar.stage(bad)
        metadata = f"/v2/models/{registrar.name}"
        refusal = eventually(lambda: http.get(metadata).json()["last_refusal"])

        assert refusal["version"] == bad
        assert answering(http, good)()
        assert "version refused" in [event["event"] for event in events(running)]

        registrar.stage(good)
        eventually(lambda: http.get(metadata).json()["version"] == good)


def test_bad_input_is_refused_with_a_reason_and_repeated_nowhere(process: Process, registrar: Registrar) -> None:
    promoted = registrar.register(slope(1))
    registrar.stage(promoted)
    table = "dataframe_split"
    bodies: list[tuple[str, str, int, str]] = [
        ("application/json", f"{{{MARKER}", 400, "the body is not JSON: line 1, column 2"),
        ("application/json", json.dumps([MARKER]), 400, "expected a JSON object"),
        ("application/json", json.dumps({"params": MARKER}), 400, "expected exactly one of"),
        ("application/json", json.dumps({table: {"columns": [MARKER], "data": [[1]]}}), 400, "'x', 'size' are missing"),
        (
            "application/json",
            json.dumps({table: {"columns": ["x", "size"], "data": [[1, 2], [MARKER, 3]]}}),
            400,
            "row 2, column 'x': expected a double, got a string",
        ),
        (
            "application/json",
            json.dumps({table: {"columns": ["x", "size", MARKER], "data": [[1, None, MARKER]]}, "params": {MARKER: 1}}),
            400,
            "row 1, column 'size': expected a number, got null",
        ),
        ("text/csv", f"x,size\n1,{MARKER}\n", 400, "row 1, column 'size': expected a double"),
        ("text/plain", MARKER, 415, "Content-Type must be one of"),
        (MARKER, "x", 415, "Content-Type must be one of"),
    ]
    with process() as (running, http):
        eventually(answering(http, promoted), seconds=60)
        for media_type, body, status, reason in bodies:
            answer = http.post("/invocations", content=body, headers={"content-type": media_type})
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-model-version"] == str(promoted)
            assert reason in answer.json()["error"]
            assert MARKER not in answer.text
            assert "Traceback" not in answer.text
        http.get(f"/v2/models/{MARKER}")
        http.post("/invocations", json={"instances": [{"x": 1.0, "size": 1.0, MARKER: 1}]})
        assert MARKER not in running.log.read_text()


def test_a_registry_that_goes_away_is_not_noticed_by_callers(
    registrar: Registrar, process: Process, stack: Stack
) -> None:
    registrar.register(slope(1))
    registrar.stage(1)
    with (
        Relay(port=free_port(), to=int(stack.env["MLFLOW_PORT"])) as relay,
        process(MLFLOW_TRACKING_URI=relay.url) as (running, http),
    ):
        eventually(answering(http, 1), seconds=60)
        metadata = f"/v2/models/{registrar.name}"

        relay.stop()
        eventually(lambda: http.get(metadata).json()["registry_reachable"] is False)
        assert answering(http, 1)()
        relay.start()
        eventually(lambda: http.get(metadata).json()["registry_reachable"])

        told = [event["event"] for event in events(running) if "registry" in event["event"]]
        assert told == ["registry unreachable", "registry is back"]
