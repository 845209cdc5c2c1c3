import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import InvalidInput
from serving.lineup import Served
from serving.protocol import Array
from serving.rpc.codec import params_of, response_of, tensors_of
from serving.rpc.generated import open_inference_pb2 as pb
from tests.fakes import a_version
from tests.serving.tensor_models import TensorModel
from tests.serving.test_tensors import equal, tensors

SERVED = Served(a_version(7), TensorModel())
Input = pb.ModelInferRequest.InferInputTensor


def returned(response: pb.ModelInferResponse) -> pb.ModelInferRequest:
    """The same tensors, sent as a request."""
    inputs = [
        Input(name=each.name, datatype=each.datatype, shape=each.shape, contents=each.contents)
        if each.HasField("contents")
        else Input(name=each.name, datatype=each.datatype, shape=each.shape)
        for each in response.outputs
    ]
    return pb.ModelInferRequest(inputs=inputs, raw_input_contents=response.raw_output_contents)


@given(st.lists(tensors(), min_size=1, max_size=3), st.booleans())
@settings(deadline=None)
def test_every_tensor_survives_a_message(sent: list[tuple[str, Array]], raw: bool) -> None:
    outputs = [(str(at), array) for at, (_, array) in enumerate(sent)]

    response = response_of(SERVED, "mine", outputs, raw=raw)
    found = tensors_of(returned(pb.ModelInferResponse.FromString(response.SerializeToString())))

    assert (response.model_name, response.model_version, response.id) == ("iris", "7", "mine")
    assert [name for name, _ in found] == [name for name, _ in outputs]
    assert all(equal(there, here) for (_, there), (_, here) in zip(found, outputs, strict=True))
    assert bool(response.raw_output_contents) == (raw or any(datatype == "FP16" for datatype, _ in sent))


@given(st.builds(pb.ModelInferRequest.FromString, st.just(b"")), st.binary(max_size=9), st.lists(st.integers(-1, 9)))
@settings(deadline=None)
def test_any_message_is_tensors_or_invalid_input(request_: pb.ModelInferRequest, data: bytes, shape: list[int]) -> None:
    for datatype in ("FP32", "BYTES", "BOOL", "nonsense"):
        request_.inputs.add(name="x", datatype=datatype, shape=shape)
        request_.raw_input_contents.append(data)
        try:
            tensors_of(request_)
        except InvalidInput:
            continue


def contents(datatype: str, **fields: object) -> Input:
    return Input(name="x", datatype=datatype, shape=[1], contents=pb.InferTensorContents(**fields))  # type: ignore[arg-type]  # by field name


@pytest.mark.parametrize(
    ("inputs", "raw", "reason"),
    [
        ([contents("FP64", fp64_contents=[1])], [bytes(8)], "tensor 'x': has contents beside raw_input_contents"),
        ([contents("FP64", fp32_contents=[1])], [], "tensor 'x': the contents of FP64 belong into fp64_contents"),
        ([contents("FP16")], [], "tensor 'x': FP16 has no contents; send raw_input_contents"),
        ([contents("INT8", int_contents=[128])], [], "tensor 'x': a value is out of the range of INT8"),
        ([contents("FP64")], [], "tensor 'x': its shape needs 1 values, it has 0"),
        ([contents("REAL")], [], "tensor 'x': datatype must be one of"),
        ([Input(name="x", datatype="FP64", shape=[1])], [bytes(8), b""], "there are 1 inputs and 2 raw_input_contents"),
    ],
)
def test_what_does_not_fit_together_is_refused(inputs: list[Input], raw: list[bytes], reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        tensors_of(pb.ModelInferRequest(inputs=inputs, raw_input_contents=raw))

    assert str(refused.value).startswith(reason)


def test_parameters_are_what_they_hold() -> None:
    request = pb.ModelInferRequest()
    assert params_of(request) is None

    request.parameters["flag"].bool_param = True
    request.parameters["count"].int64_param = -1
    request.parameters["text"].string_param = "x"
    request.parameters["share"].double_param = 0.5
    request.parameters["nothing"].SetInParent()

    assert params_of(request) == {"flag": True, "count": -1, "text": "x", "share": 0.5, "nothing": None}


def test_raw_numbers_are_not_copied_twice() -> None:
    data = np.arange(3.0).tobytes()
    request = pb.ModelInferRequest(inputs=[Input(name="x", datatype="FP64", shape=[3])], raw_input_contents=[data])

    ((_, array),) = tensors_of(request)

    assert not array.flags.owndata
