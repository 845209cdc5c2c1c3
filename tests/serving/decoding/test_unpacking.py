"""Parquet bodies of some kilobytes that hold more than a machine has."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from serving.decoding import plan
from serving.decoding.unpacking import LARGEST, Packed, TooMuch
from serving.errors import InvalidInput
from serving.protocol import PARQUET, Column, Signature


def written(values: Any, **options: Any) -> bytes:
    output = io.BytesIO()
    parquet.write_table(pa.table({"x": values}), output, compression="zstd", **options)
    return output.getvalue()


def test_more_rows_than_fit_are_refused_before_they_are_unpacked() -> None:
    body = written(pa.array(np.zeros(LARGEST // 8 + 1)))
    before = pa.total_allocated_bytes()

    with pytest.raises(TooMuch):
        Packed(body).columns(["x"])

    assert len(body) < 1_000_000
    assert pa.total_allocated_bytes() - before < 1_000_000


def test_one_long_text_in_every_row_is_refused() -> None:
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), pa.array(["y" * 500_000]))
    body = written(same, store_schema=False)

    with pytest.raises(TooMuch):
        Packed(body).columns(["x"])

    assert len(body) < 100_000


@pytest.mark.parametrize("use_dictionary", [True, False])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
def test_texts_are_read_as_they_were_written(kind: Any, use_dictionary: bool) -> None:
    values = pa.array(["a", None, "bb", "a"]).cast(kind)
    body = written(values, use_dictionary=use_dictionary, row_group_size=3)

    column = Packed(body).columns(["x"]).column("x")

    assert (column.type, column.to_pylist()) == (kind, values.to_pylist())


def test_the_caller_is_told_to_send_less() -> None:
    decoder = plan.compile(Signature((Column("x", "double"),)))
    assert decoder is not None

    with pytest.raises(InvalidInput, match=f"more than {LARGEST} bytes once they are unpacked; send it in parts"):
        decoder.rows(PARQUET, written(pa.array(np.zeros(LARGEST // 8 + 1))))


def test_a_broken_footer_ends_no_process() -> None:
    """pyarrow's own look at one column's part of it does, for some of these."""
    body = bytearray(written(pa.array(np.arange(100.0))))
    footer = int.from_bytes(body[-8:-4], "little")
    decoder = plan.compile(Signature((Column("x", "double"),)))
    assert decoder is not None

    for at in range(len(body) - 8 - footer, len(body) - 8):
        for bit in range(8):
            broken = bytearray(body)
            broken[at] ^= 1 << bit
            try:
                decoder.rows(PARQUET, bytes(broken))
            except InvalidInput:
                continue
