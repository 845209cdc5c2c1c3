from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.errors import JobConflict, JobsFull, JobsUnreachable, KeyReused, UnknownJob
from serving.jobs.book import Book
from serving.jobs.job import Inline, Outcome, State, Terms, Wanted
from serving.jobs.schema import Database
from serving.jobs.turns import Turns
from tests.serving.jobs.orders import accepted, an_order

DONE = Outcome("succeeded", 7, Inline(b'{"predictions":[3]}', 1))


def ended(turns: Turns, name: str, outcome: Outcome, generation: int = 1) -> None:
    assert turns.begin(name, generation) is not None
    assert turns.end(name, generation, outcome)


def test_an_accepted_job_is_queued_under_its_version(book: Book) -> None:
    job = accepted(book, "accepted")

    assert (job.state, job.model, job.version, job.rows_done, job.rows_total) == ("queued", "accepted", 7, 0, 1)
    assert book.status("accepted", job.id) == job


def test_a_queued_job_knows_how_many_are_before_it(fresh: Database) -> None:
    book = Book(fresh)
    jobs = [accepted(book, f"place-{number}") for number in range(3)]

    places = [book.status(job.model, job.id).position for job in jobs]

    assert places == [0, 1, 2]
    Turns(fresh).begin(jobs[0].id, 1)
    assert [book.status(job.model, job.id).position for job in jobs] == [None, 0, 1]


def test_the_same_key_and_request_is_one_job(book: Book) -> None:
    first = accepted(book, "twice", key="mine", fingerprint="a")
    second = accepted(book, "twice", key="mine", fingerprint="a")

    assert second.id == first.id
    assert len(book.listed("twice", Wanted())[0]) == 1


def test_the_same_key_at_the_same_time_is_one_job(book: Book) -> None:
    with ThreadPoolExecutor(8) as callers:
        same = {"key": "mine", "fingerprint": "a"}
        jobs = list(callers.map(lambda _: accepted(book, "at-once", **same), range(16)))

    assert len({job.id for job in jobs}) == 1
    assert len(book.listed("at-once", Wanted())[0]) == 1


def test_a_key_is_each_models_own(book: Book) -> None:
    one, other = (accepted(book, model, key="mine") for model in ("one", "other"))

    assert one.id != other.id


def test_a_key_with_another_request_is_refused(book: Book) -> None:
    accepted(book, "reused", key="mine", fingerprint="a")

    with pytest.raises(KeyReused):
        accepted(book, "reused", key="mine", fingerprint="b")


def test_no_more_jobs_wait_than_may(fresh: Database) -> None:
    book = Book(fresh, Terms(most_waiting=2))
    for _ in range(2):
        accepted(book, "full")

    with pytest.raises(JobsFull):
        accepted(book, "full")


def test_the_first_job_of_a_key_is_found_when_no_more_may_wait(fresh: Database) -> None:
    book = Book(fresh, Terms(most_waiting=1))
    first = accepted(book, "full", key="mine")

    assert accepted(book, "full", key="mine").id == first.id


@pytest.mark.parametrize("ask", [Book.status, Book.result, Book.cancel, Book.retry])
def test_a_job_of_another_model_is_unknown(book: Book, ask: object) -> None:
    job = accepted(book, "here")

    with pytest.raises(UnknownJob):
        ask(book, "elsewhere", job.id)  # type: ignore[operator]


def test_a_result_is_there_once_it_has_succeeded(book: Book, turns: Turns) -> None:
    job = accepted(book, "result")
    assert book.result("result", job.id)[1] is None

    ended(turns, job.id, DONE)

    status, result = book.result("result", job.id)
    assert (status.state, status.rows_done, status.rows_total) == ("succeeded", 1, 1)
    assert result == DONE.result


def test_a_cancelled_job_is_not_begun(book: Book, turns: Turns) -> None:
    job = accepted(book, "cancelled")

    assert book.cancel("cancelled", job.id).state == "cancelled"
    assert turns.begin(job.id, 1) is None
    assert book.cancel("cancelled", job.id).state == "cancelled"


def test_what_runs_is_cancelled_under_its_workers_hands(book: Book, turns: Turns) -> None:
    job = accepted(book, "running", callback="https://example.org/")
    assert turns.begin(job.id, 1) is not None
    assert turns.progress(job.id, 1, 5, 10)

    book.cancel("running", job.id)

    assert not turns.progress(job.id, 1, 6, 10)
    assert not turns.end(job.id, 1, DONE)
    assert turns.caller(job.id, 1) is None
    assert book.status("running", job.id).callback is None


def test_what_has_ended_cannot_be_cancelled(book: Book, turns: Turns) -> None:
    job = accepted(book, "over")
    ended(turns, job.id, DONE)

    with pytest.raises(JobConflict, match="succeeded"):
        book.cancel("over", job.id)


@pytest.mark.parametrize("state", ["failed", "dead", "expired"])
def test_what_has_not_succeeded_is_queued_again(book: Book, turns: Turns, state: State) -> None:
    job = accepted(book, "again", callback="https://example.org/")
    ended(turns, job.id, Outcome(state, 7, code="some-code", reason="some reason"))
    assert book.status("again", job.id).reason == "some reason"

    again = book.retry("again", job.id)

    assert (again.state, again.starts, again.reason, again.callback) == ("queued", 0, "", "waiting")
    assert turns.begin(job.id, 1) is None
    ended(turns, job.id, DONE, generation=2)
    assert book.status("again", job.id).state == "succeeded"


def test_what_is_open_or_has_succeeded_is_not_queued_again(book: Book, turns: Turns) -> None:
    job = accepted(book, "not-again")
    with pytest.raises(JobConflict):
        book.retry("not-again", job.id)
    ended(turns, job.id, DONE)

    with pytest.raises(JobConflict):
        book.retry("not-again", job.id)


def test_jobs_are_listed_the_newest_first_and_in_pages(book: Book) -> None:
    names = [accepted(book, "pages").id for _ in range(5)]

    found, before = list[str](), None
    while True:
        page, before = book.listed("pages", Wanted(limit=2, before=before))
        found += [each.id for each in page]
        if before is None:
            break

    assert found == names[::-1]


def test_jobs_are_listed_by_state_and_version(book: Book, turns: Turns) -> None:
    done, other = (accepted(book, "filtered") for _ in range(2))
    ended(turns, done.id, Outcome("succeeded", 9, DONE.result))

    def listed(wanted: Wanted) -> list[str]:
        return [each.id for each in book.listed("filtered", wanted)[0]]

    assert listed(Wanted(state="succeeded")) == [done.id]
    assert listed(Wanted(state="queued")) == [other.id]
    assert listed(Wanted(version=9)) == [done.id]
    assert listed(Wanted(state="dead")) == []


def test_a_database_that_is_away_is_told_apart() -> None:
    with pytest.raises(JobsUnreachable):
        Database("postgresql+psycopg://nobody:nothing@127.0.0.1:9/none")


def test_what_cannot_be_queued_is_not_accepted(tmp_path: Path) -> None:
    """Both are one transaction."""

    class Broken(Database):
        def enqueue(self, *_: object) -> None:
            raise RuntimeError

    broken = Broken(f"sqlite:///{tmp_path}/jobs.sqlite")

    with pytest.raises(RuntimeError):
        Book(broken).accept(an_order("half"), "0" * 32)
    assert Book(broken).listed("half", Wanted()) == ([], None)
    broken.close()
