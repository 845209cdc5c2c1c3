import json
from collections.abc import Sequence
from typing import Any

import pytest

from serving.errors import InvalidInput, JobsFull, JobsUnreachable, KeyReused, NoJobs, UnsupportedMedia
from serving.jobs.book import Book
from serving.jobs.desk import Asked, Desk, Rules
from serving.jobs.job import Body, Status, Terms
from serving.jobs.schema import Database
from serving.jobs.shelf import Shelf
from serving.jobs.turns import Turns
from serving.lineup import Served
from serving.protocol import JSON, Model
from tests.fakes import FakeModel, a_version

BODY = json.dumps({"dataframe_split": {"columns": ["x", "size"], "data": [[1.0, 0.5], [2.0, 0.5]]}}).encode()


@pytest.fixture
def served(slope_of_three: Model, unique_name: str) -> Served:
    return Served(a_version(7, name=unique_name, slipway_manifest="x"), slope_of_three)


@pytest.fixture
def desk(book: Book) -> Desk:
    return Desk(book, Shelf(None), Rules())


def asked(body: bytes = BODY, **changes: Any) -> Asked:
    return Asked((JSON, body), **changes)


def test_rows_are_counted_when_a_body_is_taken(desk: Desk, served: Served) -> None:
    status = desk.accept(served, asked())

    assert (status.state, status.version, status.rows_total) == ("queued", 7, 2)


def test_a_body_that_does_not_fit_is_refused_at_once(desk: Desk, served: Served) -> None:
    with pytest.raises(InvalidInput, match="size"):
        desk.accept(served, asked(b'{"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}'))


@pytest.mark.parametrize("text", [b'{"dataf\xfframe_split": {}}', b'{"input": "\xff", "output": "x"}', b'{"\xff": 1}'])
def test_a_body_that_is_no_text_is_refused(desk: Desk, served: Served, text: bytes) -> None:
    with pytest.raises(InvalidInput):
        desk.accept(served, asked(text))


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b'{"input":' + b"[" * 100_000])
def test_a_body_of_a_hundred_thousand_levels_is_refused(desk: Desk, served: Served, deep: bytes) -> None:
    with pytest.raises(InvalidInput, match="64 levels"):
        desk.accept(served, asked(deep))


def test_what_only_mlflow_can_read_is_taken_unread(desk: Desk, unique_name: str) -> None:
    served = Served(a_version(1, name=unique_name), FakeModel())

    assert desk.accept(served, asked(b"anything")).rows_total is None


def test_a_job_for_the_latest_version_is_pinned_to_none(desk: Desk, served: Served, turns: Turns) -> None:
    status = desk.accept(served, asked(version="latest"))

    work = turns.begin(status.id, 1)
    assert work is not None
    assert (status.version, work.order.version) == (None, None)


def test_a_large_body_needs_a_place(book: Book, served: Served) -> None:
    with pytest.raises(NoJobs, match="SERVING_JOBS__PLACE"):
        Desk(book, Shelf(None), Rules(inline_bytes=10)).accept(served, asked())


def test_a_large_body_waits_on_the_shelf(book: Book, served: Served, turns: Turns) -> None:
    class Kept(Shelf):
        def put(self, job: str, name: str, content: bytes) -> str:
            assert content == BODY
            return f"s3://kept/{job}/{name}"

    status = Desk(book, Kept(None), Rules(inline_bytes=10)).accept(served, asked())

    work = turns.begin(status.id, 1)
    assert work is not None
    assert work.order.asked == Body(JSON, None, f"s3://kept/{status.id}/body")


def test_what_is_not_accepted_leaves_nothing_on_the_shelf(book: Book, database: Database, served: Served) -> None:
    """Nor does a request that is sent again."""
    shelf = Counting()
    full = Desk(Book(database, Terms(most_waiting=0)), shelf, Rules(inline_bytes=10))
    with pytest.raises(JobsFull):
        full.accept(served, asked())
    assert shelf.kept == set()

    desk = Desk(book, shelf, Rules(inline_bytes=10))
    ids = {desk.accept(served, asked(key="mine")).id for _ in range(3)}

    assert len(shelf.kept) == len(ids) == 1


