"""The real DBOS in this process, on a database of its own, with an answer that the test gives."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from serving.errors import JobsUnreachable, PredictionFailed
from serving.jobs.book import Book
from serving.jobs.callbacks import Caller
from serving.jobs.job import Inline, Outcome, Status, Terms
from serving.jobs.schema import Database
from serving.jobs.turns import Turns, Work
from serving.working import durable
from serving.working.predicting import NobodyWaits, Tell
from tests.servers import eventually
from tests.serving.jobs.listening import listening
from tests.serving.jobs.orders import accepted

DONE = Outcome("succeeded", 7, Inline(b"{}", 1))
QUICK = durable.Terms(at_once=2, attempts=3, backoff_seconds=0.01, most_starts=5, callback_attempts=2)

Start = Callable[[durable.Answer], Book]


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(tmp_path: Path, held: ExitStack) -> Start:
    def begin(answer: durable.Answer) -> Book:
        database = Database(f"sqlite:///{tmp_path}/jobs.sqlite")
        held.callback(database.close)
        durable.start("a-test", Turns(database), answer, Caller("secret", private=True), QUICK)
        held.callback(durable.stop, 1)
        return Book(database)

    return begin


def ended(book: Book, job: Status) -> Status:
    return eventually(lambda: found if (found := book.status(job.model, job.id)).ended_ms else None)  # type: ignore[return-value]


def test_a_model_that_fails_twice_is_asked_a_third_time(start: Start) -> None:
    tries = list[int]()

    def answer(job: Work, _: Tell) -> Outcome:
        tries.append(job.starts)
        if len(tries) < 3:
            raise PredictionFailed
        return DONE

    book = start(answer)

    assert ended(book, accepted(book, "iris")).state == "succeeded"
    assert tries == [1, 2, 3]


def test_a_job_whose_model_keeps_failing_is_dead_with_its_reason_and_can_be_tried_again(start: Start) -> None:
    works = list[bool]()

    def answer(_: Work, __: Tell) -> Outcome:
        if not works:
            raise PredictionFailed
        return DONE

    book = start(answer)
    dead = ended(book, accepted(book, "iris"))
    assert (dead.state, dead.code, dead.starts) == ("dead", "prediction-failed", 3)
    assert dead.reason.endswith("(3 attempts)")

    works.append(True)
    book.retry("iris", dead.id)

    assert ended(book, dead).state == "succeeded"


def test_what_went_wrong_here_is_not_told_in_its_words(start: Start) -> None:
    def answer(_: Work, __: Tell) -> Outcome:
        raise ValueError("a value that somebody sent")

    book = start(answer)

    dead = ended(book, accepted(book, "iris"))
    assert (dead.state, dead.code) == ("dead", "internal-error")
    assert "somebody sent" not in dead.reason


def test_a_database_that_is_away_for_a_moment_costs_no_attempt(tmp_path: Path, held: ExitStack) -> None:
    database = Database(f"sqlite:///{tmp_path}/jobs.sqlite")
    held.callback(database.close)
    asked, away = list[str](), dict.fromkeys(("begin", "end", "progress"), 1)

    class Shaky(Turns):
        def _reach(self, what: str) -> None:
            away[what] -= 1
            if away[what] >= 0:
                raise JobsUnreachable("it is away")

        def begin(self, name: str, generation: int) -> Work | None:
            self._reach("begin")
            return super().begin(name, generation)

        def progress(self, name: str, generation: int, done: int, total: int | None) -> bool:
            self._reach("progress")
            return super().progress(name, generation, done, total)

        def end(self, name: str, generation: int, outcome: Outcome) -> bool:
            self._reach("end")
            return super().end(name, generation, outcome)

    def answer(job: Work, tell: Tell) -> Outcome:
        asked.append(job.id)
        assert tell(0, 1)
        return DONE

    durable.start("a-test", Shaky(database), answer, None, QUICK)
    held.callback(durable.stop, 1)
    job = accepted(Book(database), "iris")

    assert ended(Book(database), job).state == "succeeded"
    assert asked == [job.id]
    assert max(away.values()) <= 0  # each was asked while it was away


def test_what_the_caller_can_mend_is_not_tried_again(start: Start) -> None:
    tries = list[int]()

    def answer(job: Work, _: Tell) -> Outcome:
        tries.append(job.starts)
        return Outcome("failed", 7, code="rows-refused", reason="row 3: it is negative")

    book = start(answer)

    failed = ended(book, accepted(book, "iris"))
    assert (failed.state, failed.reason) == ("failed", "row 3: it is negative")
    assert tries == [1]


def test_a_job_that_was_begun_too_often_is_dead(tmp_path: Path, start: Start, held: ExitStack) -> None:
    """Whoever began it before is gone: it may be what ends them."""
    database = Database(f"sqlite:///{tmp_path}/jobs.sqlite")
    held.callback(database.close)
    job = accepted(Book(database), "iris")
    for _ in range(QUICK.most_starts):
        Turns(database).begin(job.id, 1)
    asked = list[str]()

    start(lambda work, _: asked.append(work.id) or DONE)  # type: ignore[func-returns-value]

    dead = ended(Book(database), job)
    assert (dead.state, dead.code) == ("dead", "never-ended")
    assert "SERVING_JOBS__MOST_STARTS" in dead.reason
    assert asked == []


def test_nobody_is_told_of_what_nobody_waits_for(start: Start) -> None:
    def answer(_: Work, __: Tell) -> Outcome:
        raise NobodyWaits

    book = start(answer)
    job = accepted(book, "iris")

    eventually(lambda: book.status("iris", job.id).starts == 1)
    assert book.status("iris", job.id).state == "running"
    assert book.cancel("iris", job.id).state == "cancelled"


def test_a_callback_is_tried_again_and_then_given_up(start: Start) -> None:
    book = start(lambda _, __: DONE)
    with listening() as listener:
        job = accepted(book, "iris", callback=listener.url)
        eventually(lambda: book.status("iris", job.id).callback == "delivered")
        listener.status = 500
        other = accepted(book, "iris", callback=listener.url)
        eventually(lambda: book.status("iris", other.id).callback == "failed")

    first, *others = listener.messages
    assert json.loads(first.body)["id"] == job.id
    assert [json.loads(each.body)["id"] for each in others] == [other.id] * 2
    assert len({each.headers["webhook-id"] for each in others}) == 1


def test_what_has_expired_is_told_and_not_worked_at(tmp_path: Path, start: Start, held: ExitStack) -> None:
    database = Database(f"sqlite:///{tmp_path}/jobs.sqlite")
    held.callback(database.close)
    hasty = Terms(expire_seconds=-1)
    with listening() as listener:
        job = accepted(Book(database, hasty), "iris", callback=listener.url)
        assert Turns(database, hasty).expire() == 1
        asked = list[str]()
        start(lambda work, _: asked.append(work.id) or DONE)  # type: ignore[func-returns-value]
        eventually(lambda: listener.messages)

    assert json.loads(listener.messages[0].body)["state"] == "expired"
    assert asked == []
    assert Book(database).status("iris", job.id).state == "expired"
