import math
from typing import Any

import numpy as np
import pytest

from serving.client import InvalidInput
from serving.client.tensors import FIELDS, Values, fitted, raw_values
from serving.listed import CONTENTS
from serving.tensors import DTYPES, to_binary


@pytest.mark.parametrize("datatype", [*DTYPES])
def test_what_comes_raw_is_read_as_serving_writes_it(datatype: str) -> None:
    texts = np.array([b"", "é".encode(), b"abc"], object)
    array = texts if datatype == "BYTES" else np.array([1, 0, 1]).astype(DTYPES[datatype])

    assert raw_values(datatype, to_binary(datatype, array)) == array.tolist()


def test_the_fields_are_the_protocols() -> None:
    assert FIELDS == CONTENTS


@pytest.mark.parametrize(
    ("datatype", "values", "fit"),
    [
        ("FP64", [1, 2.5, True, "1e3"], Values("FP64", [1.0, 2.5, 1.0, 1000.0])),
        ("INT8", [1, 2.9, -128], Values("INT8", [1, 2, -128])),
        ("INT8", [128], Values("INT64", [128])),
        ("UINT8", [-1], Values("INT64", [-1])),
        ("INT64", [2**63], Values("FP64", [2.0**63])),
        ("INT64", ["x"], Values("BYTES", [b"x"])),
        ("BOOL", [True, 0], Values("BOOL", [True, False])),
        ("BOOL", ["x"], Values("BYTES", [b"x"])),
        ("BYTES", ["é", b"\xff"], Values("BYTES", ["é".encode(), b"\xff"])),
        ("BYTES", [1, 2], Values("INT64", [1, 2])),
        ("BYTES", [1.5], Values("FP64", [1.5])),
        ("", [True], Values("BOOL", [True])),
        ("BF16", [1.5], Values("FP64", [1.5])),
        ("BYTES", [], Values("BYTES", [])),
    ],
)
def test_values_are_fitted_or_left_for_the_server_to_refuse(datatype: str, values: list[Any], fit: Values) -> None:
    assert fitted("x", datatype, values) == fit


def test_a_missing_number_is_nan() -> None:
    found = fitted("x", "INT64", [1, None])

    assert found.datatype == "FP64"
    assert math.isnan(found.values[1])


@pytest.mark.parametrize("values", [["x", None], ["x", 1], [{}], ["\ud800"], [10**400]])
def test_what_no_tensor_holds_is_refused_by_the_inputs_name(values: list[Any]) -> None:
    for datatype in ("BYTES", "FP64", "FP32", "INT64"):
        with pytest.raises(InvalidInput, match="input 'x': a text is missing, or values differ in kind") as refusal:
            fitted("x", datatype, values)
        assert refusal.value.__cause__ is None
