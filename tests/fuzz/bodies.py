"""Bodies that are good, nearly good, and no bodies at all, for a model of the columns `x` and `size`."""

import gzip
import io
import json
import random
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st
from pyarrow import parquet

COLUMNS = ("x", "size")
MEDIA_TYPES = (
    "application/json",
    "text/csv",
    "application/vnd.apache.parquet",
    "application/x-ndjson",
    "application/octet-stream",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-8",
    "application/json; charset=utf-16",
    "",
    "\xff",
)
ENCODINGS = (None, None, None, "gzip", "deflate", "identity", "br", "gzip, gzip", "")
_DEEP = 100_000
_NASTY = (
    *(
        b"[" * _DEEP,
        b'{"a":' * _DEEP,
        b"[" * _DEEP + b"]" * _DEEP,
        b"{}",
        b"[]",
        b"null",
        b'"',
        b"",
        b"\0",
        b"\xff\xfe",
    ),
    b'{"dataframe_split": {"columns": ["x", "size"], "data": [[1, ' + b"9" * 5000 + b"]]}}",
    b'{"dataframe_split": {"columns": ["x", "size"], "data": [[1e999, -1e999]]}}',
    b'{"dataframe_split": {"columns": ["x", "size"], "data": [[NaN, Infinity]]}}',
    b'{"dataframe_split": {"columns": ["x", "\\ud800"], "data": [[1, 2]]}}',
    b'{"dataframe_split": {"columns": ["x", "x"], "data": [[1, 2]]}, "dataframe_split": 1}',
    b'{"inputs": [{"name": "rows", "shape": [1099511627776, 0], "datatype": "FP64", "data": []}]}',
    b'{"inputs": [{"name": "rows", "shape": [-1, 2], "datatype": "FP64", "data": [1, 2]}]}',
    b'{"inputs": [{"name": "rows", "shape": [1, 2], "datatype": "BYTES", "data": ["\\ud800", ""]}]}',
    b"PAR1" + bytes(40) + b"\x10\0\0\0PAR1",
    gzip.compress(bytes(10_000_000)),
)


def _parquet(rows: list[list[float]]) -> bytes:
    output = io.BytesIO()
    columns = [pa.array([row[at] for row in rows]) for at in range(len(COLUMNS))]
    parquet.write_table(pa.table(columns, names=list(COLUMNS)), output)
    return output.getvalue()


ROWS = [[1.0, 0.5], [2.0, 0.25]]
TENSOR = {"inputs": [{"name": "rows", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4]}]}
GOOD = (
    *(
        json.dumps(
            {"dataframe_split": {"columns": COLUMNS, "data": ROWS}, "params": {"predict_proba": False}}
        ).encode(),
    ),
    *(
        json.dumps({form: [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]}).encode()
        for form in ("instances", "inputs")
    ),
    json.dumps({"dataframe_records": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]}).encode(),
    json.dumps({"inputs": {"x": [1.0], "size": 2}}).encode(),
    json.dumps(TENSOR | {"id": "a", "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}).encode(),
    b"x,size\n1,2\n3,4\n",
    b'{"x": 1, "size": 2}\n[3, 4]\n',
    _parquet(ROWS),
)
_names = st.sampled_from([*COLUMNS, "data", "columns", "index"])
_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)
_forms = st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", "messages"])


_SPLINTERS = (b"[", b"{", b'"', b"\xff", b"\0", b"1e999", b"null", b"\\ud800", b"\r", b"-")


def damaged(body: bytes, seed: int) -> bytes:
    """With bits turned over, bytes lost, repeated or put in, or its end cut off."""
    chance, found = random.Random(seed), bytearray(body)  # noqa: S311 - nobody has to be kept from guessing it
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(found)) if found else 0
        match chance.randrange(5):
            case 0 if found:
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                del found[at : at + chance.randint(1, 4)]
            case 2:
                found[at:at] = found[at : at + chance.randint(1, 30)]
            case 3:
                del found[at:]
            case _:
                found[at:at] = chance.choice(
                    [b"[", b"{", b'"', b"\xff", b"\0", b"1e999", b"null", b"\\ud800", b"\r", b"-"]
                )
    return bytes(found)


_shaped = st.dictionaries(_forms, _values, max_size=3).map(lambda each: json.dumps(each).encode())
_damaged = st.builds(damaged, st.sampled_from(GOOD), st.integers(0, 2**32))
anything = st.sampled_from(GOOD + _NASTY) | _shaped | _damaged | st.binary(max_size=200)
headers = st.fixed_dictionaries(
    {},
    optional={
        "inference-header-content-length": st.sampled_from(["0", "1", "-1", "9" * 30, "\xb2", "", "1e3"])
        | st.text("019", max_size=4),
        "x-request-timeout-ms": st.sampled_from(["0", "-1", "nan", "inf", "1e999", "", "x", "5000"]),
        "x-request-id": st.text("ab\xff {}", max_size=200),
        "x-caller-key": st.text("ab\xff", max_size=20),
        "prefer": st.sampled_from(["respond-async", "respond-async;", ",", "\xff", "wait=1"]),
        "idempotency-key": st.text("ab\xff", max_size=300),
        "accept": st.sampled_from(["", "x", "application/openmetrics-text"]),
    },
)
