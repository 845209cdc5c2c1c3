import time
from collections.abc import Callable

import httpx
import pytest

from serving.lineup import Lineup, Served
from serving.protocol import Column, Signature, Tensor
from serving.store.posted import Refusal
from tests.fakes import FakeModel
from tests.serving.tensor_models import TensorModel, put


async def test_the_server_describes_itself(client: httpx.AsyncClient) -> None:
    described = (await client.get("/v2")).json()

    assert (described["name"], described["extensions"]) == ("slipway", ["binary_tensor_data"])
    assert described["models"] == ["iris", "wine"]


async def test_it_lives_without_a_model_and_is_not_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/health/live")).json() == {"live": True}

    answer = await client.get("/v2/health/ready")

    assert answer.status_code == 503
    assert "'iris'" in answer.json()["error"]
    assert "'wine'" in answer.json()["error"]


async def test_metadata_has_the_protocols_members_and_ours(
    client: httpx.AsyncClient, serve: Callable[..., Served]
) -> None:
    signature = Signature(
        (Column("x", "double"), Column(None, "datetime"), Tensor("picture", "uint8", (-1, 28, 28))),
        (Tensor(None, "int64", (-1,)),),
    )
    serve(7, FakeModel(signature=signature), disagreements=("they differ",), refusal=Refusal(8, "does not load"))

    answer = await client.get("/v2/models/iris")

    assert answer.headers["x-model-version"] == "7"
    assert answer.json() == {
        "name": "iris",
        "versions": ["7"],
        "platform": "mlflow_fake",
        "inputs": [
            {"name": "x", "datatype": "FP64", "shape": [-1], "parameters": {"type": "double"}},
            {"name": "input-1", "datatype": "BYTES", "shape": [-1], "parameters": {"type": "datetime"}},
            {"name": "picture", "datatype": "UINT8", "shape": [-1, 28, 28]},
        ],
        "outputs": [{"name": "predictions", "datatype": "INT64", "shape": [-1]}],
        "parameters": {},
        "version": 7,
        "runtime": "fake",
        "trust": "none",
        "tags": {"git_commit": "abc"},
        "disagreements": ["they differ"],
        "last_refusal": {"version": 8, "reason": "does not load"},
        "stale": False,
        "registry_reachable": True,
        "registry_read_seconds_ago": None,
        "candidate": None,
    }


async def test_what_is_stale_says_so_and_answers(
    client: httpx.AsyncClient, lineup: Lineup, serve: Callable[..., Served]
) -> None:
    serve(7)
    lineup.note_read("iris", round((time.time() - 30) * 1000), stale=False)
    lineup.note_read("wine", round((time.time() - 3600) * 1000), stale=True)

    server, iris = [(await client.get(path)).json() for path in ("/v2", "/v2/models/iris")]

    assert (server["stale"], server["registry_reachable"]) == (True, False)
    assert 3600 <= server["registry_read_seconds_ago"] < 3660
    assert (iris["stale"], iris["registry_reachable"]) == (False, True)
    assert 30 <= iris["registry_read_seconds_ago"] < 90
    lineup.note_read("wine", None, stale=True)
    assert (await client.get("/v2")).json()["registry_read_seconds_ago"] is None
    assert (await client.get("/v2/models/iris/ready")).status_code == 200


async def test_metadata_says_what_may_be_sent_and_asked_for(client: httpx.AsyncClient, lineup: Lineup) -> None:
    put(lineup)

    told = (await client.get("/v2/models/iris")).json()

    assert told["parameters"] == {"one_tensor": {"datatype": "FP64", "shape": [-1, 3]}}
    assert [each["name"] for each in told["outputs"]] == ["label", "predict_proba"]


async def test_every_named_tensor_of_the_metadata_is_taken(client: httpx.AsyncClient, lineup: Lineup) -> None:
    put(lineup, TensorModel(Signature((Column(None, "double"), Column(None, "long")), (Column(None, "long"),) * 2)))
    told = (await client.get("/v2/models/iris")).json()
    inputs = [{**each, "shape": [1], "data": [1]} for each in told["inputs"]]

    answer = await client.post("/v2/models/iris/infer", json={"inputs": inputs})

    assert answer.json()["outputs"][0]["data"] == [2]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/iris/versions/7", 200),
        ("/v2/models/iris/ready", 200),
        ("/v2/models/iris/versions/7/ready", 200),
        ("/v2/models/iris/versions/8", 404),
        ("/v2/models/iris/versions/8/ready", 404),
        ("/v2/models/secret-payload", 404),
        ("/v2/models/wine", 503),
        ("/v2/models/wine/ready", 503),
    ],
)
async def test_models_and_versions_are_known_unknown_or_not_ready(
    client: httpx.AsyncClient, serve: Callable[..., Served], path: str, status: int
) -> None:
    serve(7)

    answer = await client.get(path)

    assert answer.status_code == status
    assert "secret-payload" not in answer.text
