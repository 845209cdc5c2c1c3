import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq

from serving import invocations
from serving.errors import NotReady, PredictionFailed, RowsRefused, VersionRefused
from serving.jobs.job import Body, Files, Inline, Order, Stored
from serving.jobs.shelf import Shelf
from serving.jobs.turns import Work
from serving.protocol import JSON, PARQUET, Answer, Model, Rows, Version
from serving.working import predicting
from serving.working.models import Models
from serving.working.predicting import PIECE_ROWS, NobodyWaits, Tools, outcome
from tests.fakes import FakeModel, a_version


def body(values: list[float]) -> Body:
    data = [[value, 1.0] for value in values]
    return Body(JSON, json.dumps({"dataframe_split": {"columns": ["x", "size"], "data": data}}).encode())


VERSION = a_version(7)


def a_job(asked: Body | Files, version: Version | None = VERSION) -> Work:
    return Work("job", 1, Order("iris", version, asked), 1)


def tools(model: Model, **changes: Any) -> Tools:
    @contextmanager
    def load(_: Version) -> Iterator[Model]:
        yield model

    return replace(Tools(Models(load, 1), lambda _: None, Shelf(None)), **changes)


def waits(_done: int, _total: int | None) -> bool:
    return True


@settings(max_examples=25)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3 * PIECE_ROWS))
def test_a_job_is_answered_as_invocations_would(slope_of_three: Model, values: list[float]) -> None:
    asked = body(values)
    assert asked.content is not None

    found = outcome(a_job(asked), tools(slope_of_three, inline_bytes=1 << 30), waits)

    whole = slope_of_three.predict(invocations.read((JSON, asked.content), slope_of_three))
    assert found.result == Inline(invocations.encode(whole), len(values))
    assert (found.state, found.version) == ("succeeded", 7)


def test_a_large_answer_is_kept_as_a_table(slope_of_three: Model, tmp_path: Path) -> None:
    shelf = Kept(tmp_path)

    found = outcome(a_job(body([1.0, 2.0])), tools(slope_of_three, inline_bytes=10, shelf=shelf), waits)

    assert found.result == Stored("s3://kept/job/1/predictions.parquet", PARQUET, 2)
    table = pq.read_table(tmp_path / "kept")
    assert table.column("y").to_pylist() == [3.0, 6.0]
    assert json.loads(table.schema.metadata[b"slipway.outputs"]) == [[None, None]]  # one bare array [n]


def test_progress_is_told_and_who_is_not_waited_for_stops(slope_of_three: Model) -> None:
    told = list[tuple[int, int | None]]()

    def tell(done: int, total: int | None) -> bool:
        told.append((done, total))
        return len(told) < 3

    with pytest.raises(NobodyWaits):
        outcome(a_job(body([1.0] * 10 * PIECE_ROWS)), tools(Slow(slope_of_three)), tell)

    assert [total for _, total in told] == [10 * PIECE_ROWS] * 3
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_row_that_the_model_refuses_is_named(slope_of_three: Model) -> None:
    values = [1.0] * (2 * PIECE_ROWS)
    values[PIECE_ROWS + 4] = -1.0

    found = outcome(a_job(body(values)), tools(Refusing(slope_of_three)), waits)

    assert (found.state, found.code) == ("failed", "rows-refused")
    assert found.reason.startswith(f"row {PIECE_ROWS + 5}: ")


def test_a_body_that_does_not_fit_the_version_by_now_has_failed(slope_of_three: Model) -> None:
    found = outcome(a_job(Body(JSON, b'{"inputs": {"y": [1.0]}}')), tools(slope_of_three), waits)

    assert (found.state, found.code, found.version) == ("failed", "invalid-input", 7)


def test_a_version_that_is_refused_has_failed() -> None:
    @contextmanager
    def refused(version: Version) -> Iterator[Model]:
        if version.number == VERSION.number:
            raise VersionRefused("one byte is another")
        yield FakeModel()

    found = outcome(a_job(body([1.0])), Tools(Models(refused, 1), lambda _: None, Shelf(None)), waits)

    assert (found.state, found.code, found.reason) == ("failed", "version-refused", "one byte is another")


def test_a_model_that_fails_is_tried_again() -> None:
    def fails() -> bytes:
        raise PredictionFailed

    with pytest.raises(PredictionFailed):
        outcome(a_job(body([1.0])), tools(FakeModel(instead=fails)), waits)


def test_what_only_mlflow_can_read_is_left_to_it() -> None:
    found = outcome(a_job(Body(JSON, b"anything")), tools(FakeModel("one")), waits)

    assert isinstance(found.result, Inline)
    assert b"one" in found.result.content


def test_the_latest_version_is_asked_for_when_it_is_worked_at(slope_of_three: Model) -> None:
    job = a_job(body([1.0]), version=None)

    assert outcome(job, tools(slope_of_three, latest=lambda _: a_version(9)), waits).version == 9
    with pytest.raises(NotReady):
        outcome(job, tools(slope_of_three), waits)


def test_a_file_is_answered_beside_its_keys(slope_of_three: Model, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,x,size\na,1,1\nb,2,1\n")
    files = Files(str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), ("id",))

    found = outcome(a_job(files), tools(slope_of_three), waits)

    assert found.result == Stored(str(tmp_path / "out.csv"), "text/csv", 2)
    assert (tmp_path / "out.csv").read_text().splitlines()[1:] == ['"a",3', '"b",6']


def test_the_row_of_a_file_that_does_not_fit_is_named(slope_of_three: Model, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("x,size\n1,1\nmany,1\n")

    found = outcome(a_job(Files(str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))), tools(slope_of_three), waits)

    assert (found.state, found.code) == ("failed", "invalid-input")
    assert "row 2, column 'x'" in found.reason


@dataclass
class Kept(Shelf):
    """A shelf in a folder."""

    folder: Path

    def put(self, job: str, name: str, content: bytes) -> str:
        (self.folder / "kept").write_bytes(content)
        return f"s3://kept/{job}/{name}"


@dataclass
class Around:
    """A model, but for what a subclass does."""

    model: Model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)


class Slow(Around):
    """Each call takes as long as it takes until progress is told again."""

    def predict(self, rows: Rows) -> Answer:
        threshold = predicting.TELL_SECONDS
        began = time.monotonic()
        while time.monotonic() - began <= threshold:
            self.model.predict(rows)
        return self.model.predict(rows)


class Refusing(Around):
    """It cannot predict rows that are negative."""

    def predict(self, rows: Rows) -> Answer:
        wrong = np.flatnonzero(rows.blocks[0][:, 0] < 0)
        if len(wrong):
            raise RowsRefused(f"row {wrong[0] + 1}, it is negative")
        return self.model.predict(rows)
