"""What `mlmodel.read` says of a file is put beside what MLflow itself reads from it."""

import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType, Array, DataType, Map, Object, Property

from serving.errors import VersionRefused
from serving.protocol import Column, Param, Signature, Tensor
from serving.runtimes import mlmodel

PLAIN = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
PERSON = Object([Property("name", DataType.string), Property("age", DataType.long, required=False)])

SIGNATURES = {
    "columns of all types": ModelSignature(Schema([ColSpec(each, f"a {each}") for each in PLAIN])),
    "columns without names": ModelSignature(Schema([ColSpec("double"), ColSpec("string")])),
    "optional columns": ModelSignature(Schema([ColSpec("double", "x"), ColSpec("string", "y", required=False)])),
    "odd names": ModelSignature(Schema([ColSpec("double", "ü 1"), ColSpec("double", '"quoted"'), ColSpec("long", "")])),
    "nested": ModelSignature(
        Schema(
            [
                ColSpec(Array(DataType.double), "list"),
                ColSpec(Array(Array(PERSON)), "lists"),
                ColSpec(PERSON, "person", required=False),
                ColSpec(Map(DataType.string), "map"),
                ColSpec(AnyType(), "any"),  # type: ignore[no-untyped-call]
            ]
        )
    ),
    "a tensor": ModelSignature(
        Schema([TensorSpec(np.dtype("float32"), (-1, 28, 28))]), Schema([TensorSpec(np.dtype("int64"), (-1,))])
    ),
    "named tensors": ModelSignature(
        Schema([TensorSpec(np.dtype("uint8"), (-1, 3), "a"), TensorSpec(np.dtype(str), (2, -1), "b")])
    ),
    "params": ModelSignature(
        Schema([ColSpec("double", "x")]),
        Schema([ColSpec("long", "y")]),
        ParamSchema(
            [
                ParamSpec("factor", DataType.double, 2.0),
                ParamSpec("top", "long", None),
                ParamSpec("names", "string", ["a", "b"], (-1,)),
                ParamSpec("crash", "boolean", False),
            ]
        ),
    ),
    "outputs only": ModelSignature(None, Schema([ColSpec("double")])),
}


def ours(schema: Schema | None) -> tuple[Column | Tensor, ...]:
    """In our words."""
    return tuple(
        Tensor(each.name, each.type.name, each.shape) if isinstance(each, TensorSpec) else column(each)
        for each in schema or ()
    )


def column(spec: ColSpec) -> Column:
    return Column(spec.name, str(spec.to_dict()["type"]), spec.required)


@pytest.mark.parametrize("signature", SIGNATURES.values(), ids=SIGNATURES)
def test_a_signature_is_what_mlflow_reads(tmp_path: Path, signature: ModelSignature) -> None:
    saved(tmp_path, signature=signature)

    read, theirs = mlmodel.read(tmp_path).signature, Model.load(str(tmp_path)).signature

    assert read.inputs == ours(theirs.inputs)
    assert read.outputs == ours(theirs.outputs)
    assert read.params == tuple(
        Param(each.name, each.dtype.name, each.default, each.shape is not None) for each in theirs.params or ()
    )


def test_a_date_among_the_params_stays_the_text_that_json_has(tmp_path: Path) -> None:
    since = ParamSpec("since", "datetime", np.datetime64(datetime(2024, 5, 6, 7, 8, 9)))
    saved(tmp_path, signature=ModelSignature(Schema([ColSpec("double", "x")]), None, ParamSchema([since])))

    (param,) = mlmodel.read(tmp_path).signature.params

    assert param == Param("since", "datetime", "2024-05-06T07:08:09")


def test_without_a_signature_there_are_no_fields(tmp_path: Path) -> None:
    saved(tmp_path)

    assert mlmodel.read(tmp_path).signature == Signature()
    assert Model.load(str(tmp_path)).signature is None


def test_the_flavour_beside_pyfunc_names_the_platform(tmp_path: Path) -> None:
    saved(tmp_path, flavors=("python_function", "sklearn"))
    assert (mlmodel.read(tmp_path).native, mlmodel.read(tmp_path).platform) == ("sklearn", "mlflow_sklearn")

    saved(tmp_path, flavors=("python_function",))
    assert (mlmodel.read(tmp_path).native, mlmodel.read(tmp_path).platform) == (None, "mlflow_pyfunc")


