import json
import struct
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engine import Call, Engine
from serving.errors import InvalidInput
from serving.lineup import Lineup
from serving.protocol import Answer, Column, NotRows, Rows, Signature, Tensor
from serving.rest import infer
from serving.rest.tensor_bodies import HEADER_LENGTH
from tests.serving.tensor_models import TensorModel, put

COLUMNS = [{"name": name, "shape": [2], "datatype": "FP64", "data": [at, at]} for at, name in enumerate("abc")]
TABLE = {"name": "rows", "shape": [2, 3], "datatype": "FP64", "data": [[1, 2, 3], [4, 5, 6]]}


async def asked(client: httpx.AsyncClient, **request: Any) -> Any:
    answer = await client.post("/v2/models/iris/infer", json=request)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model-version"] == answer.json()["model_version"] == "7"
    return answer.json()


@pytest.fixture(autouse=True)
def served(lineup: Lineup) -> None:
    put(lineup)


@pytest.mark.parametrize(
    ("inputs", "labels"),
    [
        (COLUMNS, [3, 3]),
        ([TABLE], [6, 15]),
        ([{**TABLE, "data": [1, 2, 3, 4, 5, 6]}], [6, 15]),
        ([{**each, "shape": [2, 1]} for each in COLUMNS], [3, 3]),
        ([{**TABLE, "datatype": "FP32"}], [6, 15]),
    ],
)
async def test_a_tensor_a_column_or_one_for_all(client: httpx.AsyncClient, inputs: Any, labels: list[int]) -> None:
    answer = await asked(client, inputs=inputs, id="mine")

    assert answer["id"] == "mine"
    assert answer["outputs"] == [{"name": "label", "shape": [2], "datatype": "INT64", "data": labels}]


@pytest.mark.parametrize("name", ["label", "predict", "predictions", "output-0"])
async def test_an_output_answers_to_its_names(client: httpx.AsyncClient, name: str) -> None:
    (output,) = (await asked(client, inputs=[TABLE], outputs=[{"name": name}]))["outputs"]

    assert (output["name"], output["data"]) == (name, [6, 15])


async def test_probabilities_are_a_parameter_or_an_output(client: httpx.AsyncClient) -> None:
    expected = {"name": "predict_proba", "shape": [2, 2], "datatype": "FP64", "data": [0.06, 0.94, 0.15, 0.85]}

    by_parameter = await asked(client, inputs=[TABLE], parameters={"predict_proba": True})
    by_name = await asked(client, inputs=[TABLE], outputs=[{"name": "predict_proba"}, {"name": "label"}])

    assert by_parameter["outputs"] == [expected]
    assert [by_name["outputs"][0], by_name["outputs"][1]["data"]] == [expected, [6, 15]]


async def test_a_model_without_a_signature_takes_any_tensors(client: httpx.AsyncClient, lineup: Lineup) -> None:
    put(lineup, TensorModel(Signature()))

    one = await asked(client, inputs=[TABLE])
    two = await asked(client, inputs=[TABLE, {**TABLE, "name": "more"}])

    assert [each["outputs"][0] for each in (one, two)] == [
        {"name": "predictions", "shape": [2], "datatype": "INT64", "data": data} for data in ([6, 15], [12, 30])
    ]


