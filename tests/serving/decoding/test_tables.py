"""Whatever CSV and Parquet are read as is also read by MLflow: same accepts, same refusals, same numbers."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from serving.decoding import plan
from serving.errors import InvalidInput
from serving.protocol import CSV, PARQUET, Column, Signature, Tensor
from tests.serving.decoding.oracle import Oracle, difference

TABLE = Signature((Column("x", "double"), Column("n", "long"), Column("kind", "string"), Column("new", "boolean")))
HEADER = "x,n,kind,new\n"

modest = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def agreed(signature: Signature, media_type: str, body: bytes, *, alike: bool = True) -> bool:
    """Whether the body is accepted; checks that MLflow says the same, and reads the same."""
    made = plan.compile(signature)
    assert made is not None
    theirs = Oracle(signature)(media_type, body)
    try:
        ours = made.rows(media_type, body)
    except InvalidInput:
        assert theirs is None or not alike, f"MLflow reads {theirs}"
        return False
    assert theirs is not None, "MLflow refuses"
    assert not len(theirs[0]) or difference(signature, made.blocks, ours, theirs[0]) is None
    assert ours.count == len(theirs[0])
    return True


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "1.5,2,a,True\n",
        HEADER,
        HEADER.strip(),
        HEADER.replace("\n", "\r\n") + "1.5,2,a,True\r\n\r\n",
        "\ufeff" + HEADER + "1.5,2,a,True",
        HEADER + " 1.5 , 2 ,NA,false\n\n \t\n1e5,2,,TRUE\n",
        HEADER + '"1.5","2","a,""b""\n","True"\n',
        HEADER + '1,2,"a"b"c,True\n',
        HEADER + ",2,N/A,True\n-inf,1e3,#N/A,False\n",
        HEADER + "True,2.0,a,1\nfalse,3,a,0\n",
        ",x,n,kind,new\n0,1.5,2,a,True\n",
        "new,kind,n,x,more\nTrue,a,2,1.5,z\nTrue,a,2,1.5\n",
        HEADER + "index,1.5,2,a,True\n",
        "x,x,n,kind,new\n1,2,3,a,True\n",
        "\n \n" + HEADER + "0.1,9007199254740993,é,True\n",
    ],
)
def test_csv_is_read_as_pandas_does(text: str) -> None:
    assert agreed(TABLE, CSV, text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "x,n,kind\n1,2,a\n",
        HEADER + "1.5,2.5,a,True\n",
        HEADER + "1.5,,a,True\n",
        HEADER + "1.5,2,a,\n",
        HEADER + "1.5,2,a,yes\n",
        HEADER + "one,2,a,True\n",
        HEADER + "1_0,2,a,True\n",
        HEADER + " inf,2,a,True\n",
        HEADER + "1.5,9223372036854775808,a,True\n",
        HEADER + "1.5,2,a,True\n1.5,2,a,True,5\n",
        HEADER + '1.5,2,"a,True\n',
        "x,x,n,kind,new\n1,two,3,a,True\n",
    ],
)
def test_what_pandas_refuses_is_refused(text: str) -> None:
    assert not agreed(TABLE, CSV, text.encode())


@pytest.mark.parametrize("text", ["x\r1\r", "x\na\rb\n", "x\n1\0\n"])
def test_line_ends_that_pandas_reads_in_its_own_way_are_refused(text: str) -> None:
    assert not agreed(Signature((Column("x", "string"),)), CSV, text.encode(), alike=False)


@pytest.mark.parametrize("text", ["x\nTrue\nfalse\n", "x\n1e300\n-1e300\n0.1\n"])
def test_a_float_may_be_a_truth_or_too_large(text: str) -> None:
    assert agreed(Signature((Column("x", "float"),)), CSV, text.encode())


def test_columns_without_names_go_by_position() -> None:
    signature = Signature((Column(None, "double"), Column(None, "string")))

    assert agreed(signature, CSV, b"a,b\n1.5,2\n")
    assert agreed(signature, CSV, b"a,b,c\n1.5,2,3\n")
    assert not agreed(signature, CSV, b"a\n1.5\n")
    assert not agreed(signature, CSV, b"a,b\nindex,1.5,2\n")


@pytest.mark.parametrize("name", ["x", "x.1", "x.2", "Unnamed: 3"])
def test_names_that_pandas_makes_distinct_meet_no_other_name(name: str) -> None:
    assert agreed(Signature((Column(name, "double"),)), CSV, b"x,x,x.1,,Unnamed: 3\n1,2,3,4,5\n")


@pytest.mark.parametrize("text", ['kind\n""\n \n" "\n\t\n', "kind\n \n\f\n\t\n\v\n"])
def test_a_blank_line_is_no_row_and_what_only_looks_blank_is_one(text: str) -> None:
    assert agreed(Signature((Column("kind", "string"),)), CSV, text.encode())


FIELDS = {
    "double": st.floats().map(repr),
    "float": st.floats(width=32).map(repr),
    "long": st.integers(-9, 9).map(str),
    "integer": st.integers(-9, 9).map(str),
    "boolean": st.sampled_from(["True", "False"]),
    "string": st.sampled_from(["a", "b c", "é", '"q"']),
}
ODD = st.sampled_from(
    [
        "",
        "NA",
        "null",
        "None",
        "nan",
        "-NaN",
        "a",
        "1",
        "0",
        "1.5",
        "-1",
        "True",
        "false",
        " 1 ",
        "1e5",
        "1.",
        ".5",
        "1e",
        "inf",
        "-Infinity",
        " inf",
        "+1",
        "--1",
        "0x1",
        '"',
        '"a,b"',
        '"a""b"',
        '"a"b',
        ' "a"',
        '""',
        "\t",
        "1 2",
        "1e400",
        "1e-400",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "1e19",
        "0.1e-5",
        '"\n"',
        "123456789012345678901234567890.5",
        "0.30000000000000004",
        "2.2250738585072011e-308",
    ]
)


@st.composite
def csvs(draw: st.DrawFn) -> tuple[Signature, bytes]:
    types = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3))
    names = draw(st.permutations(["x", "y", "x.1", "Unnamed: 0", "a b"]))[: len(types)]
    columns = draw(st.permutations(list(zip(names, types, strict=True))))
    if draw(st.integers(0, 4)) == 0:
        columns = [*columns, draw(st.sampled_from([("", "string"), ("extra", "double"), columns[0]]))]
    is_odd = st.sampled_from([False] * draw(st.sampled_from([2, 6, 30])) + [True])
    rows = [
        [draw(ODD if draw(is_odd) else FIELDS[each]) for _, each in columns] for _ in range(draw(st.integers(0, 3)))
    ]
    rows = [row + ["7"] * draw(st.sampled_from([0] * 9 + [1])) for row in rows]
    lines = [",".join(name for name, _ in columns), *(",".join(row) for row in rows)]
    lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["", "", " ", ","])))
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    signature = Signature(tuple(Column(name, each) for name, each in zip(names, types, strict=True)))
    return signature, (text + draw(st.sampled_from(["", "\n"]))).encode()


@modest
@given(csvs())
def test_any_csv_is_read_as_pandas_does(drawn: tuple[Signature, bytes]) -> None:
    agreed(drawn[0], CSV, drawn[1])


def stored(columns: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    parquet.write_table(pa.table(columns), body)
    return body.getvalue()


def numbers(size: str) -> st.SearchStrategy[Any]:
    return st.lists(st.none() | st.integers(0, 3), min_size=2, max_size=2).map(lambda values: pa.array(values, size))


NO_NUMBERS = [
    pa.array([True, False]),
    pa.array([True, None]),
    pa.array(["a", None]),
    pa.array(["a", "é"], pa.large_string()),
    pa.array(["a", "a"]).dictionary_encode(),
    pa.array([b"a", b"\xff"]),
    pa.array([b"a", None], pa.large_binary()),
    pa.array([0, None], pa.timestamp("ms")),
    pa.array([1, 2], pa.timestamp("ns")),
    pa.array([1, 2], pa.timestamp("us", "UTC")),
    pa.array([1, None], pa.date32()),
    pa.array([None, None]),
    pa.array([1, None], pa.decimal128(5, 2)),
    pa.array([[1.0], [2.0]]),
]
STORED = st.one_of(
    st.sampled_from(["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]).flatmap(numbers),
    st.sampled_from(["float32", "float64"]).flatmap(
        lambda size: st.lists(st.none() | st.floats(width=32), min_size=2, max_size=2).map(
            lambda values: pa.array(values, size)
        )
    ),
    st.sampled_from(NO_NUMBERS),
)
KINDS = ["double", "float", "long", "integer", "boolean", "string", "binary", "datetime"]


def agreed_on_parquet(kinds: list[str], names: list[str | None], stored_as: list[Any]) -> bool:
    signature = Signature(tuple(Column(name, kind) for name, kind in zip(names, kinds, strict=True)))
    # What is stored as one thing and wanted as another MLflow may keep as it is: `plan.py` lists it.
    kept = {"string", "binary", "boolean"}.intersection(kinds) or any(
        pa.types.is_null(each.type) or (pa.types.is_boolean(each.type) and each.null_count) for each in stored_as
    )
    body = stored({f"c{at}": values for at, values in enumerate(stored_as)})
    return agreed(signature, PARQUET, body, alike=not kept)


@pytest.mark.parametrize("kind", KINDS[:4])
@pytest.mark.parametrize(
    "size", ["halffloat", "float", "double", *(f"{sign}int{size}" for sign in ("", "u") for size in (8, 16, 32, 64))]
)
def test_numbers_of_any_size_are_read_as_pandas_does_with_and_without_null(kind: str, size: str) -> None:
    for values in ([0, 1], [0, 3], [3, None]):
        agreed_on_parquet([kind], ["c0"], [pa.array(values, size)])


@modest
@given(st.lists(st.tuples(st.sampled_from(KINDS), STORED), min_size=1, max_size=3), st.booleans())
def test_parquet_is_read_as_pandas_does(columns: list[tuple[str, Any]], named: bool) -> None:
    names = [f"c{at}" if named else None for at in range(len(columns))]

    agreed_on_parquet([kind for kind, _ in columns], names, [values for _, values in columns])


TAKEN = {
    ("boolean", "bool"),
    ("string", "string"),
    ("string", "large_string"),
    ("string", "null"),
    ("binary", "binary"),
    ("binary", "large_binary"),
    ("datetime", "timestamp[ms]"),
    ("datetime", "timestamp[ns]"),
    ("datetime", "date32[day]"),
    ("double", "null"),
    ("double", "decimal128(5, 2)"),
}


@pytest.mark.parametrize("values", NO_NUMBERS, ids=lambda values: f"{values.type}-{values.null_count}")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number_in_parquet_is_taken_for_its_own_kinds_of_column(kind: str, values: Any) -> None:
    taken = agreed_on_parquet([kind], ["c0"], [values])

    is_missing = pa.types.is_boolean(values.type) and values.null_count
    assert taken is ((kind, str(values.type)) in TAKEN and not is_missing)


def test_a_data_frames_index_is_no_column() -> None:
    signature = Signature((Column("x", "double"),))
    frame = pd.DataFrame({"x": [1.5, 2.5], "y": [1, 2]})

    assert agreed(signature, PARQUET, frame.to_parquet())
    assert not agreed(signature, PARQUET, frame.set_index("x").to_parquet())
    assert agreed(signature, PARQUET, frame.set_index("y").to_parquet())


@pytest.mark.parametrize("kind", ["double", "long"])
def test_a_data_frames_nullable_types_are_refused(kind: str) -> None:
    body = pd.DataFrame({"x": pd.array([1, 0], dtype="Int64")}).to_parquet()

    assert not agreed(Signature((Column("x", kind),)), PARQUET, body, alike=False)


def test_slices_and_chunks_of_parquet_are_read_whole() -> None:
    values = [None if at % 7 == 0 else at * 0.5 for at in range(1000)]
    flags = [at % 3 == 0 for at in range(1000)]
    body = io.BytesIO()
    parquet.write_table(pa.table({"x": values, "new": flags}), body, row_group_size=13)

    assert agreed(Signature((Column("x", "double"), Column("new", "boolean"))), PARQUET, body.getvalue())


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_what_is_no_parquet_is_refused(damage: bytes) -> None:
    made = plan.compile(TABLE)
    assert made is not None

    with pytest.raises(InvalidInput):
        made.rows(PARQUET, damage)


@modest
@given(st.binary(max_size=8), st.integers(0, 400))
def test_damaged_parquet_is_only_refused(noise: bytes, at: int) -> None:
    whole = stored({"x": [1.5], "n": [1], "kind": ["a"], "new": [True]})
    made = plan.compile(TABLE)
    assert made is not None
    try:
        made.rows(PARQUET, whole[:at] + noise + whole[at + len(noise) :])
    except InvalidInput as refused:
        assert str(refused)  # noqa: PT017 - it may also be read


@pytest.mark.parametrize("media_type", [CSV, PARQUET])
def test_tensors_are_not_read_from_tables(media_type: str) -> None:
    signature = Signature((Tensor(None, "float64", (-1, 1)),))
    body = b"x\n1\n" if media_type == CSV else stored({"x": np.ones(1)})

    assert not agreed(signature, media_type, body, alike=False)
