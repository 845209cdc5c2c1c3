from serving.jobs import counting
from serving.jobs.book import Book
from serving.jobs.job import Files, Inline, Outcome, Stored, Terms, Wanted
from serving.jobs.schema import Database
from serving.jobs.turns import Turns
from tests.serving.jobs.orders import accepted

DONE = Outcome("succeeded", 7, Inline(b"{}", 1))


def test_a_worker_gets_what_was_accepted(book: Book, turns: Turns) -> None:
    job = accepted(book, "whole", version=None, asked=Files("s3://a/b.csv", "s3://a/c.csv", ("id",), True))

    work = turns.begin(job.id, 1)

    assert work is not None
    assert work.order.asked == Files("s3://a/b.csv", "s3://a/c.csv", ("id",), True)
    assert (work.order.version, work.starts) == (None, 1)


def test_a_version_is_pinned_with_all_that_says_which_it_is(book: Book, turns: Turns) -> None:
    job = accepted(book, "pinned")

    work = turns.begin(job.id, 1)

    assert work is not None
    assert work.order.version is not None
    assert (work.order.version.number, work.order.version.source) == (7, "models:/m-7")


def test_each_beginning_is_counted(book: Book, turns: Turns) -> None:
    job = accepted(book, "starts")

    starts = [work.starts for _ in range(3) if (work := turns.begin(job.id, 1))]

    assert starts == [1, 2, 3]


def test_a_job_ends_once_whoever_works_at_it(database: Database, book: Book, turns: Turns) -> None:
    job = accepted(book, "once", callback="https://example.org/")
    for _ in range(2):
        turns.begin(job.id, 1)

    assert turns.end(job.id, 1, DONE)
    assert not turns.end(job.id, 1, Outcome("dead", reason="too late"))
    assert book.status("once", job.id).state == "succeeded"
    assert [each.ended for each in counting.figures(database) if each.model == "once"] == [{"succeeded": 1}]


def test_who_is_to_be_told_is_known_until_it_was(book: Book, turns: Turns) -> None:
    job = accepted(book, "told", callback="https://example.org/")
    turns.begin(job.id, 1)
    assert turns.caller(job.id, 1) is None
    turns.end(job.id, 1, DONE)

    found = turns.caller(job.id, 1)

    assert found is not None
    assert (found[0].state, found[1]) == ("succeeded", "https://example.org/")
    turns.called(job.id, 1, delivered=True)
    assert book.status("told", job.id).callback == "delivered"


def test_what_is_late_expires_and_is_told(fresh: Database) -> None:
    hasty = Terms(expire_seconds=-1)
    book, turns = Book(fresh, hasty), Turns(fresh, hasty)
    job = accepted(book, "late", callback="https://example.org/")

    assert turns.expire() == 1
    assert turns.expire() == 0

    status = book.status("late", job.id)
    assert (status.state, status.version, status.code) == ("expired", 7, "expired")
    assert "SERVING_JOBS__EXPIRE_SECONDS" in status.reason
    assert turns.begin(job.id, 1) is None
    assert turns.caller(job.id, 1) is not None


def test_what_ended_long_ago_is_forgotten_with_what_is_ours_of_it(fresh: Database) -> None:
    hasty = Terms(keep_seconds=-1)
    book, turns = Book(fresh, hasty), Turns(fresh, hasty)
    for asked, uri in (({}, "s3://ours/result"), ({"asked": Files("s3://a/b.csv", "s3://a/c.csv")}, "s3://a/c.csv")):
        job = accepted(book, "old", **asked)
        turns.begin(job.id, 1)
        turns.end(job.id, 1, Outcome("succeeded", 7, Stored(uri, "text/csv", 1)))
    waiting = accepted(book, "old")

    gone = turns.forget()

    assert gone.uris == ("s3://ours/result",)
    assert len(gone.tries) == 4
    turns.forget_tries(gone.tries)
    assert [each.id for each in book.listed("old", Wanted())[0]] == [waiting.id]
    assert turns.forget().tries == ()


def test_nothing_is_taken_over_while_everybody_is_heard_of(fresh: Database) -> None:
    turns = Turns(fresh)
    turns.beat("a")

    assert turns.adopt(60) == 0
    assert counting.heard_of(fresh, 10) == 1
    assert turns.adopt(-10) == 0
    assert counting.heard_of(fresh, 10) == 0


def test_progress_is_seen(book: Book, turns: Turns) -> None:
    job = accepted(book, "progress", rows=None)
    turns.begin(job.id, 1)

    turns.progress(job.id, 1, 512, 2048)

    status = book.status("progress", job.id)
    assert (status.state, status.rows_done, status.rows_total) == ("running", 512, 2048)


def test_who_leaves_is_not_waited_for(fresh: Database) -> None:
    turns = Turns(fresh)
    for name in ("a", "b"):
        turns.beat(name)

    turns.leave("a")

    assert counting.heard_of(fresh, 60) == 1
    turns.beat("a")
    assert counting.heard_of(fresh, 60) == 2