async def test_an_answer_with_columns_is_an_output_each(client: httpx.AsyncClient, lineup: Lineup) -> None:
    def table(rows: Rows) -> Answer:
        return Answer((np.array(["x", "y"]), rows.blocks[0][:, 1]), ("name", "score"))

    put(lineup, TensorModel(answers=table))

    both = await asked(client, inputs=[TABLE])
    second = await asked(client, inputs=[TABLE], outputs=[{"name": "score"}, {"name": "output-0"}])

    assert [(each["name"], each["datatype"], each["data"]) for each in both["outputs"]] == [
        ("name", "BYTES", ["x", "y"]),
        ("score", "FP64", [2, 5]),
    ]
    assert [each["data"] for each in second["outputs"]] == [[2, 5], ["x", "y"]]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({}, "the body is no inference request: Object missing required field `inputs`"),
        ({"inputs": []}, "column 'a' is missing"),
        ({"inputs": [{**TABLE, "datatype": "secret"}]}, "tensor 'rows': datatype must be one of BOOL"),
        ({"inputs": [{**TABLE, "data": ["secret"]}]}, "tensor 'rows': its data is no list of FP64 values"),
        ({"inputs": [{**TABLE, "shape": ["secret"]}]}, "the body is no inference request: Expected `int`, got `str`"),
        ({"inputs": [TABLE, TABLE]}, "two inputs have the same name"),
        ({"inputs": [TABLE], "outputs": [{"name": "secret"}]}, "an output is asked for that there is not; there are"),
        ({"inputs": [TABLE], "parameters": {"predict_proba": "secret"}}, "param 'predict_proba': expected a boolean"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64"}]}, "tensor 'x': has neither data nor"),
        ({"inputs": [{**TABLE, "parameters": {"binary_data_size": 8}}]}, "tensor 'rows': has both data and"),
    ],
)
async def test_what_does_not_fit_is_a_400_that_repeats_nothing(
    client: httpx.AsyncClient, request_: Any, reason: str
) -> None:
    answer = await client.post("/v2/models/iris/infer", json=request_)

    assert (answer.status_code, answer.headers["x-model-version"]) == (400, "7")
    assert answer.json()["error"].startswith(reason)
    assert "secret" not in answer.text


async def test_models_that_cannot_answer_so_say_where_to_ask(client: httpx.AsyncClient, lineup: Lineup) -> None:
    def scalar(_rows: Rows) -> Answer:
        raise NotRows

    for model in (TensorModel(Signature((Column("a", "array"),))), TensorModel(answers=scalar)):
        put(lineup, model)
        answer = await client.post("/v2/models/iris/infer", json={"inputs": [TABLE]})
        assert answer.status_code == 400
        assert "/invocations" in answer.json()["error"]

    put(lineup, TensorModel(probabilities=False))
    answer = await client.post("/v2/models/iris/infer", json={"inputs": [TABLE], "parameters": {"predict_proba": True}})
    assert (answer.status_code, "no predict_proba" in answer.json()["error"]) == (400, True)


async def test_a_version_that_does_not_answer_is_unknown(client: httpx.AsyncClient) -> None:
    for version, status in (("7", 200), ("8", 404)):
        answer = await client.post(f"/v2/models/iris/versions/{version}/infer", json={"inputs": [TABLE]})
        assert answer.status_code == status


def binary(*tensors: tuple[dict[str, Any], bytes], **request: Any) -> tuple[bytes, dict[str, str]]:
    inputs = [{**each, "parameters": {"binary_data_size": len(data)}} for each, data in tensors]
    head = json.dumps({"inputs": inputs, **request}).encode()
    return head + b"".join(data for _, data in tensors), {HEADER_LENGTH: str(len(head))}


FLAT = {"name": "rows", "shape": [2, 3], "datatype": "FP64"}
DATA = np.array([[1, 2, 3], [4, 5, 6.0]]).tobytes()


@pytest.mark.parametrize(
    ("extra", "is_binary"),
    [
        ({}, [False]),
        ({"parameters": {"binary_data_output": True}}, [True]),
        (
            {"outputs": [{"name": "label", "parameters": {"binary_data": True}}, {"name": "predict_proba"}]},
            [True, False],
        ),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "label", "parameters": {"binary_data": False}}],
            },
            [False],
        ),
    ],
)
async def test_binary_tensors_both_ways(client: httpx.AsyncClient, extra: Any, is_binary: list[bool]) -> None:
    content, headers = binary((FLAT, DATA), **extra)

    answer = await client.post("/v2/models/iris/infer", content=content, headers=headers)

    length = int(answer.headers.get(HEADER_LENGTH, len(answer.content)))
    outputs = json.loads(answer.content[:length])["outputs"]
    assert ["data" not in each for each in outputs] == is_binary
    assert answer.headers["content-type"] == ("application/octet-stream" if any(is_binary) else "application/json")
    if is_binary[0]:
        assert outputs[0]["parameters"] == {"binary_data_size": 16}
        assert struct.unpack("<2q", answer.content[length:]) == (6, 15)