def test_the_example_is_the_one_for_serving(tmp_path: Path) -> None:
    saved(tmp_path)
    assert mlmodel.read(tmp_path).example is None

    (tmp_path / "serving_input_example.json").write_text('{"inputs": ["ü"]}')

    assert mlmodel.read(tmp_path).example == '{"inputs": ["ü"]}'


@pytest.mark.parametrize(
    "text", ["", "just text", "- a list", json.dumps({"signature": {"inputs": '{"name": "x"}'}}), "flavors: [\n"]
)
def test_a_file_that_is_none_does_not_become_a_model(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text(text)

    with pytest.raises(VersionRefused, match=r"^its MLmodel is not one that MLflow writes: [^\n]+$"):
        mlmodel.read(tmp_path)


LEVELS = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 12))
MERGES = "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}\n" for n in range(1, 12))
BOMBS = {
    "references to references": f"l0: &l0 [a]\n{LEVELS}flavors: {{}}\n",
    "merges of merges": f"m0: &m0 {{a: b}}\n{MERGES}flavors: {{}}\n",
    "merges by another name": "flavors: {a: {!!merge m: {b: c}}}",
    "itself": "flavors: &a {b: *a}",
    "a deep list": f"flavors: {100_000 * '['}",
    "deep blocks": "\n".join(f"{number * ' '}a:" for number in range(1000)),
    "a long list": f"flavors: {{}}\nothers: [{100_001 * 'a,'}]",
    "a deep signature": json.dumps({"flavors": {}, "signature": {"inputs": 100_000 * "["}}),
    "a huge number": f"flavors: {{a: {{b: {10_000 * '9'}}}}}",
    "code": "flavors: !!python/object/apply:os.system ['true']",
    "a flavour that is none": "flavors: {sklearn: [1]}",
    "flavours that are none": "flavors: [sklearn]",
    "a name that is none": "flavors: {1: {}}",
    "a signature that is none": "{flavors: {}, signature: [1]}",
    "a field that is none": json.dumps({"flavors": {}, "signature": {"inputs": "[1]"}}),
    "a field without a type": json.dumps({"flavors": {}, "signature": {"inputs": '[{"name": "x"}]'}}),
    "a tensor without a shape": json.dumps({"flavors": {}, "signature": {"inputs": '[{"type": "tensor"}]'}}),
    "bytes": "flavors: \udc80",
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_file_that_was_made_to_hurt_is_refused_on_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(VersionRefused, match=r"^its MLmodel is not one that MLflow writes: [^\n]+$"):
        mlmodel.read(tmp_path)


def test_a_file_that_is_far_too_long_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("#" * (mlmodel.LARGEST_BYTES + 1))

    with pytest.raises(VersionRefused, match="it has more than 16777216 bytes"):
        mlmodel.read(tmp_path)


def test_what_a_dumper_refers_to_twice_is_read(tmp_path: Path) -> None:
    env = {"conda": "conda.yaml"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"a": {"env": env}, "b": {"env": env}}}))
    assert "*id001" in (tmp_path / "MLmodel").read_text()

    assert mlmodel.read(tmp_path).flavors == {"a": {"env": env}, "b": {"env": env}}


WHOLE = yaml.safe_dump(
    {
        "flavors": {"python_function": {"loader_module": "mlflow.sklearn", "code": None}, "sklearn": {"data": "a"}},
        "signature": {"inputs": '[{"name": "x", "type": "double"}]', "outputs": None, "params": None},
    }
).encode()


@given(at=st.integers(0, len(WHOLE)), removed=st.integers(0, 30), put=st.binary(max_size=10) | st.sampled_from(
    [b"&a ", b"*a", b"!!set ", b"[", b"{", b"}", b"]", b": ", b"- ", b"\n", b"'", b'"', b"|", b"\t", b"? "]
))  # fmt: skip
def test_a_file_that_was_changed_is_read_or_refused(at: int, removed: int, put: bytes) -> None:
    with TemporaryDirectory() as name:
        (Path(name) / "MLmodel").write_bytes(WHOLE[:at] + put + WHOLE[at + removed :])
        with suppress(VersionRefused):
            assert all(isinstance(each, dict) for each in mlmodel.read(Path(name)).flavors.values())


def test_a_folder_without_one_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="MLmodel"):
        mlmodel.read(tmp_path)


def saved(folder: Path, *, flavors: tuple[str, ...] = ("python_function",), **about: Any) -> None:
    model = Model(**about)
    for name in flavors:
        model.add_flavor(name, loader_module="serving")
    model.save(str(folder / "MLmodel"))