def test_a_body_is_kept_where_nobody_knows_whether_its_job_was_accepted(database: Database, served: Served) -> None:
    class Away(Book):
        def status(self, model: str, name: str) -> Status:
            raise JobsUnreachable("it went away after the job was accepted")

    shelf = Counting()

    with pytest.raises(JobsUnreachable):
        Desk(Away(database), shelf, Rules(inline_bytes=10)).accept(served, asked())
    assert len(shelf.kept) == 1


@pytest.mark.parametrize("change", [{"version": "latest"}, {"callback": "https://example.org/"}, {"body": BODY + b" "}])
def test_a_key_stands_for_all_that_was_asked(book: Book, served: Served, change: dict[str, Any]) -> None:
    desk = Desk(book, Shelf(None), Rules(callbacks=True))
    first = desk.accept(served, asked(key="mine"))
    assert desk.accept(served, asked(key="mine")).id == first.id

    with pytest.raises(KeyReused):
        desk.accept(served, asked(**{"key": "mine", **change}))


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_a_length(desk: Desk, served: Served, key: str) -> None:
    with pytest.raises(InvalidInput, match="Idempotency-Key"):
        desk.accept(served, asked(key=key))


def test_without_a_secret_nobody_is_called_back(desk: Desk, served: Served) -> None:
    with pytest.raises(NoJobs, match="SERVING_JOBS__CALLBACK_SECRET"):
        desk.accept(served, asked(callback="https://example.org/"))


def test_a_callback_inside_the_network_is_refused(book: Book, served: Served) -> None:
    with pytest.raises(InvalidInput, match="public internet"):
        Desk(book, Shelf(None), Rules(callbacks=True)).accept(served, asked(callback="https://10.0.0.1/"))


class Counting(Shelf):
    def __init__(self) -> None:
        super().__init__(None)
        self.kept = set[str]()

    def put(self, job: str, name: str, content: bytes) -> str:
        self.kept.add(uri := f"s3://kept/{job}/{name}")
        return uri

    def delete(self, uris: Sequence[str]) -> None:
        self.kept -= set(uris)


def files(**changes: Any) -> Asked:
    return asked(json.dumps({"input": "s3://a/in.csv", "output": "s3://a/out.csv", **changes}).encode())


def test_files_are_refused_where_no_places_are_named(desk: Desk, served: Served) -> None:
    with pytest.raises(NoJobs, match="SERVING_JOBS__FILES"):
        desk.accept(served, files())


@pytest.mark.parametrize("part", ["input", "output"])
def test_files_elsewhere_are_refused(book: Book, served: Served, part: str) -> None:
    desk = Desk(book, Shelf(None), Rules(files=("s3://a/",)))

    with pytest.raises(InvalidInput, match=part):
        desk.accept(served, files(**{part: "s3://b/other.csv"}))


@pytest.mark.parametrize("wrong", [{"input": 7}, {"keys": "id"}, {"unknown": True}])
def test_an_order_for_files_has_a_shape(desk: Desk, served: Served, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="keys"):
        desk.accept(served, files(**wrong))


def test_a_body_with_columns_called_input_and_output_is_a_body(desk: Desk, served: Served) -> None:
    with pytest.raises(InvalidInput):  # as a body of /invocations, that is; not for its files
        desk.accept(served, asked(b'{"inputs": {"input": [1.0]}}'))


def test_other_media_are_no_files(desk: Desk, served: Served) -> None:
    status = desk.accept(served, Asked(("text/csv", b"x,size\n1.0,2.0\n")))

    assert status.rows_total == 1


def test_unsupported_media_is_refused_before() -> None:
    from serving.invocations import media_type_of

    with pytest.raises(UnsupportedMedia):
        media_type_of("text/plain")