async def test_texts_and_numbers_side_by_side(client: httpx.AsyncClient, lineup: Lineup) -> None:
    def echo(rows: Rows) -> Answer:
        return Answer((rows.blocks[0][:, 0],))

    put(lineup, TensorModel(Signature((Column("s", "string"), Column("x", "double"))), echo))
    texts = b"".join(struct.pack("<I", len(each)) + each for each in ("ü".encode(), b""))
    content, headers = binary(
        ({"name": "s", "shape": [2], "datatype": "BYTES"}, texts),
        ({"name": "x", "shape": [2], "datatype": "FP32"}, bytes(8)),
        parameters={"binary_data_output": True},
    )

    answer = await client.post("/v2/models/iris/infer", content=content, headers=headers)

    assert answer.content.endswith(texts)


@pytest.mark.parametrize(
    ("data", "length", "reason"),
    [
        (DATA[:-1], None, "tensor 'rows': its shape and datatype need 48 bytes, it has 47"),
        (DATA + b"x", "-1", "Inference-Header-Content-Length must be"),
        (DATA, "100000", "Inference-Header-Content-Length must be"),
        (DATA, "9" * 5000, "Inference-Header-Content-Length must be"),
        (DATA, "3", "the body is no inference request"),
    ],
)
async def test_binary_data_that_does_not_fit_is_a_400(
    client: httpx.AsyncClient, data: bytes, length: str | None, reason: str
) -> None:
    content, headers = binary((FLAT, data))

    answer = await client.post(
        "/v2/models/iris/infer", content=content, headers={HEADER_LENGTH: length} if length else headers
    )

    assert answer.status_code == 400
    assert answer.json()["error"].startswith(reason)


async def test_bytes_that_belong_to_no_input_are_refused(client: httpx.AsyncClient) -> None:
    content, headers = binary((FLAT, DATA))

    answer = await client.post("/v2/models/iris/infer", content=content + b"xy", headers=headers)

    assert answer.json()["error"] == "2 bytes behind the JSON belong to no input"


@given(st.binary(max_size=60), st.none() | st.integers(0, 80).map(str) | st.text(max_size=5))
@settings(deadline=None)
async def test_any_bytes_are_answered_or_invalid_input(body: bytes, length: str | None) -> None:
    engine = Engine(Lineup(("iris",)))
    headers = {} if length is None else {HEADER_LENGTH: length}
    with pytest.raises(InvalidInput):
        await infer.read(put(engine.lineup), headers, body, Call())
    engine.close()


async def test_a_large_body_is_decoded_beside_the_loop(client: httpx.AsyncClient) -> None:
    count = 40_000
    tensor = {"name": "rows", "shape": [count, 3], "datatype": "FP64", "data": [1.5] * 3 * count}

    (output,) = (await asked(client, inputs=[tensor]))["outputs"]

    assert output["shape"] == [count]


async def test_tensors_of_every_kind_reach_the_model(client: httpx.AsyncClient, lineup: Lineup) -> None:
    kinds = {"bool": "BOOL", "uint8": "UINT8", "int16": "INT16", "float16": "FP16", "float32": "FP32"}
    signature = Signature(tuple(Tensor(name, name, (-1, 2)) for name in kinds))
    put(lineup, TensorModel(signature, lambda rows: Answer(rows.blocks, tuple(kinds))))
    inputs = [
        {"name": name, "shape": [1, 2], "datatype": datatype, "data": [True, False] if name == "bool" else [1, 0]}
        for name, datatype in kinds.items()
    ]

    outputs = (await asked(client, inputs=inputs))["outputs"]

    assert [(each["name"], each["datatype"], each["data"]) for each in outputs] == [
        (each["name"], each["datatype"], each["data"]) for each in inputs
    ]
