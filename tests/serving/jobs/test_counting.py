from serving.jobs import counting
from serving.jobs.book import Book
from serving.jobs.job import Figures, Inline, Outcome
from serving.jobs.schema import Database
from serving.jobs.turns import Turns
from tests.serving.jobs.orders import accepted

DONE = Outcome("succeeded", 7, Inline(b'{"predictions":[3]}', 1))


def test_figures_count_what_is_open_and_what_has_ended(fresh: Database) -> None:
    book, turns = Book(fresh), Turns(fresh)
    for outcome in (DONE, DONE, Outcome("dead")):
        name = accepted(book, "counted").id
        turns.begin(name, 1)
        turns.end(name, 1, outcome)
    running, waiting = accepted(book, "counted"), accepted(book, "counted")
    turns.begin(running.id, 1)

    (figures,) = counting.figures(fresh)

    assert figures == Figures("counted", 1, 1, waiting.accepted_ms, {"succeeded": 2, "dead": 1}, rows=2)


def test_who_was_heard_of_is_a_worker(fresh: Database) -> None:
    turns = Turns(fresh)
    for name in ("a", "b", "a"):
        turns.beat(name)

    assert counting.heard_of(fresh, 10) == 2
    assert counting.heard_of(fresh, -10) == 0
